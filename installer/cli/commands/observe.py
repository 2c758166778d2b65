"""``beeyard observe``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from installer.cli import output
from installer.cli.observe.arguments import ObserveCommand, filter_options, given_flags
from installer.cli.observe.options import COUNT, formats_options, others_options, ours_options, wants_colour
from installer.cli.options import examples
from installer.cli.server_options import NAMES, server_options
from installer.domain.errors import BeeyardError, ExitCode, UsageError
from installer.domain.text import printable

if TYPE_CHECKING:
    from installer.cli.observe.streams import Streams

KINDS = ("flows", "agent-events", "debug-events")


def _selectors(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--all", "all_flows", is_flag=True, help="All flows that the servers still hold."),
            click.option("--last", type=COUNT, default=0, metavar="N", help="The newest N of every node (default 20)."),
            click.option("--first", type=COUNT, default=0, metavar="N", help="The oldest N of every node."),
            click.option("-f", "--follow", is_flag=True, help="Go on with new flows."),
            click.option("--since", default="", metavar="WHEN", help="From then on: 5m, 1h30m, or a time (RFC 3339)."),
            click.option("--until", default="", metavar="WHEN", help="Up to then; without -f."),
            click.option("--input-file", default="", metavar="FILE", help="Read -o jsonpb lines; - for stdin."),
        )
    ):
        function = option(function)
    return function


@click.command(
    "observe",
    cls=ObserveCommand,
    epilog=examples(
        "beeyard observe -f --verdict DROPPED --explain",
        "beeyard observe -f --where 'dst.ns=prod and port>1024'",
        "beeyard observe --since 10m --group-by src.workload,dst.workload,verdict --top 10",
        "beeyard observe --input-file flows.jsonl -n shop -o csv",
    ),
)
@click.argument("kind", type=click.Choice(KINDS), default="flows", required=False)
@_selectors
@formats_options
@ours_options
@others_options
@server_options
@click.pass_context
def command(ctx: click.Context, /, kind: str, **options: Any) -> int:
    """Watch flows, or an agent's events, with the options of `hubble observe` and more.

    Filters of one kind are alternatives, those of different kinds must all hold. Expressions: docs/observe-filters.md.
    """
    from installer.cli.observe.streams import ReaderGoneError, Streams

    streams = Streams(silent=options["silent_errors"])
    try:
        _observe(ctx, kind, options, streams)
    except ReaderGoneError:
        return ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.OK
    except UsageError as problem:
        return _refused(problem)
    return ExitCode.OK


command.params.extend(filter_options())


def _refused(problem: BeeyardError) -> int:
    """Tell a wrong call as hubble does, in one line; on a terminal with the fix too."""
    if sys.stderr.isatty():
        output.error(problem)
    else:
        output.talk(printable(problem.what))
    return ExitCode.FAILED


def _observe(ctx: click.Context, kind: str, options: dict[str, Any], streams: Streams) -> None:
    from installer.cli.observe.request import event_selectors, make_ask

    terminal = sys.stdout.isatty()
    options["colour"] = wants_colour(options["color"], terminal=terminal)
    options["legacy_json"] = "legacy-json-output" in os.environ.get("HUBBLE_COMPAT", "").split(",")
    flags = given_flags(ctx)
    path = options["input_file"]
    ask = make_ask(options, flags, from_file=bool(path), terminal=terminal)
    if options["print_raw_filters"]:
        from installer.domain.flows.filter_print import print_raw_filters

        streams.out(print_raw_filters(ask.filters))
        return
    if options["debug"]:
        streams.err(f"beeyard: {ask.selectors} {printable(str(ask.filters))}\n")
    if path and kind == "flows":
        if options["port_forward"]:
            raise UsageError("cannot use --input-file and --port-forward together", code="E-FLOW-028")
        from installer.cli.observe.recorded import observe_file

        observe_file(path, ask, streams)
        return
    from installer.cli.observe.live import observe_events, observe_server
    from installer.cli.server_options import server_choice

    choice = server_choice({name: options[name] for name in NAMES})
    if kind == "flows":
        observe_server(choice, ask, streams)
    else:
        observe_events(choice, kind, event_selectors(options), options["output_format"], ask.printing, streams)
