"""``beeyard preflight``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from installer.cli import output
from installer.cli.commands.install import load, run_to_end
from installer.cli.options import config_options, examples, output_option
from installer.cli.render_events import PlainEnd
from installer.domain.config_layers import Layer, nest
from installer.domain.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from installer.services.preflight import Examination


@click.command(
    "preflight",
    epilog=examples(
        "sudo beeyard preflight",
        "sudo beeyard preflight --kernel --set cilium.encryption=wireguard",
        "sudo beeyard preflight --fix --dry-run",
        "sudo beeyard preflight --fix --yes",
        "sudo beeyard preflight --undo-fixes",
    ),
)
@config_options
@click.option("--kernel", is_flag=True, help="Show what came of trying every feature of the kernel that Cilium uses.")
@click.option("--no-hubble", is_flag=True, help="Leave Hubble out.")
@click.option("--skip-sources", is_flag=True, help="Do not ask the sources of downloads whether they are there.")
@click.option("--allow-unsupported", is_flag=True, help="As for install.")
@click.option("--fix", is_flag=True, help="Apply the fixes that are safe; each is shown first and can be taken back.")
@click.option("--undo-fixes", is_flag=True, help="Take back what --fix changed.")
@click.option("-y", "--yes", is_flag=True, help="With --fix or --undo-fixes: do it without asking.")
@click.option("--dry-run", is_flag=True, help="With --fix or --undo-fixes: show what would change, and change nothing.")
@output_option("text", "json")
def command(**options: Any) -> int:
    """Look at this host and tell what stands in the way of an install. Changes nothing unless asked to.

    The kernel is not judged by its version: each feature that Cilium uses is tried on it, in namespaces that end with
    the trial. That needs root; without it the kernel's configuration is what is left to judge by. Exit code 5 when an
    install would be refused.

    Findings that can be mended safely say so: --fix shows the exact files and commands and applies them, and writes
    down what was there before; --undo-fixes puts that back. What needs a reboot or a decision is only told.
    """
    _refuse_nonsense(options)
    from installer.cli import preflight_fixing

    if options["undo_fixes"]:
        work: Any = preflight_fixing.undo(options)
    elif options["fix"]:
        work = preflight_fixing.fix(options, lambda: examined(options))
    else:
        work = _examine(options)
    return run_to_end(work, PlainEnd(options["output_format"]))


def _refuse_nonsense(options: dict[str, Any]) -> None:
    changing = options["fix"] or options["undo_fixes"]
    if options["fix"] and options["undo_fixes"]:
        raise UsageError("--fix and --undo-fixes exclude each other", fix="Give one of them.", code="E-CLI-001")
    if not changing and (options["yes"] or options["dry_run"]):
        raise UsageError("--yes and --dry-run mean nothing here", fix="Add --fix or --undo-fixes.", code="E-CLI-001")
    if changing and options["output_format"] == "json" and not (options["yes"] or options["dry_run"]):
        raise UsageError("-o json cannot ask", fix="Add --yes or --dry-run.", code="E-CLI-001")


async def examined(options: dict[str, Any]) -> Examination:
    """Look at the host and judge it as the options want."""
    from installer.services.preflight import examine
    from installer.wiring.cluster import known_releases
    from installer.wiring.preflight import knock, look

    off = [Layer("--no-hubble", nest(("spec", "hubble", "enabled"), False))] if options["no_hubble"] else []
    return await examine(
        look,
        load(options, off).document.spec,
        table=known_releases(),
        knock=None if options["skip_sources"] else knock,
        allow_unsupported=options["allow_unsupported"],
    )


async def _examine(options: dict[str, Any]) -> int:
    from installer.cli.render_preflight import render

    found = await examined(options)
    if options["output_format"] == "text":
        output.data(render(found, kernel=options["kernel"]))
    else:
        output.data_json(found.to_dict(kernel=options["kernel"]))
    return ExitCode.OK if found.ok else ExitCode.REFUSED
