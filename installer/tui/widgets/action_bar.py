"""The last line: what can be done now, and with which key.

Textual's own footer makes a widget for each key and makes all of them anew whenever a binding may have changed. This
one is a line of text: it asks the screen for its bindings, and draws again when they differ from those that are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.reactive import reactive
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the line.

    Attributes:
        key: Textual's name of the key.
        shown: the key as it is printed.
        title: what it does.
        tooltip: one sentence.
        enabled: whether it does that now.
        start: first cell of the entry in the line.
    """

    key: str
    shown: str
    title: str
    tooltip: str
    enabled: bool
    start: int

    @property
    def end(self) -> int:
        """The cell after the last one."""
        return self.start + cell_len(self.shown) + cell_len(self.title) + 3


class ActionBar(Widget):
    """One line with the keys that work now; grey where they would do nothing. A click is the key."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"action-bar--key", "action-bar--title", "action-bar--hover"}
    DEFAULT_CSS = """
    ActionBar { dock: bottom; height: 1; background: $footer-background; color: $footer-foreground; }
    ActionBar > .action-bar--key { color: $footer-key-foreground; text-style: bold; }
    ActionBar > .action-bar--title { color: $footer-description-foreground; }
    ActionBar > .action-bar--hover { background: $block-hover-background; }
    """

    _entries: reactive[tuple[Entry, ...]] = reactive((), init=False)
    _hovered: reactive[Entry | None] = reactive(None, init=False)

    def __init__(self) -> None:
        super().__init__()
        self._asking = False

    @property
    def titles(self) -> tuple[str, ...]:
        """What the line offers, also that for which there is no room."""
        return tuple(entry.title for entry in self._entries)

    def on_mount(self) -> None:
        """Hear when the bindings may have changed."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed, immediate=True)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        """Ask for them once, when everything that happens now has happened."""
        del screen
        if not self._asking:
            self._asking = True
            (self.call_after_refresh if self._entries else self.call_later)(self._ask)

    def _ask(self) -> None:
        self._asking = False
        if self.is_attached:
            self._entries = tuple(self._offered())

    def _offered(self) -> Iterator[Entry]:
        start, seen = 0, set()
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show and binding.action not in seen:
                seen.add(binding.action)
                shown = self.app.get_key_display(binding)
                entry = Entry(binding.key, shown, binding.description, tooltip, enabled, start)
                start = entry.end
                yield entry

    def render_line(self, y: int) -> Strip:
        """Draw the line; an entry that does not fit is cut at the edge."""
        width, base = self.size.width, self.rich_style
        if y:
            return Strip.blank(width, base)
        segments: list[Segment] = []
        key, title = (self.get_component_rich_style(f"action-bar--{part}") for part in ("key", "title"))
        for entry in self._entries:
            if entry.start >= width:
                break
            over = self._mark(entry)
            segments += [Segment(f" {entry.shown} ", key + over), Segment(f"{entry.title} ", title + over)]
        return Strip(segments).adjust_cell_length(width, base)

    def _mark(self, entry: Entry) -> Style:
        hover = self.get_component_rich_style("action-bar--hover").bgcolor if entry == self._hovered else None
        return Style(bgcolor=hover, dim=None if entry.enabled else True)

    def _at(self, cell: int) -> Entry | None:
        return next((entry for entry in self._entries if entry.start <= cell < entry.end), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Mark the entry under the mouse and say what it does."""
        entry = self._at(event.x)
        if entry != self._hovered:
            self._hovered = entry
            self.tooltip = entry.tooltip if entry and entry.tooltip else None
            self.styles.pointer = "pointer" if entry else "default"

    def on_leave(self, event: events.Leave) -> None:
        """Mark nothing."""
        del event
        self._hovered = None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press the key; one that does nothing now rings."""
        entry = self._at(event.x)
        if entry is None:
            return
        event.stop()
        if entry.enabled:
            self.app.simulate_key(entry.key)
        else:
            self.app.bell()
