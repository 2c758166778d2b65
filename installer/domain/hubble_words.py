"""What `beeyard hubble status|nodes|namespaces` print, in the forms of the hubble command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from installer.domain.text import printable

MISSING = "N/A"
SECOND = 1_000_000_000


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align columns as hubble does: three spaces between them, the last one free."""
    clean = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    columns = max(len(row) for row in clean)
    widths = [
        max((len(row[index]) + 3 for row in clean if len(row) > index + 1), default=0) for index in range(columns)
    ]
    lines = [
        "".join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)) + row[-1] for row in clean
    ]
    return "\n".join(lines)


def go_duration(nanos: int) -> str:
    """Return a duration as Go prints it: ``1h2m3.5s``, ``250ms``."""
    if nanos < SECOND:
        unit, size = ("ms", 1_000_000) if nanos >= 1_000_000 else ("µs", 1000) if nanos >= 1000 else ("ns", 1)
        return _decimal(nanos, size) + unit if nanos else "0s"
    minutes, rest = divmod(nanos, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    text = _decimal(rest, SECOND) + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _decimal(number: int, size: int) -> str:
    whole, part = divmod(number, size)
    digits = f"{part:0{len(str(size)) - 1}}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def flows_ratio(held: int, capacity: int) -> str:
    """Return how full a ring is: ``12,285/12,285 (100.00%)``."""
    share = f" ({held / capacity * 100:.2f}%)" if capacity else ""
    return f"{held:,}/{capacity:,}{share}"


def state_word(state: str) -> str:
    """Return a node's state in a word: ``Connected``."""
    known = {"NODE_CONNECTED", "NODE_UNAVAILABLE", "NODE_GONE", "NODE_ERROR"}
    return state.removeprefix("NODE_").title() if state in known else "Unknown"


def without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what has protobuf's default, as its JSON form does."""
    return {key: value for key, value in fields.items() if value not in ("", 0, None, [], {})}
