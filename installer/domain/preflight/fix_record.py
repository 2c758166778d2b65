"""The record of applied fixes: written before each change, kept until it is taken back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.preflight.actions import Action, from_dict, to_dict

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One action.

    Attributes:
        code: code of the finding that it was for.
        at: UNIX time in seconds.
        action: what was done.
        before: what was there before, as the host's adapter wrote it down.
        done: the action ended; else it was begun, and may or may not have changed something.
    """

    code: str
    at: float
    action: Action
    before: Mapping[str, Any] = field(default_factory=dict)
    done: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "code": self.code,
            "at": self.at,
            "action": to_dict(self.action),
            "before": dict(self.before),
            "done": self.done,
        }


def dump(entries: list[Entry]) -> bytes:
    """Return the file's content."""
    return json.dumps({"format": FORMAT, "entries": [entry.to_dict() for entry in entries]}, indent=1).encode()


def load(data: bytes | None, path: str) -> list[Entry]:
    """Return the entries of a file, oldest first.

    Raises:
        BeeyardError: ``E-FIX-002`` it is damaged.
    """
    if data is None:
        return []
    try:
        found = json.loads(data)
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']}, this beeyard knows {FORMAT}")
        return [
            Entry(str(one["code"]), float(one["at"]), from_dict(one["action"]), one["before"], bool(one["done"]))
            for one in found["entries"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise BeeyardError(
            f"the record of applied fixes {path} is damaged",
            why=str(error),
            fix=f"Look at {path} by hand: it tells what was changed and what was there before.",
            code="E-FIX-002",
        ) from None
