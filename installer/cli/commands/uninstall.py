"""``beeyard uninstall``."""

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
    from installer.domain.residue.scope import Choice
    from installer.services.uninstall import UninstallJob


@click.command(
    "uninstall",
    epilog=examples(
        "sudo beeyard uninstall --dry-run",
        "sudo beeyard uninstall --yes",
        "sudo beeyard uninstall --yes --keep-data",
        "sudo beeyard uninstall --verify-clean",
    ),
)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Print what would go and what would stay, and change nothing.")
@click.option("--verify-clean", is_flag=True, help="Only tell what of a cluster is left; exit 0 when nothing is.")
@click.option("--keep-data", is_flag=True, help="Keep the datastore, certificates and volumes for a later install.")
@click.option("--purge", is_flag=True, help="Remove beeyard's own history and logs as well, last of all.")
@click.option(
    "--crds",
    type=click.Choice(("keep", "delete")),
    default="keep",
    show_default=True,
    help="With --keep-data: Cilium's release and definitions in the kept data; its policies go with them.",
)
@click.option(
    "--namespaces",
    multiple=True,
    metavar="PATTERN",
    help="Delete these namespaces in order first, such as 'cilium-test-*'. Repeatable.",
)
@click.option("--force", is_flag=True, help="Also a k3s and Cilium that beeyard did not install.")
@click.option(
    "--guard-seconds",
    type=click.FloatRange(min=20),
    default=120.0,
    show_default=True,
    help="Seconds until the network is put back when this host is cut off meanwhile.",
)
@output_option("text", "json", events=True)
def command(**options: Any) -> int:
    """Take the cluster off this host and put back what was there before.

    Shows the plan and asks; --yes goes ahead. The order keeps this host reachable, and a guard puts the network back
    if it is cut off all the same. Killed or stopped, the same command goes on. Never run k3s-uninstall.sh instead: on
    a node with Cilium it cuts the network.
    """
    _refuse_nonsense(options)
    show = renderer(options["output_format"])
    work = _verify(options) if options["verify_clean"] else _uninstall(options, show)
    return run_to_end(work, show)


def _refuse_nonsense(options: dict[str, Any]) -> None:
    json = options["output_format"] == "json"
    if json and not (options["yes"] or options["dry_run"] or options["verify_clean"]):
        raise UsageError("-o json cannot ask", fix="Add --yes or --dry-run.", code="E-CLI-001")
    if options["keep_data"] and options["purge"]:
        raise UsageError(
            "--keep-data and --purge contradict each other",
            why="What was kept could not be told from what was left behind.",
            fix="Leave one of them out.",
            code="E-UNINSTALL-002",
        )
    if options["crds"] == "delete" and not options["keep_data"]:
        raise UsageError(
            "--crds delete needs --keep-data",
            why="Without it, all definitions go with the cluster's data.",
            fix="Add --keep-data, or leave --crds out.",
            code="E-UNINSTALL-002",
        )
    changing = [name for name in ("yes", "dry_run", "keep_data", "purge", "force") if options[name]]
    if options["verify_clean"] and changing:
        raise UsageError(
            f"--verify-clean only looks; --{changing[0].replace('_', '-')} says otherwise",
            fix="Leave one of them out.",
            code="E-UNINSTALL-002",
        )


def _choice(options: dict[str, Any]) -> Choice:
    from installer.domain.residue.scope import Choice

    return Choice(
        keep_data=options["keep_data"],
        purge=options["purge"],
        crds=options["crds"] == "delete",
        namespaces=tuple(options["namespaces"]),
        force=options["force"],
        guard_seconds=options["guard_seconds"],
    )


async def _verify(options: dict[str, Any]) -> int:
    from installer.wiring.uninstall import uninstall_service

    report = await uninstall_service().report(dict(os.environ))
    if options["output_format"] == "json":
        output.data_json(report.to_dict())
    else:
        output.data(printable(report.text()))
    return ExitCode.OK if report.clean else ExitCode.FAILED


async def _uninstall(options: dict[str, Any], show: Renderer) -> int:
    from installer.wiring.uninstall import uninstall_service

    _outlive_the_terminal()

    def tell(event: Event) -> None:
        with suppress(OSError):  # the terminal has gone
            show.event(event)

    async with uninstall_service().open(_choice(options), tell, dict(os.environ)) as job:
        plan = await job.plan()
        needed = job.needed(plan)
        if options["dry_run"]:
            _show(options, plan, job)
            return ExitCode.OK
        if needed and not options["yes"]:
            output.talk(_text(plan, job))
            await confirm("Take the cluster off this host?")
        if needed:
            await job.execute(plan)
    show.close()
    if options["output_format"] == "text":
        output.talk(_ending(job) if needed else "Nothing to uninstall: there is no cluster on this host.")
    else:
        output.data_json({"event": "report", "report": job.report.to_dict()}, compact=True)
    return ExitCode.OK


def _show(options: dict[str, Any], plan: Plan, job: UninstallJob) -> None:
    if options["output_format"] == "text":
        output.data(_text(plan, job))
    else:
        output.data_json({"event": "kept", "kept": [one.to_dict() for one in job.kept]}, compact=True)


def _text(plan: Plan, job: UninstallJob) -> str:
    lines = [plan_text(plan)]
    for one in job.kept:
        fix = f" (goes with: {one.fix})" if one.fix else ""
        lines += [f"stays: {one.what}: {one.why}{fix}"]
    if not job.removal.choice.keep_data and plan.changes:
        data = job.removal.scope.data_dir
        lines.append(f"All namespaces, policies and volumes of the cluster go with {data}; --keep-data keeps them.")
    if job.removal.before is None:
        lines.append("There is no inventory from before the install: what is ours is told by rules.")
    return printable("\n".join(lines))


def _ending(job: UninstallJob) -> str:
    lines = ["The cluster is gone, and this host is as it was."]
    lines += [f"  stays: {one.what}: {one.why}" for one in job.kept]
    if not job.removal.choice.purge:
        lines.append("  beeyard uninstall --verify-clean looks again at any time")
    return printable("\n".join(lines))


def _outlive_the_terminal() -> None:
    """Go on when the terminal goes: half an uninstall is worse than one that nobody watches."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
