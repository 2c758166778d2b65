"""Text that is made for a width."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.message import Message
from textual.widgets import Static


class Drawn(Static):
    """Lines that were made for a width, and are to be made anew for another one."""

    @dataclass
    class Resized(Message):
        """There is another width to draw for."""

    def on_resize(self, event: events.Resize) -> None:
        """Ask for lines of another width."""
        if event.size.width:
            self.post_message(self.Resized())
