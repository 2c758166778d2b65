"""What is wrong with the connection, above everything else, as long as it lasts."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from installer.domain.text import printable
from installer.tui.connection import Connection


class ConnectionBanner(Static):
    """Two lines at most; not there while all is well."""

    DEFAULT_CSS = """
    ConnectionBanner {
        display: none; width: 100%; height: auto; max-height: 3; padding: 0 1;
        background: $error 20%; color: $foreground;
    }
    ConnectionBanner.-shown { display: block; }
    """

    def show(self, connection: Connection) -> None:
        """Show what is wrong, or nothing."""
        error = connection.error
        shown = error is not None and connection.state in ("lost", "refused")
        self.set_class(shown, "-shown")
        if shown and error is not None:
            self.update(_words(connection))


def _words(connection: Connection) -> Content:
    error = connection.error
    assert error is not None
    what = printable(error.what)
    line = f"{what[:1].upper()}{what[1:]}"
    why = f"{printable(error.why)}. " if error.why else ""
    then = "It comes back by itself; R tries now." if connection.state == "lost" else printable(error.fix)
    return Content.assemble((line, "bold"), ("  " + error.code, "$text-muted"), "\n", why, then)
