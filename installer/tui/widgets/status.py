"""The line that always tells where one is: cluster, connection, versions, lost events."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from installer.domain.text import printable
from installer.tui.connection import Connection, State

WORDS: dict[State, tuple[str, str, str, str]] = {
    "absent": ("○", "-", "no cluster", "$text-muted"),
    "connecting": ("◌", "~", "connecting", "$warning"),
    "connected": ("●", "*", "connected", "$success"),
    "lost": ("▲", "!", "out of reach", "$error"),
    "refused": ("■", "x", "refused", "$error"),
}
"""Sign, sign in ASCII, word and colour of a state."""


class StatusBar(Horizontal):
    """One line above the footer."""

    DEFAULT_CSS = """
    StatusBar {
        height: 1; background: $panel; color: $text-muted;
        #status-left { width: 1fr; padding: 0 1; }
        #status-right { width: auto; padding: 0 1; }
    }
    .-narrow StatusBar #status-right.-calm { display: none; }
    """

    def compose(self) -> ComposeResult:
        """Make both halves."""
        yield Static(id="status-left")
        yield Static(id="status-right")

    def show(self, connection: Connection, lost: int, *, ascii_only: bool) -> None:
        """Show a connection and the number of events that were lost."""
        self.query_one("#status-left", Static).update(_cluster(connection, ascii_only))
        right = self.query_one("#status-right", Static)
        right.update(_facts(connection, lost))
        right.set_class(lost == 0, "-calm")


def _cluster(connection: Connection, ascii_only: bool) -> Content:
    sign, plain, word, colour = WORDS[connection.state]
    name = printable(connection.context)
    return Content.assemble(
        (f"{plain if ascii_only else sign} {word}", colour), "  ", (name, "$foreground") if name else ""
    )


def _facts(connection: Connection, lost: int) -> Content:
    versions = connection.versions
    named = (("Kubernetes", versions.kubernetes), ("Cilium", versions.cilium), ("Hubble", versions.hubble))
    if "+k3s" in versions.kubernetes:
        named = (("k3s", versions.kubernetes), *named[1:])
    parts = [Content(f"{name} {printable(version)}") for name, version in named if version]
    if lost:
        parts.append(Content.styled(f"lost {lost}", "$warning bold"))
    return Content("  ").join(parts)
