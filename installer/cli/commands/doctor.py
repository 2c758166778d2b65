"""``beeyard doctor``."""

from __future__ import annotations

from typing import Any

import click

from installer.cli import output
from installer.cli.commands.install import run_to_end
from installer.cli.options import cluster_options, examples, output_option
from installer.cli.render_events import PlainEnd
from installer.domain.errors import ExitCode


@click.command("doctor", epilog=examples("sudo beeyard doctor", "beeyard doctor --context prod -o json"))
@cluster_options
@click.option("--no-cluster", is_flag=True, help="Look at this host alone.")
@output_option("text", "json")
def command(**options: Any) -> int:
    """Find out what is wrong with this host and its cluster, and what to do about it. Changes nothing.

    Reads the host (checks of preflight, logs of k3s and containerd, kernel messages, routing rules) and the cluster
    (states, events, logs, Helm), and names causes, the one to mend first at the top, each with the line that proves it.
    What cannot be read, without root or with an API that hangs, is told. Exit code 1 when something is wrong.
    """
    return run_to_end(_examine(options), PlainEnd(options["output_format"]))


async def _examine(options: dict[str, Any]) -> int:
    from installer.cli.render_doctor import render
    from installer.wiring.doctor import doctor

    given = options["kubeconfig"], options["context"], options["namespace"]
    async with doctor(*given, cluster=not options["no_cluster"]) as one:
        found = await one.examine()
    if options["output_format"] == "text":
        output.data(render(found))
    else:
        output.data_json(found.to_dict())
    return ExitCode.OK if found.ok else ExitCode.FAILED
