"""The overview's screen."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from installer.domain.overview import Overview
from installer.domain.text import printable
from installer.tui.actions import Action
from installer.tui.overview.card_view import CardView
from installer.tui.overview.cards import Card
from installer.tui.overview.compose import make_cards
from installer.tui.overview.detail import DetailDialog, DetailPanel
from installer.tui.overview.layout import allot
from installer.tui.overview.upgrade import UpgradeDialog
from installer.tui.screen import AreaScreen

if TYPE_CHECKING:
    from installer.ports.cluster import Kube

BROAD = 160
"""Columns from which details stand beside the cards."""
AGES_EVERY = 30.0
LEFT = ("nodes", "components", "agents")
RIGHT = ("namespaces", "versions", "certificates")
LEAST = 2
"""Lines that a card has at least: its heading and a row."""
SCROLLED = 9
"""Lines that a card has at most where the whole page scrolls."""


class OverviewScreen(AreaScreen):
    """Cards that are kept current; every row leads to what stands behind it."""

    AREA = "overview"
    CSS_PATH = "overview.tcss"
    HELP = (
        "How the cluster is. Move with the arrows, Tab goes to the next card. Enter tells what stands behind a row: "
        "cause, evidence, fix."
    )
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("overview.details", "Details", "Cause, evidence and fix of the marked row.", ("enter",), "overview"),
        Action("overview.problems", "Problems", "Go to the first problem.", ("p",), "overview", footer=True),
        Action("overview.copy", "Copy", "Copy the details of the marked row.", ("y",), "overview"),
        Action("overview.refresh", "Read again", "Read everything anew.", ("r",), "overview", footer=True),
        Action("overview.updates", "Updates", "Ask the network for the newest k3s.", ("u",), "overview", footer=True),
        Action("overview.upgrade", "Upgrade", "Go to newer versions of k3s and Cilium.", ("U",), "overview"),
        Action("overview.sideways_left", "Left", "Go to the card on the left.", ("left", "h"), "overview"),
        Action("overview.sideways_right", "Right", "Go to the card on the right.", ("right", "l"), "overview"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._overview = Overview()
        self._kube: Kube | None = None
        self._cards: dict[str, CardView] = {}

    def compose_body(self) -> ComposeResult:
        """Make a view for each card."""
        self._cards = {card.id: CardView(card, ascii_only=self.cockpit.settings.ascii) for card in self._made()}
        with Horizontal(id="overview"):
            with Vertical(id="cards"):
                yield self._cards["problems"]
                with Horizontal(id="columns"):
                    for name, column in (("left", LEFT), ("right", RIGHT)):
                        with Vertical(id=name, classes="column"):
                            yield from (self._cards[card] for card in column)
                yield self._cards["events"]
            yield DetailPanel()

    def on_mount(self) -> None:
        """Begin on the problems."""
        self._cards["problems"].focus()
        self.set_interval(AGES_EVERY, self._show)

    # What is shown

    def _made(self) -> Sequence[Card]:
        return make_cards(self._overview, self.cockpit.connection.error, self.cockpit.services.now())

    def _show(self) -> None:
        """Show what is known; only cards that differ are drawn."""
        changed = [self._cards[card.id].show(card) for card in self._made()]
        if any(changed):
            self._arrange()
        self.set_class(bool(self._overview.lost) or self.cockpit.connection.state == "lost", "-stale")

    def show_connection(self) -> None:
        """Follow the cluster that is connected."""
        super().show_connection()
        kube = self.cockpit.connection.kube
        if kube is not self._kube:
            self._kube = kube
            if kube is not None:
                self._forget_another(kube)
                self._follow(kube)
        if self._cards:
            for card in self._cards.values():
                card.use_ascii(self.cockpit.settings.ascii)
            self._show()

    @work(group="overview", exclusive=True, exit_on_error=False)
    async def _follow(self, kube: Kube, *, ask_network: bool = False) -> None:
        """Show what the cluster tells until another one is connected."""
        async with aclosing(self.cockpit.services.overview(kube, ask_network)) as overviews:
            async for overview in overviews:
                if overview.status is not None or self._overview.status is None:
                    self._overview = overview
                    self._show()

    def _forget_another(self, kube: Kube) -> None:
        """Show nothing of another cluster; what is known of the same one stays until it is read again."""
        status = self._overview.status
        if status is not None and (status.server, status.context) != (kube.server, kube.context):
            self._overview = Overview()

    # Where it is shown

    def on_resize(self, event: events.Resize) -> None:
        """Share out the room anew."""
        self.set_class(event.size.width >= BROAD, "-broad")
        self.call_after_refresh(self._arrange)

    def _arrange(self) -> None:
        """Give each card its lines: all it wants, or its share; below a limit the page scrolls instead."""
        room = self.query_one("#cards").size.height
        columns = [[self._cards[name] for name in names] for names in (LEFT, RIGHT)]
        if self.has_class("-narrow") or room < LEAST * (2 + max(map(len, columns))):
            self.add_class("-scrolls")
            _set_heights(list(self._cards.values()), [min(card.wanted, SCROLLED) for card in self._cards.values()])
            return
        self.remove_class("-scrolls")
        top, bottom = self._cards["problems"], self._cards["events"]
        middle = max(sum(card.wanted for card in column) for column in columns)
        air = int(top.wanted + middle + bottom.wanted + len(LEFT) + 2 <= room)
        least = LEAST * len(LEFT)
        spare = allot([top.wanted, middle - least, bottom.wanted], room - least, LEAST)
        _set_heights([top, bottom], [spare[0] + air, spare[2]])
        for column in columns:
            heights = allot([card.wanted for card in column], spare[1] + least, LEAST)
            _set_heights(column, [height + air for height in heights])

    # Moving and choosing

    @on(CardView.Marked)
    def _marked(self, message: CardView.Marked) -> None:
        message.stop()
        if message.card is self.focused:
            self.query_one(DetailPanel).show(message.detail)

    @on(CardView.Chosen)
    def _chosen(self, message: CardView.Chosen) -> None:
        message.stop()
        self.app.push_screen(DetailDialog(message.detail))

    @on(CardView.Left)
    def _left(self, message: CardView.Left) -> None:
        """Go on in the card above or below; in a column, first to that column's own."""
        message.stop()
        region = message.card.region
        ahead = [
            card
            for card in self._cards.values()
            if card is not message.card
            and (card.region.y - region.y) * message.direction > 0
            and card.region.x < region.right
            and card.region.right > region.x
        ]
        if ahead:
            nearest = min(ahead, key=lambda card: (abs(card.region.y - region.y), card.region.x))
            nearest.mark(0 if message.direction > 0 else len(nearest.card.rows) - 1)
            nearest.focus()

    def action_sideways_left(self) -> None:
        """Go to the card on the left."""
        self._sideways(-1)

    def action_sideways_right(self) -> None:
        """Go to the card on the right."""
        self._sideways(1)

    def _sideways(self, direction: int) -> None:
        here = self.focused
        if here is None:
            return
        others = [card for card in self._cards.values() if (card.region.x - here.region.x) * direction > 0]
        if others:
            min(others, key=lambda card: abs(card.region.y - here.region.y)).focus()
        elif direction > 0 and self.has_class("-broad"):
            self.query_one(DetailPanel).focus()

    def _current(self) -> CardView:
        return self.focused if isinstance(self.focused, CardView) else self._cards["problems"]

    def action_details(self) -> None:
        """Show what stands behind the marked row."""
        self._current().action_choose()

    def action_problems(self) -> None:
        """Go to the first problem."""
        self._cards["problems"].focus()
        self._cards["problems"].mark(0)

    def action_copy(self) -> None:
        """Copy what stands behind the marked row."""
        row = self._current().row
        if row is not None:
            self.app.copy_to_clipboard(printable(row.detail.as_text()))
            self.cockpit.tell("The details are on the clipboard.")

    def action_refresh(self) -> None:
        """Read everything anew; what is shown stays until then."""
        if self._kube is not None:
            self._follow(self._kube)
            self.cockpit.tell("Reading everything again.")

    def action_updates(self) -> None:
        """Ask the network for the newest k3s, because the user wants it now."""
        if self._kube is not None:
            self._follow(self._kube, ask_network=True)
            self.cockpit.tell("Asking for the newest stable k3s.", "Its answer, if there is one, comes under Versions.")

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_upgrade(self) -> None:
        """Show the way to newer versions, and go it where the user wants."""
        make = self.cockpit.services.upgrade
        if make is None:
            self.cockpit.tell("This cockpit cannot upgrade.", "Start `sudo beeyard` on the cluster's host.", "warning")
            return
        from installer.pipeline.run import Options

        service, options = make(), Options(undo_on_failure=True, environment=self.cockpit.services.environment)
        dialog = UpgradeDialog(lambda: service, options, root=self.cockpit.services.root)
        wanted = await self.app.push_screen_wait(dialog)
        if wanted is not None:
            self.cockpit.run_host.begin(lambda emit: service.run(wanted, options, emit), undoable=False)
            self.cockpit.show_run()


def _set_heights(cards: Sequence[CardView], heights: Sequence[int]) -> None:
    for card, height in zip(cards, heights, strict=True):
        if card.styles.height is None or card.styles.height.value != height:
            card.styles.height = height
