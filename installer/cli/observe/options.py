"""Options that ``observe`` and ``tap`` share: formats, counting, filters of the API."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from installer.cli.observe.arguments import COLOURS, OUTPUTS, TIME_FORMATS, Count, offers

COUNT = Count()


def formats_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options on how flows are printed."""
    for option in reversed(
        (
            click.option(
                "-o",
                "--output",
                "output_format",
                default="compact",
                metavar="FORMAT",
                show_default=True,
                help=f"{', '.join(OUTPUTS)}HEADER:PATH,...",
                shell_complete=offers(OUTPUTS),
            ),
            click.option("--print-node-name", is_flag=True, help="With the node's name."),
            click.option("--print-policy-names", is_flag=True, help="With the policies that decided."),
            click.option("--numeric", is_flag=True, help="Addresses instead of names."),
            click.option("--ip-translation/--no-ip-translation", default=True, help="Names instead of addresses."),
            click.option(
                "--color", default="auto", metavar="WHEN", help="auto, always or never.", shell_complete=offers(COLOURS)
            ),
            click.option(
                "--time-format",
                default="StampMilli",
                metavar="NAME",
                help=f"{', '.join(TIME_FORMATS)}.",
                shell_complete=offers(TIME_FORMATS),
            ),
            click.option("--time-zone", default="utc", metavar="ZONE", help="utc, local, +02:00, or Europe/Berlin."),
            click.option("--field-mask", multiple=True, metavar="PATHS", help="Fields asked for; with -o json only."),
            click.option(
                "--use-default-field-masks/--no-use-default-field-masks",
                default=True,
                help="Ask only for the fields that the format shows.",
            ),
        )
    ):
        function = option(function)
    return function


def ours_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that hubble does not have."""
    for option in reversed(
        (
            click.option("--where", default="", metavar="TEXT", help="Expression: verdict=dropped and dst.ns=prod."),
            click.option("--group-by", default="", metavar="FIELDS", help="Count by fields: ns,dport,verdict."),
            click.option("--every", default="", metavar="DURATION", help="Tell counts this often, such as 5s."),
            click.option("--top", type=COUNT, default=0, metavar="N", help="The N largest groups."),
            click.option("--merge-denials", is_flag=True, help="Show the two records of one denial as one."),
            click.option("--explain", is_flag=True, help="Tell why flows were dropped, and what would allow them."),
            click.option("--policies", multiple=True, metavar="PATH", help="Explain with these, not the cluster's."),
        )
    ):
        function = option(function)
    return function


def others_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add filters of the API, and how much is said."""
    for option in reversed(
        (
            click.option("--allowlist", multiple=True, metavar="JSON", help="Filters of the API to show."),
            click.option("--denylist", multiple=True, metavar="JSON", help="Filters of the API to hide."),
            click.option("--print-raw-filters", is_flag=True, help="Print the filters as YAML and end."),
            click.option("-s", "--silent-errors", is_flag=True, help="Nothing but errors on stderr."),
            click.option("-D", "--debug", is_flag=True, help="Tell what is asked for, and all states of nodes."),
        )
    ):
        function = option(function)
    return function


def wants_colour(when: str, *, terminal: bool) -> bool:
    """Tell whether to colour the output; ``when`` is auto, always or never."""
    if when.lower() in ("always", "never"):
        return when.lower() == "always"
    return terminal and not os.environ.get("NO_COLOR")
