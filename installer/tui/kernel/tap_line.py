"""The line that always tells how the tap is: its state, what it lost, what comes, who stands beside it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from installer.domain.text import one_line
from installer.services.kernel_watch import Companion, KernelWatch
from installer.tui.kernel import words
from installer.tui.policies.rows import Row
from installer.tui.widgets.parts import fitting

SPARK = 12
"""Seconds in the sparkline of drops."""
_STATES = {
    "off": ("TAP OFF", "$text-muted bold"),
    "starting": ("TAP STARTING", "$warning bold"),
    "on": ("TAP ON", "$success bold"),
    "stopping": ("TAP STOPPING", "$warning bold"),
    "failed": ("TAP FAILED", "$error bold"),
    "ended": ("TAP ENDED", "$warning bold"),
}
_COMPANIONS = {"there": "$success", "away": "$error", "waiting": "$warning", "off": "$text-muted"}
_COLOURS = {
    "error": "$error",
    "cut": "$error",
    "warning": "$warning",
    "good": "$success",
    "opened": "$success",
    "muted": "$text-muted",
    "head": "$primary bold",
    "name": "bold",
    "key": "$secondary",
}


def tap_line(watch: KernelWatch, now: float, width: int, *, paused: bool, ascii_only: bool) -> Content:
    """Return the line, as many parts of it as ``width`` cells hold."""
    board, second = watch.board, int(now)
    word, colour = _STATES[watch.word]
    drops = board.drops.all.rate(second)
    retransmits, resets = board.tcp.retransmits.rate(second), board.tcp.resets.rate(second)
    spark = words.spark(board.drops.all.series(second - 1, SPARK), ascii_only=ascii_only)
    parts = [
        Content.styled(word, colour),
        Content.styled("PAUSED", "$warning bold") if paused else Content(""),
        Content.styled(f"lost {board.lost:,}", "$warning bold" if board.lost else "$text-muted"),
        Content(f"{words.rate(board.told.rate(second))} flows/s"),
        Content.assemble(
            (f"drops {words.rate(drops)}/s", "$verdict-dropped bold" if drops else "$text-muted"),
            (f" {spark}" if drops else "", "$verdict-dropped"),
        ),
        Content.styled(f"retransmits {words.rate(retransmits)}/s", "$warning" if retransmits else "$text-muted"),
        Content.styled(f"resets {words.rate(resets)}/s", "$warning" if resets else "$text-muted"),
        _companion("Hubble", watch.hubble, "heard"),
        _companion("policies", watch.policies, "known"),
        Content.styled(f"every {board.traffic.interval:g} s", "$text-muted"),
        Content.styled(one_line(watch.source), "$text-muted"),
    ]
    return fitting((part for part in parts if part.plain), width)


def _companion(name: str, one: Companion, there: str) -> Content:
    return Content.styled(f"{name} {there if one.word == 'there' else one.word}", _COMPANIONS[one.word])


def losses_text(watch: KernelWatch) -> str:
    """Return what was lost, by kind; empty where nothing was."""
    found = watch.board.losses.most_common()
    return ", ".join(f"{name.removeprefix('TAP_').replace('_', ' ').lower()}: {number:,}" for name, number in found)


def as_content(rows: Sequence[Row]) -> Content:
    """Return rows as styled text."""
    made = [Content.assemble(*((one_line(text), _COLOURS.get(style, "")) for text, style in one.parts)) for one in rows]
    return Content("\n").join(made)
