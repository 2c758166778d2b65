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
        Static { width: auto; padding: 0 1; }
        #status-cluster { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        #status-lost { color: $warning; text-style: bold; }
    }
    """

    def compose(self) -> ComposeResult:
        """Make the parts."""
        yield Static(id="status-cluster")
        yield Static(id="status-versions")
        yield Static(id="status-lost")

    def show(self, connection: Connection, lost: int, *, ascii_only: bool) -> None:
        """Show a connection and the number of events that were lost."""
        self.query_one("#status-cluster", Static).update(_cluster(connection, ascii_only))
        self.query_one("#status-versions", Static).update(_versions(connection))
        counter = self.query_one("#status-lost", Static)
        counter.display = lost > 0
        counter.update(f"lost {lost:,}")


def _cluster(connection: Connection, ascii_only: bool) -> Content:
    sign, plain, word, colour = WORDS[connection.state]
    name = printable(connection.context)
    return Content.assemble(
        (f"{plain if ascii_only else sign} {word}", colour), "  ", (name, "$foreground") if name else ""
    )


def _versions(connection: Connection) -> Content:
    versions = connection.versions
    kubernetes = "k3s" if "+k3s" in versions.kubernetes else "Kubernetes"
    named = ((kubernetes, versions.kubernetes), ("Cilium", versions.cilium), ("Hubble", versions.hubble))
    return Content("  ").join([Content(f"{name} {printable(version)}") for name, version in named if version])
