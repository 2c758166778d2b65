"""``beeyard runs``: the history."""

from __future__ import annotations

import click

from installer.cli import output
from installer.cli.options import CommandGroup, examples, output_option
from installer.domain.errors import ExitCode
from installer.domain.history import details, table
from installer.domain.text import printable


@click.group("runs", cls=CommandGroup, invoke_without_command=True)
@output_option("text", "json")
@click.pass_context
def command(context: click.Context, output_format: str) -> int:
    """Tell what beeyard did on this host: when, how it ended, what it changed.

    `beeyard runs` alone lists the runs; `beeyard undo` takes one back.
    """
    if context.invoked_subcommand is None:
        return int(context.invoke(list_, output_format=output_format))
    return ExitCode.OK


@command.command("list", epilog=examples("sudo beeyard runs", "sudo beeyard runs list -o json"))
@output_option("text", "json")
def list_(output_format: str) -> int:
    """List all runs, the newest first."""
    _need_root()
    from installer.wiring.runs import run_history

    runs = run_history().list()
    if output_format == "json":
        output.data_json({"runs": [one.to_dict() for one in runs]})
    elif runs:
        output.data(printable(table(runs)))
    else:
        output.talk("beeyard changed nothing on this host yet")
    return ExitCode.OK


@command.command("show", epilog=examples("sudo beeyard runs show 20261123T161548"))
@click.argument("run")
@output_option("text", "json")
def show(run: str, output_format: str) -> int:
    """Show one run: its steps, and what it changed. The beginning of its id is enough."""
    _need_root()
    from installer.wiring.runs import run_history

    found = run_history().show(run)
    if output_format == "json":
        output.data_json(found.to_dict())
    else:
        output.data(printable(details(found)))
    return ExitCode.OK


def _need_root() -> None:
    from installer.services.install import require_root

    require_root("runs", "Only root may read the journals of runs.")
