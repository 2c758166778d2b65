"""``beeyard tui``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from installer.domain.errors import UsageError


@click.command("tui")
@click.option(
    "--area", default="", metavar="AREA", help="Area to begin with: setup, overview, policies, flows, kernel."
)
@click.option("--context", help="Context of the kubeconfig.")
@click.option("--kubeconfig", metavar="PATH", help="Kubeconfig; else KUBECONFIG, k3s' own, ~/.kube/config.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal, to mark and copy text.")
def command(**options: Any) -> int:
    """Open the cockpit, as beeyard without arguments does."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "The cockpit needs a terminal",
            why="Standard input or standard error is no terminal.",
            fix="Run it in a terminal; in scripts use the commands (beeyard --help).",
            code="E-TUI-004",
        )
    main = import_module("installer.tui.main")  # by name: cli and tui do not know each other
    return int(
        main.open_cockpit(options["area"], options["kubeconfig"], options["context"], mouse=not options["no_mouse"])
    )
