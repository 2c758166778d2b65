"""Picking the one line that proves a problem, from texts that others wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable

from installer.domain.readiness_rules.facts import Object

LIMIT = 400
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # terminal sequences
    r"|[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # control codes, direction marks
)


def clean(text: str) -> str:
    """Return a text as one line without control codes or direction marks, shortened."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= LIMIT else line[: LIMIT - 1] + "…"


def last_line(text: str) -> str:
    """Return the last line of a text that says something."""
    for line in reversed(text.splitlines()):
        if cleaned := clean(line):
            return cleaned
    return ""


def latest_event(events: Iterable[Object], kind: str, namespace: str, name: str, *reasons: str) -> str:
    """Return the message of the newest event of an object with one of these reasons, empty if there is none."""
    found = [event for event in events if _is_about(event, kind, namespace, name) and event.get("reason") in reasons]
    return clean(str(max(found, key=event_time).get("message", ""))) if found else ""


def _is_about(event: Object, kind: str, namespace: str, name: str) -> bool:
    subject = event.get("involvedObject") or {}
    return (subject.get("kind"), subject.get("namespace", ""), subject.get("name")) == (kind, namespace, name)


def event_time(event: Object) -> str:
    """Return when an event was last seen, as the API writes times."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
    )
    return next((str(time) for time in times if time), "")
