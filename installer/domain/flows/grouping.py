"""Flows counted by fields: ``--group-by ns,dport,verdict --every 5s`` and ``--top 10``.

Counts are of Hubble's events, not of packets: a connection is told when it opens, at new TCP flags and about every
five seconds. Both directions of a connection count for the same client and server (see ``sides``).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from installer.domain.errors import UsageError
from installer.domain.flows import sides
from installer.domain.flows.flow import Flow
from installer.domain.text import printable

LIMIT = 50_000
"""Groups kept apart; flows of further ones are counted as ``OTHER``."""

OTHER = "(other)"
ARROW = " -> "

Field = Callable[[Flow], str]


def _port(port: int) -> str:
    return str(port) if port else ""


def _both(part: Callable[[sides.Side], str]) -> Field:
    return lambda flow: f"{part(sides.client(flow))}{ARROW}{part(sides.server(flow))}"


def _of(side: Callable[[Flow], sides.Side], part: Callable[[sides.Side], str]) -> Field:
    return lambda flow: part(side(flow))


def _identity(side: sides.Side) -> str:
    return str(side.endpoint.identity) if side.endpoint else ""


def _http(part: str) -> Field:
    return lambda flow: str(getattr(flow.l7.http, part) or "") if flow.l7 and flow.l7.http else ""


def _service(side: sides.Side) -> str:
    return f"{side.service.namespace}/{side.service.name}" if side.service else ""


def _policies(flow: Flow) -> str:
    lists = (flow.egress_denied_by, flow.ingress_denied_by, flow.egress_allowed_by, flow.ingress_allowed_by)
    found = next((policies for policies in lists if policies), ())
    return ",".join(f"{policy.namespace}/{policy.name}".lstrip("/") for policy in found)


_SIDE: dict[str, Callable[[sides.Side], str]] = {
    "ns": lambda side: side.by_namespace,
    "pod": lambda side: side.by_pod,
    "workload": lambda side: side.by_workload,
    "ip": lambda side: side.ip,
    "identity": _identity,
    "name": lambda side: ",".join(side.names),
    "service": _service,
}

FIELDS: dict[str, Field] = {
    **{name: _both(part) for name, part in _SIDE.items()},
    **{f"src.{name}": _of(sides.client, part) for name, part in _SIDE.items()},
    **{f"dst.{name}": _of(sides.server, part) for name, part in _SIDE.items()},
    "dport": lambda flow: _port(sides.server_port(flow)),
    "sport": lambda flow: _port(sides.ports(flow)[1 if flow.is_reply else 0]),
    "protocol": sides.protocol,
    "verdict": sides.verdict,
    "reason": sides.reason,
    "direction": lambda flow: str(flow.traffic_direction).removeprefix("TRAFFIC_DIRECTION_"),
    "type": lambda flow: str(flow.event_type.type) if flow.event_type else "",
    "node": lambda flow: flow.node_name,
    "l7": sides.application,
    "http.method": _http("method"),
    "http.status": _http("code"),
    "http.url": _http("url"),
    "dns.query": lambda flow: flow.l7.dns.query if flow.l7 and flow.l7.dns else "",
    "policy": _policies,
}
"""What can be grouped by. Without ``src.`` or ``dst.`` (client, server), names of ends give ``client -> server``."""

_ALIASES = {"namespace": "ns", "port": "dport", "proto": "protocol", "drop-reason": "reason", "edge": "workload"}


def parse_fields(text: str) -> tuple[str, ...]:
    """Return the fields named in a comma-separated list.

    Raises:
        UsageError: ``E-FLOW-061`` a field is not known, or none is named.
    """
    names = [_canonical(part.strip().lower()) for part in text.split(",") if part.strip()]
    if not names:
        raise UsageError(
            "no field to group by", why="the list is empty", fix=f"name some of: {', '.join(FIELDS)}", code="E-FLOW-061"
        )
    return tuple(dict.fromkeys(names))


def _canonical(name: str) -> str:
    prefix, dot, rest = name.partition(".")
    name = _ALIASES.get(name, f"{prefix}.{_ALIASES.get(rest, rest)}" if dot else name)
    if name in FIELDS:
        return name
    near = difflib.get_close_matches(name, [*FIELDS, *_ALIASES], n=1)
    raise UsageError(
        f"cannot group by {name!r}",
        why=f"there is no such field{f'; did you mean {near[0]!r}?' if near else ''}",
        fix=f"name some of: {', '.join(FIELDS)}",
        code="E-FLOW-061",
    )


@dataclass(frozen=True, slots=True)
class Group:
    """One row: the fields' values, how many flows had them, and their part of all (0 to 1)."""

    values: tuple[str, ...]
    count: int
    share: float


class Grouping:
    """Counts flows by the values of fields, in bounded memory.

    Args:
        fields: names in ``FIELDS``.
        limit: groups kept apart; what does not fit is counted under ``OTHER``.
    """

    def __init__(self, fields: Sequence[str], limit: int = LIMIT) -> None:
        self.fields = tuple(fields)
        self.total = 0
        self._limit = limit
        self._getters = [FIELDS[name] for name in fields]
        self._counts: Counter[tuple[str, ...]] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, flow: Flow, weight: int = 1) -> None:
        """Count a flow."""
        values = tuple([getter(flow) for getter in self._getters])
        if values not in self._counts and len(self._counts) >= self._limit:
            values = (OTHER,) * len(self.fields)
        self._counts[values] += weight
        self.total += weight

    def groups(self, top: int = 0) -> list[Group]:
        """Return the groups, most flows first and equal ones by their values; the first ``top`` of them if not 0."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return [Group(values, count, count / self.total) for values, count in ranked[: top or None]]


@dataclass(frozen=True, slots=True)
class Window:
    """Counts of ``[start, end)``, UNIX time in nanoseconds."""

    start: int
    end: int
    grouping: Grouping


class Windows:
    """Groups flows by windows of time that start at whole multiples of their length.

    Args:
        fields: names in ``FIELDS``.
        every_ns: length of a window.
    """

    def __init__(self, fields: Sequence[str], every_ns: int) -> None:
        self._fields = tuple(fields)
        self._every = max(1, every_ns)
        self._window: Window | None = None

    def add(self, flow: Flow, now_ns: int) -> list[Window]:
        """Count a flow at a time (its own for a recording, the clock's for a live stream); return finished windows.

        A flow older than the window that is open counts for that one.
        """
        finished = self.advance(now_ns)
        if self._window is None:
            self._window = self._open(now_ns)
        self._window.grouping.add(flow)
        return finished

    def advance(self, now_ns: int) -> list[Window]:
        """Return the window that ended before the given time, if one did. Windows without flows are left out."""
        return self.close() if self._window is not None and now_ns >= self._window.end else []

    def close(self) -> list[Window]:
        """Return the window that is open, as the stream has ended."""
        window, self._window = self._window, None
        return [window] if window else []

    def _open(self, now_ns: int) -> Window:
        start = now_ns - now_ns % self._every
        return Window(start, start + self._every, Grouping(self._fields))


def table(fields: Sequence[str], groups: Sequence[Group]) -> list[str]:
    """Return aligned lines: a header, then ``COUNT  SHARE  FIELD ...`` per group; no colours, no control codes."""
    rows = [["COUNT", "SHARE", *(name.upper() for name in fields)]]
    rows += [[str(group.count), f"{group.share:.1%}", *map(_cell, group.values)] for group in groups]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def _cell(value: str) -> str:
    return printable(value).replace("\n", " ").replace("\t", " ") or "-"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    numbers = [cell.rjust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    return numbers + [cell.ljust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
