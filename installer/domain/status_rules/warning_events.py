"""Recent Warning events, each told once."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from installer.domain.overview import WarningEvent
from installer.domain.readiness_rules.evidence import clean, event_time
from installer.domain.readiness_rules.facts import Object

LIMIT = 50
_Key = tuple[str, str, str, str]


def read_warnings(events: Iterable[Object], limit: int = LIMIT) -> tuple[WarningEvent, ...]:
    """Return Warning events, newest first; those about one object for one reason are one, their counts added."""
    found: dict[_Key, WarningEvent] = {}
    for event in events:
        if event.get("type") == "Warning":
            one = _read(event)
            key = (one.namespace, one.kind, one.name, one.reason)
            found[key] = _joined(found[key], one) if key in found else one
    return tuple(sorted(found.values(), key=attrgetter("last", "subject", "reason"), reverse=True)[:limit])


def _joined(first: WarningEvent, second: WarningEvent) -> WarningEvent:
    newest = max(first, second, key=attrgetter("last"))
    return WarningEvent(
        newest.last,
        first.count + second.count,
        newest.kind,
        newest.namespace,
        newest.name,
        newest.reason,
        newest.message,
    )


def _read(event: Object) -> WarningEvent:
    about = event.get("involvedObject") or {}
    series = event.get("series") or {}
    return WarningEvent(
        last=event_time(event),
        count=int(series.get("count") or event.get("count") or 1),
        kind=clean(str(about.get("kind") or "")),
        namespace=clean(str(about.get("namespace") or "")),
        name=clean(str(about.get("name") or "")),
        reason=clean(str(event.get("reason") or "")),
        message=clean(str(event.get("message") or "")),
    )
