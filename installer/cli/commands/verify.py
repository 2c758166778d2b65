"""``beeyard verify``."""

from __future__ import annotations

from typing import Any

import click

from installer.cli import output
from installer.cli.commands.install import run_to_end
from installer.cli.options import cluster_options, output_option
from installer.cli.render_events import PlainEnd
from installer.domain.errors import ExitCode
from installer.domain.text import human_seconds, printable
from installer.domain.verification import Check, Report


@click.command("verify")
@cluster_options
@click.option("--image", default="", metavar="REF", help="Image of the pods (busybox); else one that the nodes hold.")
@output_option("text", "json")
def command(**options: Any) -> int:
    """Prove the network of a cluster with real connections and a policy that must cut one client off.

    Starts three small pods in a namespace of their own and removes it again, also on Ctrl-C. What cannot be checked is
    reported as unchecked, never as passed.
    """
    return run_to_end(_verify(options), PlainEnd(options["output_format"]))


async def _verify(options: dict[str, Any]) -> int:
    from installer.wiring.cluster import cluster

    text = options["output_format"] == "text"
    async with cluster(options["kubeconfig"], options["context"]) as services:
        proof = services.proof(options["namespace"], image=options["image"], on_check=_line if text else _silent)
        report = await proof.run()
    if text:
        output.data(_summary(report))
    else:
        output.data_json(report.to_dict())
    return ExitCode.OK if report.ok else ExitCode.FAILED


def _line(check: Check) -> None:
    output.data(printable(f"{check.outcome:<9}  {check.id:<14} {check.title}: {check.detail}"))
    if check.fix:
        output.data(printable(f"           fix: {check.fix}"))


def _silent(check: Check) -> None:
    del check


def _summary(report: Report) -> str:
    verdict = "The network works" if report.ok else "The network does not work as it must"
    return f"{verdict}: {report.summary} in {human_seconds(report.seconds)}."
