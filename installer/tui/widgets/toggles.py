"""Check boxes and radio buttons whose state shows without colours too: what is off has no mark."""

from __future__ import annotations

from typing import TypeVar

from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.widgets import Checkbox as _Checkbox
from textual.widgets import RadioButton as _RadioButton
from textual.widgets import SelectionList as _SelectionList

T = TypeVar("T")


class Checkbox(_Checkbox):
    """A check box."""

    def render(self) -> Content:
        """Draw it, with its mark when it is on."""
        self.BUTTON_INNER = _Checkbox.BUTTON_INNER if self.value else " "
        return super().render()


class RadioButton(_RadioButton):
    """One of several choices."""

    def render(self) -> Content:
        """Draw it, with its mark when it is on."""
        self.BUTTON_INNER = _RadioButton.BUTTON_INNER if self.value else " "
        return super().render()


class SelectionList(_SelectionList[T]):
    """A list of check boxes."""

    def render_line(self, y: int) -> Strip:
        """Draw a line, with its mark when it is on."""
        strip = super().render_line(y)
        index = self.scroll_offset.y + y
        if index >= self.option_count or self.get_option_at_index(index).value in self.selected:
            return strip
        left, mark, *rest = strip
        return Strip([left, Segment(" " * len(mark.text), mark.style), *rest])
