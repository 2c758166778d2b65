"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Chosen:
    """What ``beeyard`` has to know of a command after it failed; the context's object."""

    output: str = ""
    """Format of errors on stdout: json, ndjson, or none."""


class CommandGroup(click.Group):
    """A group whose help tells of every command in a whole sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands; long lines are wrapped, not cut."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, one.get_short_help_str(limit=200)) for name, one in found if one and not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def examples(*lines: str) -> str:
    """Return the epilog of a command: examples, each on a line of its own however narrow the terminal."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def output_option(*formats: str, events: bool = False) -> Callable[[F], F]:
    """``-o``: the first format is the default. An error is told in this format too, as an event where it has events."""

    def choose(ctx: click.Context, param: click.Parameter, value: str) -> str:
        del param
        if isinstance(ctx.obj, Chosen) and value == "json":
            ctx.obj.output = "ndjson" if events else "json"
        return value

    return click.option(
        "-o",
        "--output",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        callback=choose,
        help="Format of what goes to stdout.",
    )


def config_options(function: F) -> F:
    """``-f`` and ``--set``."""
    for option in (
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="PATH=VALUE",
            help="Set one value, such as k3s.clusterCIDR=10.52.0.0/16. Repeatable.",
        ),
        click.option("-f", "--file", "file", metavar="FILE", help="Specification (beeyard.yaml); - reads stdin."),
    ):
        function = option(function)
    return function


def cluster_options(function: F) -> F:
    """``--kubeconfig``, ``--context`` and ``--namespace``."""
    for option in (
        click.option("-n", "--namespace", default="kube-system", show_default=True, help="Namespace of Cilium."),
        click.option("--context", help="Context of the kubeconfig."),
        click.option("--kubeconfig", metavar="PATH", help="Kubeconfig; else KUBECONFIG, k3s' own, ~/.kube/config."),
    ):
        function = option(function)
    return function
