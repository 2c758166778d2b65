"""The Flows screen: a live table, a filter, and a pane for details, talkers, the map and the truth about it all."""

from __future__ import annotations

import time
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from installer.domain.flows.flow import Flow
from installer.domain.flows.flow_filter import FilterSet
from installer.domain.flows.where import Where
from installer.domain.text import printable
from installer.services.flow_feed import FeedChoice, FeedRequest
from installer.tui.flows.actions import ACTIONS
from installer.tui.flows.clock_text import time_of_day
from installer.tui.flows.columns import header
from installer.tui.flows.feed import Feed
from installer.tui.flows.feed_bar import FeedState, feed_line
from installer.tui.flows.filter_bar import FilterBar
from installer.tui.flows.model import FlowsModel
from installer.tui.flows.pane import Pane
from installer.tui.flows.table import FlowLines, FlowTable
from installer.tui.flows.tasks import FlowTasks
from installer.tui.screen import AreaScreen
from installer.tui.widgets.lines import LineView

if TYPE_CHECKING:
    from installer.ports.cluster import Kube

FRAME = 0.05
"""Seconds between two looks at what waits."""
PORTION = 250
"""Answers taken in at once, between two looks at the clock."""
TAKING = 0.012
"""Seconds of a frame that taking in may take: about 15,000 flows a second."""
LOOKING = 0.006
"""Seconds of a frame that a new filter may take."""
LAST = 2_000
"""Flows of the past asked for, per node."""
SLOW = 5
"""Frames between two looks at the line of the feed."""

NO_SOURCE = "No source of flows is built into this cockpit."
NO_CLUSTER = "No cluster yet: flows come when it is reached. S opens a recorded file or another server."

HELP_TEXT = """\
The table follows the newest flow; moving up stops that, G or End goes on. Space lets it stand still.
/ filters with an expression such as: verdict=dropped and dst.ns=shop and port>1024
A ~ before a row says that flows may be missing above it. Counts are of events, not of packets."""


