"""``beeyard undo``."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from installer.cli import output
from installer.cli.asking import confirm
from installer.cli.commands.install import run_to_end
from installer.cli.options import examples, output_option
from installer.cli.render_events import renderer
from installer.domain.errors import ExitCode, UsageError
from installer.domain.plan_text import plan_text
from installer.domain.text import printable

if TYPE_CHECKING:
    from installer.cli.render_events import Renderer
    from installer.domain.events import Event
    from installer.domain.plan import Plan
    from installer.services.undo import UndoJob


@click.command(
    "undo",
    epilog=examples(
        "sudo beeyard undo --dry-run",
        "sudo beeyard undo --yes",
        "sudo beeyard undo 20261123T161548 --yes",
    ),
)
@click.argument("run", required=False, default="")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Print what would go back and change nothing.")
@output_option("text", "json", events=True)
def command(run: str, **options: Any) -> int:
    """Take back what a run changed: the last one, or RUN (the beginning of its id is enough).

    Files, Helm's release and the service go back to what the run's journal says was there; what you changed since is
    left alone and told. The run that made the cluster is taken back as `beeyard uninstall` does. A run that others
    built on has to wait until those are undone. Killed or stopped, the same command goes on.
    """
    if options["output_format"] == "json" and not (options["yes"] or options["dry_run"]):
        raise UsageError("-o json cannot ask", fix="Add --yes or --dry-run.", code="E-CLI-001")
    show = renderer(options["output_format"])
    return run_to_end(_undo(run, options, show), show)


async def _undo(wanted: str, options: dict[str, Any], show: Renderer) -> int:
    from installer.wiring.runs import undo_service

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # half an undo is worse than one that nobody watches

    def tell(event: Event) -> None:
        with suppress(OSError):  # the terminal has gone
            show.event(event)

    async with undo_service().open(wanted, tell, dict(os.environ)) as job:
        plan = await job.plan()
        needed = job.needed(plan)
        if options["dry_run"]:
            _show(options, plan, job, show)
            return ExitCode.OK
        if needed and not options["yes"]:
            output.talk(_text(plan, job))
            question = "Take the cluster off this host?" if job.whole is not None else "Take the run back?"
            await confirm(question)
        if needed:
            await job.execute(plan)
    show.close()
    if options["output_format"] == "json":
        record = {"event": "undone", "runs": job.target.ids, "changed": needed, "kept": job.kept}
        output.data_json(record, compact=True)
    else:
        output.talk(_ending(job, needed=needed))
    return ExitCode.OK


def _show(options: dict[str, Any], plan: Plan, job: UndoJob, show: Renderer) -> None:
    if options["output_format"] == "text":
        output.data(_text(plan, job))
    else:
        show.close()
        record = {"event": "undo-plan", "runs": job.target.ids, "plan": plan.to_dict(), "kept": job.kept}
        output.data_json(record, compact=True)


def _text(plan: Plan, job: UndoJob) -> str:
    first = job.target.runs[0]
    lines = [f"Undo of run {job.target.run_id} ({first.kind}):", plan_text(plan)]
    if job.whole is not None:
        lines.append("That run made the cluster: taking it back takes the cluster away, with all that is in it.")
    return printable("\n".join([*lines, *(f"stays: {line}" for line in job.kept)]))


def _ending(job: UndoJob, *, needed: bool) -> str:
    head = f"Run {job.target.run_id} is taken back." if needed else "Nothing to take back: all is as it was."
    return printable("\n".join([head, *(f"  stays: {line}" for line in job.kept)]))
