"""``beeyard tap``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from installer.cli.observe.arguments import ObserveCommand, filter_options, given_flags
from installer.cli.observe.options import formats_options, others_options, ours_options, wants_colour
from installer.cli.server_options import NAMES, server_options
from installer.domain.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from installer.cli.observe.request import Ask
    from installer.cli.observe.streams import Streams
    from installer.wiring.tap import TapOptions

_SHOWN = ("show_flows", "show_drops", "show_tcp", "show_dns")


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--flows", "show_flows", is_flag=True, help="Traffic of sockets, counted by flow."),
            click.option("--drops", "show_drops", is_flag=True, help="What the kernel drops, with its reason."),
            click.option("--tcp", "show_tcp", is_flag=True, help="Connections, their latency, retransmits, resets."),
            click.option("--dns", "show_dns", is_flag=True, help="Questions and answers of DNS over UDP."),
            click.option("--all-drops", is_flag=True, help="Also drops that are no losses: leftovers of sockets."),
            click.option("--reason", "reasons", multiple=True, metavar="NAME", help="Drops for it: NETFILTER_DROP."),
            click.option("--interval", default="1s", metavar="DURATION", show_default=True, help="Of the counts."),
            click.option("--for", "duration", default="", metavar="DURATION", help="End after this long."),
            click.option("--compare", is_flag=True, help="Tell at the end what the kernel saw and Hubble did not."),
        )
    ):
        function = option(function)
    return function


@click.command("tap", cls=ObserveCommand)
@_watched
@formats_options
@ours_options
@others_options
@server_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Watch this node's traffic and drops straight from the kernel (eBPF), with the filters and formats of observe.

    Without --flows, --drops, --tcp, --dns it shows all four. Needs root, bcc (python3-bpfcc) and kernel headers, but no
    Cilium, no Hubble and no Kubernetes.
    """
    from installer.cli.observe.streams import ReaderGoneError, Streams

    streams = Streams(silent=options["silent_errors"])
    try:
        _tap(ctx, options, streams)
    except ReaderGoneError:
        return ExitCode.OK
    return ExitCode.OK


command.params.extend(filter_options())


def _tap(ctx: click.Context, options: dict[str, Any], streams: Streams) -> None:
    from installer.cli.observe.tapped import TapAsk, compare_tap, observe_tap
    from installer.cli.server_options import server_choice

    seconds = _seconds("--for", options["duration"]) if options["duration"] else None
    ask = _ask(ctx, options, follow=seconds is None)
    if options["print_raw_filters"]:
        from installer.domain.flows.filter_print import print_raw_filters

        streams.out(print_raw_filters(ask.filters))
        return
    choice = server_choice({name: options[name] for name in NAMES})
    wanted = TapAsk(ask, _options(options), choice, seconds, frozenset(name.upper() for name in options["reasons"]))
    if options["compare"]:
        compare_tap(wanted, streams)
    else:
        observe_tap(wanted, streams)


def _ask(ctx: click.Context, options: dict[str, Any], *, follow: bool) -> Ask:
    from installer.cli.observe.request import make_ask

    terminal = sys.stdout.isatty()
    options["colour"] = wants_colour(options["color"], terminal=terminal)
    options["legacy_json"] = "legacy-json-output" in os.environ.get("HUBBLE_COMPAT", "").split(",")
    unused = {"all_flows": False, "first": 0, "last": 0, "since": "", "until": "", "follow": follow}
    return make_ask({**options, **unused}, given_flags(ctx), from_file=True, terminal=terminal)


def _options(options: dict[str, Any]) -> TapOptions:
    from installer.wiring.tap import TapOptions

    everything = not any(options[name] for name in _SHOWN)
    flows, drops, tcp, dns = (everything or options[name] for name in _SHOWN)
    interval = _seconds("--interval", options["interval"])
    if not 0.05 <= interval <= 3600:
        raise _wrong(f"--interval is out of range: {options['interval']}", "Give 50ms to 1h.")
    return TapOptions(flows, drops or options["all_drops"], options["all_drops"], tcp, dns, interval)


def _seconds(name: str, text: str) -> float:
    from installer.domain.flows import times

    try:
        seconds = times.parse_duration(text) / times.SECOND
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise _wrong(f"{name} is no duration: {text}", "Give one such as 500ms, 5s or 1m.")
    return seconds


def _wrong(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, code="E-BPF-020")
