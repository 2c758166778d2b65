"""``beeyard status``."""

from __future__ import annotations

from typing import Any

import click

from installer.cli import output
from installer.cli.commands.install import run_to_end
from installer.cli.options import cluster_options, output_option
from installer.cli.render_events import LineRenderer, PlainEnd
from installer.cli.render_status import render
from installer.domain.errors import ExitCode
from installer.domain.events import ReadinessChanged
from installer.domain.readiness import Snapshot
from installer.domain.text import printable


@click.command("status")
@cluster_options
@click.option("--wait", is_flag=True, help="Wait until everything is ready.")
@click.option("--timeout", type=click.FloatRange(min=1), default=300.0, show_default=True, help="Seconds for --wait.")
@click.option("--check-updates", is_flag=True, help="Ask the network for the newest stable k3s.")
@output_option("text", "json")
def command(**options: Any) -> int:
    """Show a cluster's nodes, Cilium and Hubble, and what is not ready and why.

    Works on any cluster with Cilium. Exit code 1 when something is not ready, 4 when --wait ran out of time.
    """
    return run_to_end(_status(options), PlainEnd(options["output_format"]))


async def _status(options: dict[str, Any]) -> int:
    from installer.wiring.cluster import cluster

    text = options["output_format"] == "text"
    async with cluster(options["kubeconfig"], options["context"]) as services:
        if options["wait"]:
            await services.wait_ready(options["namespace"], options["timeout"], _Progress() if text else _silent)
        status = await services.status(options["namespace"], ask_k3s=options["check_updates"])
    if text:
        output.data(printable(render(status)))
    else:
        output.data_json(status.to_dict())
    return ExitCode.OK if status.ready else ExitCode.FAILED


class _Progress:
    """Tells on stderr what becomes ready."""

    def __init__(self) -> None:
        self._lines = LineRenderer()

    def __call__(self, snapshot: Snapshot) -> None:
        self._lines.event(ReadinessChanged(0.0, snapshot))


def _silent(snapshot: Snapshot) -> None:
    del snapshot
