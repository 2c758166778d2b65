"""Nodes, components, pods and their containers, turning ready in front of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip

from installer.domain.readiness import Component, PodState, Snapshot, State
from installer.domain.text import one_line
from installer.tui.widgets.lines import LineView

CROWD = 40
"""Pods of a node from which on each is one cell, and only those that are not ready have a line of their own."""
SIGNS: dict[State, tuple[str, str, str]] = {
    State.READY: ("■", "#", "ready"),
    State.PROGRESSING: ("▣", "+", "starting"),
    State.FAILED: ("✗", "x", "failed"),
    State.UNKNOWN: ("□", ".", "waiting"),
    State.DISABLED: ("-", "-", "off"),
}
"""Sign, sign in ASCII and word of a state."""
Part = tuple[str, str]
"""Text and the name of its style."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: parts of text, each with the name of its style."""

    parts: tuple[Part, ...]


class GridLines:
    """The lines of the grid, made anew from each snapshot."""

    first = 0

    def __init__(self, style: Callable[[str], Style]) -> None:
        self.version = 0
        self.ascii = False
        self._style = style
        self._snapshot: Snapshot | None = None
        self._empty = ""
        self._width = 80
        self._rows: list[Row] = []

    def take(self, snapshot: Snapshot | None, empty: str = "") -> bool:
        """Take over a snapshot, and what to say where there are no pods; whether the lines are different now."""
        if snapshot is self._snapshot and empty == self._empty:
            return False
        self._snapshot, self._empty = snapshot, empty
        self._make()
        return True

    def fit(self, width: int) -> None:
        """Lay the lines out for a width."""
        if width != self._width:
            self._width = width
            self._make()

    def _make(self) -> None:
        rows = list(_rows(self._snapshot, self._width, self.ascii)) if self._snapshot is not None else []
        self._rows = rows or [Row(((self._empty, "muted"),))]
        self.version += 1

    def __len__(self) -> int:
        return len(self._rows)

    def line(self, index: int, width: int) -> Strip:
        """Return a line."""
        del width
        return Strip([Segment(text, self._style(name) if name else None) for text, name in self._rows[index].parts])


class PodGrid(LineView):
    """Shows a snapshot of readiness."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"grid--{word}" for _, _, word in SIGNS.values()),
        "grid--heading",
        "grid--muted",
    }
    DEFAULT_CSS = """
    PodGrid {
        background: $background;
        & > .grid--ready { color: $success; }
        & > .grid--starting { color: $warning; }
        & > .grid--failed { color: $error; text-style: bold; }
        & > .grid--waiting { text-style: dim; }
        & > .grid--off { text-style: dim; }
        & > .grid--muted { text-style: dim; }
        & > .grid--heading { color: $primary; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - named as in every widget
        self.grid = GridLines(lambda name: self.get_component_rich_style(f"grid--{name}", partial=True))
        super().__init__(self.grid, cursor=False, id=id)
        self.follow = False

    def take(self, snapshot: Snapshot | None, empty: str = "", *, ascii_only: bool = False) -> None:
        """Show a snapshot, and what to say where there are no pods; the lines stay where they are."""
        self.grid.ascii = ascii_only
        if self.grid.take(snapshot, empty):
            self._strips.clear()
            self.update_lines()

    def on_resize(self, event: events.Resize | None = None) -> None:
        """Lay the lines out anew."""
        del event
        self.grid.fit(max(20, self.scrollable_content_region.width))
        self._widest = 0
        self.redraw()
        super().on_resize()


def _rows(snapshot: Snapshot, width: int, ascii_only: bool) -> Iterator[Row]:
    parts = [one for one in snapshot.components if one.state is not State.DISABLED]
    if not parts and not snapshot.pods:
        return
    ready = sum(one.state is State.READY for one in parts)
    yield _heading("Cluster", f"{ready} of {len(parts)} ready")
    names = min(max((len(one.name) for one in parts), default=0), width // 2)
    for one in parts:
        yield _component(one, names, width, ascii_only)
    for node, pods in groupby(snapshot.pods, key=lambda pod: pod.node):
        yield from _node(node, list(pods), width, ascii_only)


def _heading(title: str, facts: str) -> Row:
    return Row(((title, "heading"), (f"  {facts}", "muted")))


def _sign(state: State, ascii_only: bool) -> Part:
    sign, plain, word = SIGNS[state]
    return (plain if ascii_only else sign, word)


def _fit(text: str, width: int) -> str:
    text = one_line(text)
    fitted = set_cell_size(text, max(0, width))
    return fitted if fitted.rstrip() == text.rstrip() or width < 2 else set_cell_size(text, width - 1) + "…"


def _component(one: Component, names: int, width: int, ascii_only: bool) -> Row:
    word = SIGNS[one.state][2]
    detail = one.detail or (one.problems[0].what if one.problems else "")
    detail = "" if detail == word else detail
    used = 2 + names + 2 + 9
    return Row(
        (
            _sign(one.state, ascii_only),
            (f" {_fit(one.name, names)}  ", ""),
            (f"{word:<9}", word),
            (_fit(detail, width - used), "muted" if one.state is State.READY else ""),
        )
    )


def _node(node: str, pods: list[PodState], width: int, ascii_only: bool) -> Iterator[Row]:
    ready = sum(pod.state is State.READY for pod in pods)
    yield Row((("", ""),))
    yield _heading(
        f"Pods on {_fit(node, min(len(node), width // 2))}" if node else "Pods without a node",
        f"{ready} of {len(pods)} ready",
    )
    shown = pods
    if len(pods) > CROWD:
        a_line = max(1, (width - 1) // 2)
        for start in range(0, len(pods), a_line):
            yield _cells([pod.state for pod in pods[start : start + a_line]], ascii_only)
        shown = [pod for pod in pods if pod.state is not State.READY]
    names = min(max((len(pod.name) for pod in shown), default=0), max(12, width // 2))
    cells = min(max((len(pod.containers) for pod in shown), default=0), max(4, width // 6))
    for pod in shown:
        yield _pod(pod, names, cells, width, ascii_only)


def _cells(states: list[State], ascii_only: bool) -> Row:
    """Return one cell for each state; neighbours alike are one part."""
    parts = []
    for state, alike in groupby(states):
        sign, word = _sign(state, ascii_only)
        parts.append((f"{sign} " * sum(1 for _ in alike), word))
    return Row(tuple(parts))


def _pod(pod: PodState, names: int, cells: int, width: int, ascii_only: bool) -> Row:
    word = SIGNS[pod.state][2]
    containers = [(_sign(one.state, ascii_only)) for one in pod.containers[:cells]]
    used = 2 + names + 2 + cells + 2 + 9
    restarts = sum(one.restarts for one in pod.containers)
    detail = "" if pod.state is State.READY else pod.detail
    if restarts:
        detail = f"{detail}  {restarts} restarts" if detail else f"{restarts} restarts"
    return Row(
        (
            _sign(pod.state, ascii_only),
            (f" {_fit(pod.name, names)}  ", ""),
            *containers,
            (" " * (cells - len(containers) + 2), ""),
            (f"{word:<9}", word),
            (_fit(detail, width - used), "muted"),
        )
    )
