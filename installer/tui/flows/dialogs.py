"""What the Flows screen asks: a source, a name for a filter, a path for an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from installer.domain.text import printable
from installer.services.flow_feed import FeedChoice

_SPEEDS = (("at once", 0.0), ("as it happened", 1.0), ("10 times as fast", 10.0), ("100 times as fast", 100.0))
_FILE_ENDINGS = (".json", ".jsonl", ".ndjson", ".log", ".txt")
SOURCE_HELP = """\
Leave it empty for Relay of the cluster in use, or type
  tap        the kernel of this host, by eBPF; as root
  a server   host:port, tls://host:port, unix:///var/run/cilium/hubble.sock
  a file     recorded by "beeyard observe -o jsonpb" or "hubble observe -o jsonpb"\
"""


def choice_of(text: str, speed: float) -> FeedChoice:
    """Return what a typed source means: a path, else an address, else Relay."""
    target = text.strip()
    if not target:
        return FeedChoice()
    if target == "tap":
        return FeedChoice("tap")
    is_path = target.startswith(("/", "./", "../", "~")) or target.endswith(_FILE_ENDINGS)
    return FeedChoice("file", target, speed) if is_path else FeedChoice("server", target)


class SourceDialog(ModalScreen[FeedChoice | None]):
    """Asks where flows are to come from.

    Args:
        choice: the source in use.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, choice: FeedChoice):
        super().__init__()
        self._choice = choice

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Source of flows"
            dialog.border_subtitle = "Enter uses it, Esc closes"
            yield Input(
                self._choice.target or self._typed(), placeholder="Relay of this cluster", id="source", compact=True
            )
            yield Static(SOURCE_HELP, classes="dialog-hint", markup=False)
            with Horizontal(classes="dialog-row"):
                yield Static("File speed", classes="dialog-label")
                yield Select(_SPEEDS, value=self._choice.speed, id="speed", allow_blank=False, compact=True)

    def _typed(self) -> str:
        return "tap" if self._choice.kind == "tap" else ""

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        speed = self.query_one("#speed", Select).value
        self.dismiss(choice_of(event.value, float(speed) if isinstance(speed, float) else 0.0))


@dataclass(frozen=True, slots=True)
class FilterDecision:
    """What to do with saved filters: ``use`` an expression, ``save`` the current one or ``drop`` one by name."""

    use: str = ""
    save: str = ""
    drop: str = ""


class FiltersDialog(ModalScreen[FilterDecision | None]):
    """Saved filters: choose one, name the current one, delete one.

    Args:
        filters: expressions by name.
        current: the expression in use.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("delete", "drop", "Delete"),
    ]

    def __init__(self, filters: Mapping[str, str], current: str):
        super().__init__()
        self._filters = dict(sorted(filters.items()))
        self._current = current

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog -list") as dialog:
            dialog.border_title = "Saved filters"
            dialog.border_subtitle = "Enter uses, Del deletes, Esc closes"
            options = [Option(_saved(name, text)) for name, text in self._filters.items()]
            yield OptionList(*options, id="saved", compact=True, markup=False)
            if self._current:
                yield Static(f"Name for {printable(self._current)}", classes="dialog-hint", markup=False)
                yield Input(placeholder="a name saves the filter in use", id="name", compact=True)

    def on_mount(self) -> None:
        """Begin in the list, or with the name where there is none."""
        options = self.query_one("#saved", OptionList)
        if self._filters:
            options.highlighted = 0
            options.focus()
        elif self._current:
            self.query_one("#name").focus()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(FilterDecision(use=list(self._filters.values())[event.option_index]))

    @on(Input.Submitted)
    def _named(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(FilterDecision(save=event.value.strip()))

    def action_drop(self) -> None:
        """Delete the marked one."""
        index = self.query_one("#saved", OptionList).highlighted
        if index is not None and index < len(self._filters):
            self.dismiss(FilterDecision(drop=list(self._filters)[index]))


def _saved(name: str, text: str) -> Content:
    return Content.assemble((printable(name).ljust(16), "bold"), "  ", (printable(text), "$text-muted"))


class ExportDialog(ModalScreen[str | None]):
    """Asks for the path of an export.

    Args:
        what: what will be written.
        path: the path proposed.
        endings: the formats, by ending of the name.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, what: str, path: str, endings: Mapping[str, str]):
        super().__init__()
        self._what = what
        self._path = path
        self._endings = dict(endings)

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Export"
            dialog.border_subtitle = "Enter writes, Esc closes"
            yield Static(self._what, classes="dialog-lead", markup=False)
            yield Input(self._path, id="path", compact=True)
            lines = [f".{ending:<6} {title}" for ending, title in self._endings.items()]
            yield Static("The ending says the format:\n" + "\n".join(lines), classes="dialog-hint", markup=False)
            yield Static("", id="complaint", markup=False)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        path = event.value.strip()
        if path.rpartition(".")[2] in self._endings:
            self.dismiss(path)
        else:
            self.query_one("#complaint", Static).update("No such format: " + (printable(path) or "nothing"))
