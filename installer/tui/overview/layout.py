"""How the room of a screen is shared out among cards, and that of a card among its columns."""

from __future__ import annotations

from collections.abc import Sequence

GAP = 2
"""Cells between two columns."""
READABLE = 24
"""Cells of a column beyond which it gives way rather than have another left out."""
NARROWEST = 6
"""Cells that a column keeps when it gives way."""


def allot(wanted: Sequence[int], room: int, least: int) -> list[int]:
    """Return how many lines each card gets: what it wants where all fits, else the largest ones give way.

    Args:
        wanted: lines that each wants.
        room: lines there are.
        least: lines that every card gets at least (or what it wants, where that is less).
    """
    given = [min(want, least) for want in wanted]
    left = room - sum(given)
    while left > 0:
        hungry = [index for index, want in enumerate(wanted) if given[index] < want]
        if not hungry:
            break
        index = min(hungry, key=lambda one: given[one])
        given[index] += 1
        left -= 1
    return given


def fit_columns(widths: Sequence[int], room: int, optional: Sequence[int] = (), share: int = 40) -> list[int]:
    """Return the width of each column, 0 for one that is left out; the last one gets all that is left.

    Optional columns are left out where others would become too narrow, then the widest give way, until the last column
    has its share.

    Args:
        widths: cells that each column wants.
        room: cells there are.
        optional: columns in the order in which they are left out.
        share: percentage of the room that the last column gets at least, if it wants that much.
    """
    shown = list(range(len(widths)))
    fair = min(widths[-1], room * share // 100) if widths else 0
    for column in optional:
        if sum(min(widths[one], READABLE) + GAP for one in shown[:-1]) + fair <= room:
            break
        shown.remove(column)
        fair = min(widths[shown[-1]], room * share // 100)
    given = [width if index in shown else 0 for index, width in enumerate(widths)]
    *fixed, last = shown or [-1]
    while fixed and sum(given[one] + GAP for one in fixed) + fair > room:
        widest = max(fixed, key=lambda one: given[one])
        if given[widest] <= NARROWEST:
            break
        given[widest] -= 1
    if last >= 0:
        given[last] = max(0, room - sum(given[one] + GAP for one in fixed))
    return given
