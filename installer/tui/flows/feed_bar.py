"""The line that always tells what the table rests on: source, rate, drops, lag, losses."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from installer.domain.flows.lag import lag_text
from installer.domain.flows.rates import ASCII_BLOCKS, BLOCKS, sparkline
from installer.domain.text import printable
from installer.tui.flows.model import FlowsModel
from installer.tui.widgets.parts import fitting

SPARK = 16
"""Seconds in the sparkline."""

STATES = {
    "connecting": "$warning bold",
    "live": "$success bold",
    "paused": "$warning bold",
    "lost": "$error bold",
    "failed": "$error bold",
    "ended": "$text-muted bold",
    "idle": "$text-muted bold",
}
"""Words of the feed's state and their colours."""


@dataclass(frozen=True, slots=True)
class FeedState:
    """What the screen knows besides the model.

    Attributes:
        word: one of ``STATES``.
        source: name of the source.
        unseen: lines below what is shown.
        at_source: whether the source filters too.
    """

    word: str
    source: str
    unseen: int = 0
    at_source: bool = False


def feed_line(model: FlowsModel, state: FeedState, clock: float, width: int, *, ascii_only: bool = False) -> Content:
    """Return the line, as many parts of it as ``width`` cells hold; state, losses and lag come first."""
    now = model.now(clock)
    flows, drops = model.rates.rate(now)
    worst = model.lag.worst()
    missing = model.store.losses.total
    parts = [
        Content.styled(state.word.upper(), STATES[state.word]),
        Content.styled(f"{state.unseen:,} new (G)", "$accent bold") if state.unseen else None,
        Content.styled(f"lost {missing:,}", "$warning bold" if missing else "$text-muted"),
        Content(f"lag {lag_text(worst.median)}") if worst else None,
        Content(f"{flows:,.0f}/s"),
        Content.styled(f"drops {drops:,.0f}/s", "$verdict-dropped bold" if drops else "$text-muted"),
        _shown(model),
        _spark(model, now, ascii_only=ascii_only),
        Content.styled("filtered at the source", "$warning") if state.at_source else None,
        Content.styled(printable(state.source), "$text-muted"),
    ]
    return fitting((part for part in parts if part is not None), width)


def _spark(model: FlowsModel, now: int, *, ascii_only: bool) -> Content:
    series = model.rates.series(now - (0 if model.recorded else 1), SPARK)
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    total = sparkline([bucket.flows for bucket in series], blocks)
    dropped = sparkline([bucket.drops for bucket in series], blocks)
    return Content.assemble((total, "$secondary"), " ", (dropped, "$verdict-dropped"))


def _shown(model: FlowsModel) -> Content:
    shown, kept = len(model.view), len(model.store)
    behind = model.view.behind
    some = f"{shown:,} of {kept:,}" if shown != kept else f"{kept:,}"
    return Content(f"{some} flows") if not behind else Content(f"{some} flows, {behind:,} to look at")
