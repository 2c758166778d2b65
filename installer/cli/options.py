"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def output_option(*formats: str) -> Callable[[F], F]:
    """``-o``: the first format is the default."""
    return click.option(
        "-o",
        "--output",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
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
