"""Options of ``observe`` checked and turned into what is asked for and how it is shown, in hubble's order and words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.domain.errors import UsageError
from installer.domain.flows import times
from installer.domain.flows.filter_flags import FlagValue, filters_from_flags
from installer.domain.flows.filter_match import Match, compile_filters
from installer.domain.flows.flow_filter import FilterSet
from installer.domain.flows.grouping import parse_fields
from installer.domain.flows.printing.options import PrintOptions

if TYPE_CHECKING:
    from installer.domain.flows.where import Where

FLOW_COUNT = 20
EVERYTHING = 2**64 - 1
JSON = ("json", "JSON", "jsonpb")
_STREAMED = ("compact", *JSON, "csv", "tsv")


@dataclass(frozen=True, slots=True)
class Selectors:
    """Which part of the past and the future is wanted; times are UNIX nanoseconds."""

    number: int = 0
    first: bool = False
    follow: bool = False
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of ``observe``.

    Attributes:
        selectors: which part of the stream.
        filters: what a server or a file leaves out.
        where: an expression on top.
        form: output format.
        printing: how flows are printed.
        group_by: fields to count by; empty: flows are printed.
        every: nanoseconds of a window of counts; 0: one count at the end.
        top: groups shown; 0: all.
        merge: fold the two records of a denial.
        explain: tell why flows were refused.
        policies: files and folders to explain with; empty: the cluster's policies.
        mask: fields asked of a server; None: as many as the format needs.
    """

    selectors: Selectors
    filters: FilterSet
    where: Where | None
    form: str
    printing: PrintOptions
    group_by: tuple[str, ...] = ()
    every: int = 0
    top: int = 0
    merge: bool = False
    explain: bool = False
    policies: tuple[str, ...] = ()
    mask: tuple[str, ...] | None = None

    @property
    def line_by_line(self) -> bool:
        """Whether every flow is printed by itself, so that several processes may do it."""
        plain = self.form in _STREAMED and not (self.group_by or self.merge or self.explain)
        return plain and not self.selectors.number

    def keep(self) -> Match | None:
        """Return the test of filters and expression together; None when all pass. Lost events pass an expression.

        Raises:
            FilterError: a filter that cannot be used.
        """
        some = bool(self.filters.whitelist or self.filters.blacklist)
        match = compile_filters(self.filters) if some else None
        if self.where is None:
            return match
        matches = self.where.matches
        return lambda flow: (flow is None or matches(flow)) and (match is None or match(flow))


def make_ask(options: Mapping[str, Any], flags: Sequence[FlagValue], *, from_file: bool, terminal: bool) -> Ask:
    """Check the options and return what is asked for.

    Raises:
        UsageError: with hubble's words where hubble has the option.
    """
    filters = filters_from_flags(flags, allowlist=options["allowlist"], denylist=options["denylist"])
    form = options["output_format"]
    follow = bool(options["follow"])
    _check_format(form, options, follow=follow)
    selectors = _selectors(options, follow=follow, from_file=from_file)
    top, every = options["top"], options["every"]
    grouped = options["group_by"] or ("edge,dport,verdict" if top or every else "")
    return Ask(
        selectors=selectors,
        filters=filters,
        where=_where(options["where"]),
        form=form,
        printing=_printing(options, terminal=terminal),
        group_by=parse_fields(grouped) if grouped else (),
        every=_every(every, follow=follow and bool(grouped)),
        top=top,
        merge=options["merge_denials"],
        explain=options["explain"],
        policies=options["policies"],
        mask=_mask(options, form),
    )


def _where(text: str) -> Where | None:
    if not text:
        return None
    from installer.domain.flows.where import compile_where

    return compile_where(text)


def _wrong(what: str, fix: str = "See beeyard observe --help.") -> UsageError:
    return UsageError(what, fix=fix, code="E-FLOW-028")


