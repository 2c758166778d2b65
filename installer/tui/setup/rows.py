"""Names and values in two columns."""

from __future__ import annotations

from collections.abc import Sequence

from textual.containers import Grid
from textual.widgets import Static

from installer.domain.text import printable


class Rows(Grid):
    """Rows of name and value; a long value wraps in its column, and is shown literally."""

    DEFAULT_CSS = """
    Rows {
        height: auto; grid-size: 2; grid-columns: 10 1fr; grid-rows: auto;
        .row-name { color: $text-muted; }
        Static { height: auto; }
    }
    """

    def __init__(self, *, id: str | None = None):  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._rows: list[tuple[str, str]] = []

    def show(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show these rows; where only values changed, the widgets stay."""
        rows = list(rows)
        if [name for name, _ in rows] == [name for name, _ in self._rows] and self.children:
            for (_, new), (_, old), cell in zip(
                rows, self._rows, self.query(".row-value").results(Static), strict=True
            ):
                if new != old:
                    cell.update(printable(new))
        elif rows != self._rows:
            self.remove_children()
            self.mount_all(cell for row in rows for cell in _cells(row))
        self._rows = rows


def _cells(row: tuple[str, str]) -> tuple[Static, Static]:
    name, value = row
    return (
        Static(name, markup=False, classes="row-name"),
        Static(printable(value), markup=False, classes="row-value"),
    )