class FlowsScreen(FlowTasks, AreaScreen):
    """Live traffic and its verdicts."""

    AREA = "flows"
    ACTIONS = ACTIONS
    HELP = HELP_TEXT
    CSS_PATH = "flows.tcss"
    AUTO_FOCUS: ClassVar[str | None] = "#flows"

    def __init__(self) -> None:
        super().__init__()
        self.model = FlowsModel(self.cockpit.settings.history)
        self.feed = Feed(self.model)
        self.lines = FlowLines(self.model, time_of_day(None), ascii_only=self.cockpit.settings.ascii)
        self.where: Where | None = None
        self.at_source = False
        self.local_time = False
        self._kube: Kube | None = None
        self._frames = 0
        self._width = 0
        self._said: tuple[Any, ...] = ()

    def compose_body(self) -> ComposeResult:
        """Lay it out."""
        yield FilterBar(self.model.seen.complete)
        yield Static(id="feed")
        yield Static(id="feed-banner", markup=False)
        with Container(id="split"):
            with Vertical(id="table"):
                yield Static(id="headings", markup=False)
                yield FlowTable(self.lines, id="flows")
            yield Pane()

    @property
    def table(self) -> FlowTable:
        """The table of flows."""
        return self.query_one(FlowTable)

    @property
    def pane(self) -> Pane:
        """The pane."""
        return self.query_one(Pane)

    @property
    def filter_bar(self) -> FilterBar:
        """The filter."""
        return self.query_one(FilterBar)

    def on_mount(self) -> None:
        """Begin to follow."""
        super().on_mount()
        self._restyle()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._restyle())
        self.set_interval(FRAME, self.frame)
        self.open_feed()

    def _restyle(self) -> None:
        self.lines.styles = self.table.styles_of_rows()
        self.table.redraw()

    def show_headings(self) -> None:
        """Show the names of the columns that fit."""
        width = self._width = self.table.scrollable_content_region.width
        titles = header(width)
        titles = titles.replace("TIME ", "LOCAL", 1) if self.local_time else titles
        self.query_one("#headings", Static).update(Content(titles), layout=False)

    # The source

    def show_connection(self) -> None:
        """Follow Relay of another cluster when there is one."""
        super().show_connection()
        kube = self.cockpit.connection.kube
        if self.is_mounted and kube is not self._kube and self.feed.choice.kind == "relay":
            self.open_feed()

    def open_feed(self, choice: FeedChoice | None = None) -> None:
        """Open a source, the one in use for None; flows of another one are forgotten."""
        changed = choice is not None and choice != self.feed.choice
        self.feed.choice = choice = choice or self.feed.choice
        before, self._kube = self._kube, self.cockpit.connection.kube
        elsewhere = before is not None and self._kube is not None and before.context != self._kube.context
        if changed or choice.kind == "file" or (choice.kind == "relay" and elsewhere):
            self.model.start_over(recorded=choice.kind == "file")
            self.use_filter()
        feeds = self.cockpit.services.flow_feeds
        if feeds is None or (choice.kind == "relay" and self._kube is None):
            self.workers.cancel_group(self, "feed")
            self.feed.wait(NO_SOURCE if feeds is None else NO_CLUSTER)
            return
        self._follow(FeedRequest(choice, self._filters_at_source(), LAST))

    @work(group="feed", exclusive=True, exit_on_error=False)
    async def _follow(self, request: FeedRequest) -> None:
        feeds = self.cockpit.services.flow_feeds
        if feeds is not None:
            await self.feed.follow(feeds, request, self._kube)

    def _filters_at_source(self) -> FilterSet:
        return self.where.pushdown() if self.at_source and self.where is not None else FilterSet()

    # Frames

    def frame(self) -> None:
        """Take in what waits and bring everything on the screen up to date, within a few milliseconds."""
        now = self.cockpit.services.now()
        end = time.perf_counter() + TAKING
        while self.model.take_in(PORTION, now) == PORTION and time.perf_counter() < end:
            pass
        end = time.perf_counter() + LOOKING
        while self.model.advance() and time.perf_counter() < end:
            pass
        self._frames += 1
        if self._width != self.table.scrollable_content_region.width:
            self.show_headings()
        self.pane.advance(draw=self._frames % SLOW == 1)
        if self._frames % SLOW == 0 or self._said[:1] != (self.feed.word,):
            self.show_feed(now)
            self.table.align_scrollbar()

    def show_feed(self, now: float) -> None:
        """Bring the line of the feed, the banner and the number of lost events up to date."""
        table = self.table
        word = "paused" if table.paused and self.feed.word == "live" else self.feed.word
        state = FeedState(word, self.feed.source, table.unseen, self.at_source)
        width = max(20, self.size.width - 2)
        line = feed_line(self.model, state, now, width, ascii_only=self.cockpit.settings.ascii)
        said = (self.feed.word, line, self.feed.trouble)
        if said != self._said:
            before, self._said = self._said, said
            self.query_one("#feed", Static).update(line, layout=False)
            if before[2:] != said[2:]:
                self._show_trouble()
            self.cockpit.lost_events = self.model.store.losses.total

    def _show_trouble(self) -> None:
        banner = self.query_one("#feed-banner", Static)
        banner.set_class(bool(self.feed.trouble), "-shown")
        banner.update(Content(printable(self.feed.trouble)))

    @on(LineView.Moved, "#flows")
    def _moved(self, message: LineView.Moved) -> None:
        message.stop()
        self.show_feed(self.cockpit.services.now())

    @on(LineView.Chosen, "#flows")
    def _flow_chosen(self, message: LineView.Chosen) -> None:
        message.stop()
        self.open_detail()

    @on(LineView.Chosen, "#pane-lines")
    def _line_chosen(self, message: LineView.Chosen) -> None:
        message.stop()
        clause = self.pane.clause(message.line)
        if clause:
            self.filter_bar.add_clause(clause)

    # The filter

    @on(FilterBar.Changed)
    def _filter_changed(self, message: FilterBar.Changed) -> None:
        message.stop()
        if self.where is not None and message.where.text == self.where.text:
            return
        self.where = message.where
        self.use_filter()
        if self.at_source:
            self.open_feed()

    @on(FilterBar.Done)
    def _filter_done(self, message: FilterBar.Done) -> None:
        message.stop()
        self.table.focus()

    def use_filter(self) -> None:
        """Look through the filter of the bar."""
        where = self.where
        self.model.filter(where.matches if where is not None and where.text else None, fold=self.model.fold)
        self.lines.view = self.model.view
        self.model.advance()
        self.table.show(self.lines)
        self.pane.restart()

    # What actions need

    def marked_flows(self) -> list[Flow]:
        """Return the marked flows, the one under the cursor where none is marked."""
        seqs = sorted(self.lines.marked) or [seq for seq in (self.cursor_seq(),) if seq is not None]
        return [answer.flow for seq in seqs if (answer := self.model.store.answer(seq)) and answer.flow]

    def cursor_seq(self) -> int | None:
        """Return the sequence number of the flow under the cursor."""
        return self.lines.seq_of(self.table.cursor_line)

    def zone(self) -> tzinfo | None:
        """Return the zone that times are shown in."""
        return time_zone() if self.local_time else None


def time_zone() -> tzinfo | None:
    """Return this host's time zone."""
    from datetime import datetime

    return datetime.now().astimezone().tzinfo
