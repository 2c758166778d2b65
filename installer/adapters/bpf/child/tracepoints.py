"""Tracepoints of the running kernel: their ids, fields and the words for their numbers, from tracefs."""

from __future__ import annotations

import re
from pathlib import Path

_FIELD = re.compile(
    r"field:(?P<type>.*?)(?P<name>\w+)(?:\[(?P<length>\d*)\])?;\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);"
)
_WORD = re.compile(r"\{\s*(0x[0-9a-fA-F]+|\d+),\s*\"([^\"]*)\"\s*\}")


class Tracepoint:
    """One tracepoint.

    Attributes:
        id: number for ``perf_event_open``.
        fields: offset and size in bytes by name.
        words: names of the numbers of the field ``reason``.
    """

    def __init__(self, folder: Path) -> None:
        self.id = int((folder / "id").read_text())
        text = (folder / "format").read_text()
        self.fields: dict[str, tuple[int, int]] = {
            found["name"]: (int(found["offset"]), int(found["size"])) for found in _FIELD.finditer(text)
        }
        _, _, symbols = text.partition("__print_symbolic(REC->reason,")
        self.words: dict[int, str] = {int(number, 0): name for number, name in _WORD.findall(symbols)}


def find_tracepoint(root: Path, name: str) -> Tracepoint | None:
    """Return a tracepoint such as ``skb/kfree_skb``, None where the kernel has none."""
    folder = root / "events" / name
    return Tracepoint(folder) if (folder / "id").exists() else None
