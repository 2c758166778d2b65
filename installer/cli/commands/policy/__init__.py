"""``beeyard policy``."""

from __future__ import annotations

import click

from installer.cli.commands.policy import ask, change, check, learn, look, may, new
from installer.cli.options import CommandGroup


@click.group("policy", cls=CommandGroup)
def command() -> None:
    """Check, try out, change and draw network policies.

    Works on the cluster of the kubeconfig, on files and folders, and on standard input (-).
    """


for part in (
    *new.COMMANDS,
    *look.COMMANDS,
    *may.COMMANDS,
    *check.COMMANDS,
    *ask.COMMANDS,
    *learn.COMMANDS,
    *change.COMMANDS,
):
    command.add_command(part)
