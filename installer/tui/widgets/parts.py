"""Lines made of parts, of which a narrow screen shows the first."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content


def fitting(parts: Iterable[Content], width: int) -> Content:
    """Return as many of the first parts as ``width`` cells hold, as one line."""
    kept: list[Content] = []
    for part in parts:
        if part.cell_length > width:
            break
        width -= part.cell_length + 2
        kept.append(part)
    return Content("  ").join(kept)
