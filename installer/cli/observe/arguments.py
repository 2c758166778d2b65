"""The command line of ``observe``: filter flags keep their order, the rest is click's.

Filters are read by ``domain.flows.filter_flags`` before click sees the arguments, for ``--not`` is about the flag that
follows it. Click knows them too, for ``--help`` and for the completion of values in a shell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from installer.domain.errors import UsageError
from installer.domain.flows import enums, times
from installer.domain.flows.filter_flag_table import FLAGS, FilterFlag
from installer.domain.flows.filter_flags import FlagValue, parse_arguments
from installer.domain.flows.printing.choice import FORMATS

FLAGS_KEY = "beeyard.observe.flags"
_SHOWN_FIRST = ("beeyard.observe.error",)
BOOLEANS = (
    "all",
    "follow",
    "print-node-name",
    "print-policy-names",
    "numeric",
    "ip-translation",
    "silent-errors",
    "print-raw-filters",
    "use-default-field-masks",
    "debug",
    "tls",
    "tls-allow-insecure",
    "port-forward",
    "merge-denials",
    "explain",
)
"""Flags that Go's library also takes as ``--flag=false``."""
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")

_HELP = {
    "not": "Hide what the next filter matches; several make one clause together.",
    "exclude": "Hide what the next filter matches; every one is a clause of its own.",
    "uuid": "The flow of this id.",
    "node-name": "Flows of these nodes: [cluster/]node, with *.",
    "node-label": "Flows of nodes with these labels.",
    "cluster": "Endpoints of this cluster.",
    "protocol": "L4 or L7 protocol, such as udp or http.",
    "tcp-flags": "All of these flags are set, such as syn,ack.",
    "type": "Event type TYPE[:SUBTYPE], such as drop or trace:to-proxy.",
    "verdict": "Verdict, such as DROPPED.",
    "drop-reason-desc": "Reason of a drop, by name, text or number.",
    "http-status": "Status code of HTTP: 404, or 4+ for all that begin so.",
    "http-method": "Method of HTTP.",
    "http-path": "Pattern (RE2) of the path.",
    "http-url": "Pattern (RE2) of the URL.",
    "http-header": "Header of HTTP, KEY:VALUE.",
    "trace-id": "W3C trace id.",
    "ip-trace-id": "Trace id of an IP option.",
    "fqdn": "DNS name of the other side, with *.",
    "ip": "Address or CIDR.",
    "snat-ip": "Address or CIDR after source NAT.",
    "ipv4": "IPv4 only.",
    "ipv6": "IPv6 only.",
    "ip-version": "v4, v6, or none for what is not IP.",
    "pod": "Pod, [namespace/]prefix; namespace default without one.",
    "namespace": "Namespace.",
    "all-namespaces": "Pods of any namespace.",
    "label": "Selector of labels, such as app=web or 'app in (a,b)'.",
    "service": "Service, [namespace/]prefix.",
    "port": "Port.",
    "workload": "Workload, [Kind/]name.",
    "identity": "Security identity, by number or reserved name.",
    "traffic-direction": "ingress or egress.",
    "cel-expression": "CEL over _flow; servers only.",
    "interface": "Network interface of the node.",
    "encrypted": "Encrypted flows.",
    "unencrypted": "Flows that are not encrypted.",
    "dns-query": "Pattern (RE2) of the name asked for.",
    "reply": "Replies; --reply=false for the others.",
}
_STATUS = tuple(str(code) for group in ((200, 209), (300, 309), (400, 432), (500, 512)) for code in range(*group))
_VALUES: dict[str, Iterable[str]] = {
    "type": (*enums.EVENT_TYPES, *(f"trace:{point}" for point in enums.TRACE_POINTS)),
    "verdict": tuple(enums.VERDICTS)[1:],
    "drop-reason-desc": tuple(enums.DROP_REASONS)[1:],
    "protocol": enums.PROTOCOLS,
    "tcp-flags": enums.TCP_FLAGS,
    "http-method": ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"),
    "http-status": _STATUS,
    "identity": tuple(enums.RESERVED_IDENTITIES),
    "traffic-direction": ("ingress", "egress"),
    "ip-version": ("none", "v4", "v6"),
}
"""What a shell offers for the values of options."""
OUTPUTS, TIME_FORMATS, COLOURS = FORMATS, (*times.NAMES, "Relative"), ("auto", "always", "never")


def offers(values: Iterable[str]) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return a completion that offers these values."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(value) for value in values if value.lower().startswith(incomplete.lower())]

    return complete


class ObserveCommand(click.Command):
    """Reads filter flags in their order; errors are told later, in hubble's words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the filter flags out and let click read the rest."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        try:
            flags, rest = parse_arguments(args)
        except UsageError as problem:
            flags, rest = [], []
            ctx.meta[_SHOWN_FIRST[0]] = problem
        ctx.meta[FLAGS_KEY] = flags
        return super().parse_args(ctx, _without_values(rest))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write options in two sections: filters, and the others."""
        rows: dict[str, list[tuple[str, str]]] = {"Filters": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                rows["Filters" if isinstance(param, _FilterOption) else "Options"].append(record)
        for title in ("Options", "Filters"):
            with formatter.section(title):
                formatter.write_dl(rows[title])


def given_flags(ctx: click.Context) -> Sequence[FlagValue]:
    """Return the filter flags of a call, in their order.

    Raises:
        FilterError: one lacks its value.
    """
    problem = ctx.meta.get(_SHOWN_FIRST[0])
    if isinstance(problem, UsageError):
        raise problem
    flags: Sequence[FlagValue] = ctx.meta[FLAGS_KEY]
    return flags


class Count(click.ParamType[int]):
    """A number of flows, a uint64 as in the API; help does not tell that range."""

    name = "integer"
    _range = click.IntRange(min=0, max=2**64 - 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        return int(self._range.convert(value, param, ctx))


class _FilterOption(click.Option):
    """A filter flag as click shows it."""


def filter_options() -> list[click.Option]:
    """Return the filter flags for help and completion."""
    return [_option(flag) for flag in FLAGS.values()]


def _option(flag: FilterFlag) -> click.Option:
    base = flag.name.removeprefix("from-").removeprefix("to-")
    side = " Source only." if flag.name.startswith("from-") else " Destination only." if flag.name != base else ""
    names = [f"--{flag.name}"] + ([f"-{flag.short}"] if flag.short else [])
    values = _VALUES.get(base)
    return _FilterOption(
        names,
        help=_HELP[base] + side,
        expose_value=False,
        is_flag=not flag.takes_value,
        multiple=flag.takes_value,
        metavar="TEXT" if flag.takes_value else None,
        shell_complete=offers(values) if values else None,
    )


def _without_values(args: Sequence[str]) -> list[str]:
    """Turn ``--flag=true`` and ``--flag=false`` of flags into what click reads."""
    out: list[str] = []
    for arg in args:
        name, equals, value = arg.removeprefix("--").partition("=")
        if not (equals and arg.startswith("--") and name in BOOLEANS and value in _TRUE + _FALSE):
            out.append(arg)
        elif value in _TRUE:
            out.append(f"--{name}")
        elif name in ("ip-translation", "use-default-field-masks"):
            out.append(f"--no-{name}")
    return out
