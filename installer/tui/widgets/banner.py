"""What is wrong with the connection, above everything else, as long as it lasts."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from installer.domain.text import printable
from installer.tui.connection import Connection


class ConnectionBanner(Vertical):
    """Two lines, the cause and what follows; not there while all is well. A click explains."""

    DEFAULT_CSS = """
    ConnectionBanner {
        display: none; height: auto; background: $error 18%; color: $foreground; padding: 0 1; pointer: pointer;
        Static { width: 100%; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        .why { color: $text-muted; }
    }
    ConnectionBanner.-shown { display: block; }
    """

    def compose(self) -> ComposeResult:
        """Make the lines."""
        yield Static(classes="what")
        yield Static(classes="why")

    def show(self, connection: Connection, explain: str) -> None:
        """Show what is wrong, or nothing.

        Args:
            connection: the connection.
            explain: the key that explains.
        """
        error = connection.error
        self.set_class(connection.alarming, "-shown")
        if error is None or not connection.alarming:
            return
        what = printable(error.what)
        self.query_one(".what", Static).update(Content.styled(what[:1].upper() + what[1:], "bold"))
        then = "It comes back by itself." if connection.state == "lost" else f"{printable(error.fix)}"
        why = " ".join(printable(error.why).split())
        self.query_one(".why", Static).update(Content(f"{explain} explains. {then} {why}"))

    async def on_click(self, event: events.Click) -> None:
        """Explain."""
        event.stop()
        await self.run_action("app.explain")
