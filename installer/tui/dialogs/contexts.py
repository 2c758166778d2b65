"""Choosing another cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from installer.domain.text import printable
from installer.ports.contexts import ContextInfo


class ContextSwitcher(ModalScreen[ContextInfo | None]):
    """A list of the kubeconfig's contexts that typing makes shorter.

    Args:
        contexts: what there is to choose.
        chosen: the context in use.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("down", "move(1)", "Next", show=False),
        Binding("up", "move(-1)", "Previous", show=False),
    ]

    def __init__(self, contexts: Sequence[ContextInfo], chosen: ContextInfo | None):
        super().__init__()
        self._contexts = list(contexts)
        self._chosen = chosen
        self._shown: list[ContextInfo] = []

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog -list") as dialog:
            dialog.border_title = "Cluster"
            dialog.border_subtitle = "Enter connects, Esc closes"
            if self._contexts:
                yield Input(placeholder="type to search", id="search", compact=True)
                yield OptionList(id="contexts", compact=True, markup=False)
            else:
                yield Static(
                    "There is no kubeconfig here.\n\nInstall a cluster in Setup, or start beeyard with "
                    "--kubeconfig PATH.",
                    markup=False,
                )

    def on_mount(self) -> None:
        """Show all."""
        if self._contexts:
            self._show("")
            self.query_one(Input).focus()

    @on(Input.Changed)
    def _searched(self, event: Input.Changed) -> None:
        self._show(event.value)

    def _show(self, text: str) -> None:
        words = text.casefold().split()
        self._shown = [one for one in self._contexts if all(word in _haystack(one) for word in words)]
        width = max((len(printable(one.name)) for one in self._contexts), default=0)
        options = self.query_one(OptionList)
        options.set_options([Option(_line(one, min(width, 32), one == self._chosen)) for one in self._shown])
        if self._shown:
            options.highlighted = self._shown.index(self._chosen) if self._chosen in self._shown else 0

    def action_move(self, step: int) -> None:
        """Move the cursor of the list while the search has the focus."""
        options = self.query_one(OptionList)
        if self._shown:
            options.highlighted = ((options.highlighted or 0) + step) % len(self._shown)

    @on(Input.Submitted)
    def _entered(self) -> None:
        self._choose(self.query_one(OptionList).highlighted)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self._choose(event.option_index)

    def _choose(self, index: int | None) -> None:
        if index is not None and index < len(self._shown):
            self.dismiss(self._shown[index])


def _haystack(context: ContextInfo) -> str:
    return " ".join((context.name, context.server, context.user)).casefold()


def _line(context: ContextInfo, width: int, chosen: bool) -> Content:
    name = printable(context.name)
    name = name if len(name) <= width else f"{name[: width - 1]}…"
    server = printable(context.server.removeprefix("https://"))
    return Content.assemble("> " if chosen else "  ", (name.ljust(width), "bold"), "  ", (server, "$text-muted"))