def _check_format(form: str, options: Mapping[str, Any], *, follow: bool) -> None:
    if form in ("tab", "table") and follow:
        raise _wrong("table output format is not compatible with follow mode", "Use -o wide, which follows.")
    if options["explain"] and form not in ("compact", "dict"):
        raise _wrong(f"{form} output format is not compatible with --explain", "Use -o compact or -o dict.")
    if options["policies"] and not options["explain"]:
        raise _wrong("--policies is of use only with --explain", "Add --explain.")
    if form not in JSON and options["field_mask"]:
        raise _wrong(f"{form} output format is not compatible with custom field mask", "Use -o jsonpb.")


def _selectors(options: Mapping[str, Any], *, follow: bool, from_file: bool) -> Selectors:
    first, last, everything = options["first"], options["last"], options["all_flows"]
    for wrong, one, other in (
        (first and last, "first", "last"),
        (first and everything, "first", "all"),
        (first and follow, "first", "follow"),
        (last and everything, "last", "all"),
    ):
        if wrong:
            raise _wrong(f"cannot set both --{one} and --{other}", f"Leave --{other} out.")
    since = _moment("since", options["since"])
    until = None if follow else _moment("until", options["until"])
    number = first or last
    if since is None and until is None and not first:
        if everything:
            number = EVERYTHING
        elif not last and not follow and not from_file:
            number = FLOW_COUNT
    return Selectors(number, bool(first), follow, since, until)


def event_selectors(options: Mapping[str, Any]) -> Selectors:
    """Return the selectors of agent events and debug events.

    Raises:
        UsageError: a time cannot be read.
    """
    follow = bool(options["follow"])
    since = _moment("since", options["since"])
    until = None if follow else _moment("until", options["until"])
    number = options["last"]
    if since is None and until is None:
        number = EVERYTHING if options["all_flows"] else number or FLOW_COUNT
    return Selectors(number, False, follow, since, until)


def _moment(name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        return times.parse_moment(text, time.time_ns())
    except ValueError as problem:
        fix = "Give a duration such as 5m or 1h30m, or a time such as 2026-01-05T10:00:00Z."
        raise _wrong(f"failed to parse the {name} time: {problem}", fix) from problem


def _every(text: str, *, follow: bool) -> int:
    if not text:
        return 5 * times.SECOND if follow else 0
    try:
        nanos = times.parse_duration(text)
    except ValueError:
        nanos = 0
    if nanos <= 0:
        raise _wrong(f"--every is no duration: {text}", "Give one such as 5s or 1m.")
    return nanos


def _mask(options: Mapping[str, Any], form: str) -> tuple[str, ...] | None:
    given = tuple(path for value in options["field_mask"] for path in value.split(",") if path)
    if given:
        return given
    whole = form in JSON or form.startswith("custom-columns=") or not options["use_default_field_masks"]
    return () if whole else None


def _printing(options: Mapping[str, Any], *, terminal: bool) -> PrintOptions:
    return PrintOptions(
        time=_time(options),
        node_names=options["print_node_name"],
        policy_names=options["print_policy_names"],
        translate=options["ip_translation"] and not options["numeric"],
        colour=options["colour"],
        terminal=terminal,
        debug=options["debug"],
        legacy_json=options["legacy_json"] and options["output_format"] in ("json", "JSON"),
    )


def _time(options: Mapping[str, Any]) -> Callable[[str], str]:
    if options["time_format"].lower() == "relative":
        return times.relative(time.time_ns)
    return times.formatter(options["time_format"], _zone(options["time_zone"]))


def _zone(name: str) -> tzinfo | None:
    if name.lower() in ("", "utc"):
        return None
    if name.lower() == "local":
        return _local()
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return datetime.strptime(name, "%z").tzinfo if name[0] in "+-" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        fix = "Give utc, local, an offset such as +02:00, or a name such as Europe/Berlin."
        raise _wrong(f"there is no time zone {name}", fix) from problem


def _local() -> tzinfo | None:
    from zoneinfo import ZoneInfo

    try:
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return datetime.now().astimezone().tzinfo
