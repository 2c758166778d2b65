"""The list of proposals beside the cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.geometry import Offset
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from installer.domain.policy.editing.completion import Proposal
from installer.domain.text import one_line

KEYS = frozenset(("up", "down", "tab", "enter", "escape", "pageup", "pagedown"))
"""Keys that go to the list while it is open."""
_MOVES: Mapping[str, Callable[[OptionList], None]] = {
    "up": OptionList.action_cursor_up,
    "down": OptionList.action_cursor_down,
    "pageup": OptionList.action_page_up,
    "pagedown": OptionList.action_page_down,
}
_ROWS = 8
_WIDEST = 60
_MOST = 200


class CompletionPopup(Container):
    """Shows proposals; the editor keeps the focus and hands keys over."""

    @dataclass
    class Chosen(Message):
        """A proposal was chosen.

        Attributes:
            proposal: the proposal.
        """

        proposal: Proposal

    def __init__(self) -> None:
        super().__init__(id="popup")
        self.proposals: tuple[Proposal, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay it out."""
        options = OptionList(id="proposals", compact=True, markup=False)
        options.can_focus = False
        yield options

    @property
    def is_open(self) -> bool:
        """Whether it is in sight."""
        return self.has_class("-open")

    def open(self, proposals: Sequence[Proposal], at: Offset) -> None:
        """Show proposals below a place of the screen, above it where there is no room."""
        self.proposals = tuple(proposals[:_MOST])
        width = min(_WIDEST, max(len(one.label) for one in self.proposals) + 26, self.screen.size.width)
        height = min(_ROWS, len(self.proposals))
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_content(one, width - 3)) for one in self.proposals])
        options.highlighted = 0
        row = at.y - (self.parent.region.y if isinstance(self.parent, Widget) else 0)
        top = row + 1 if at.y + height < self.screen.size.height - 2 else max(0, row - height)
        left = max(0, min(at.x, self.screen.size.width - width))
        self.styles.width, self.styles.height = width, height
        self.styles.offset = (left, top)
        self.add_class("-open")

    def close(self) -> None:
        """Go away."""
        self.remove_class("-open")
        self.proposals = ()

    def press(self, key: str) -> bool:
        """Do what a key says; tell whether the list is still open."""
        options = self.query_one(OptionList)
        if key == "escape":
            self.close()
        elif key in ("tab", "enter"):
            self.choose(options.highlighted or 0)
        else:
            _MOVES[key](options)
        return self.is_open

    def choose(self, index: int) -> None:
        """Choose a proposal."""
        if index < len(self.proposals):
            self.post_message(self.Chosen(self.proposals[index]))
        self.close()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click chooses."""
        event.stop()
        self.choose(event.option_index)


def _content(one: Proposal, width: int) -> Content:
    label = one_line(one.label)
    room = max(0, width - len(label) - 2)
    return Content.assemble((label, "bold"), "  ", (one_line(one.detail)[:room], "dim"))
