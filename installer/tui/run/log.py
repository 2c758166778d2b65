"""The log of the run, filtered."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from installer.domain.run_log import FilteredLog, LogEntry
from installer.domain.text import one_line
from installer.tui.widgets.lines import LONGEST, LineView

NARROW = 56
"""Cells below which the column of steps is left out."""
STEP = 11


class LogLines:
    """The lines of a filtered log, with the time since the run began.

    Args:
        log: the log.
        began: UNIX time of the run's begin.
        view: gives the styles.
    """

    def __init__(self, log: FilteredLog, began: float, view: LineView) -> None:
        self._log = log
        self._began = began
        self._view = view

    @property
    def version(self) -> int:
        """Changes with the log."""
        return self._log.version

    @property
    def first(self) -> int:
        """Number of the oldest line."""
        return self._log.first

    def __len__(self) -> int:
        return len(self._log)

    def line(self, index: int, width: int) -> Strip:
        """Draw a line: time, step, level where it matters, text."""
        entry = self._log.entry(index)
        parts = [Segment(f"{_clock(entry.at - self._began)} ", self._style("muted"))]
        if width >= NARROW:
            parts.append(Segment(f"{entry.step[:STEP]:<{STEP}}", self._style("step")))
        return Strip([*parts, *self._words(entry)])

    def _words(self, entry: LogEntry) -> list[Segment]:
        text = one_line(entry.text[:LONGEST])
        if entry.level in ("warning", "error"):
            style = self._style(entry.level)
            return [Segment(f"{entry.level} ", style + Style(bold=True)), Segment(text, style)]
        return [Segment(text, self._style("muted") if entry.level == "debug" else None)]

    def _style(self, name: str) -> Style:
        return self._view.get_component_rich_style(f"log--{name}", partial=True)


class LogView(LineView):
    """Shows the log."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--muted", "log--step", "log--warning", "log--error"}
    DEFAULT_CSS = """
    LogView {
        background: $background;
        & > .log--muted { text-style: dim; }
        & > .log--step { color: $secondary; }
        & > .log--warning { color: $warning; }
        & > .log--error { color: $error; }
    }
    """


def _clock(seconds: float) -> str:
    """Return a time since the begin, such as `` 1:05``."""
    whole = int(max(0.0, seconds))
    return f"{whole // 60:>3}:{whole % 60:02}"
