"""Times as ages."""

from __future__ import annotations

from datetime import datetime


def age(time: str, now: float) -> str:
    """Return how long ago an RFC 3339 time was: ``45s``, ``3m``, ``7h``, ``12d``; ``-`` where it is none."""
    try:
        seconds = int(now - datetime.fromisoformat(time).timestamp())
    except ValueError:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
