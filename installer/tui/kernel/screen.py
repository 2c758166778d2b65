"""The Kernel screen: what this host's kernel can do for Cilium, and what it does with packets."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from installer.domain.flows.where import Where
from installer.domain.tap.measures import Wanted
from installer.domain.text import one_line
from installer.services.kernel_watch import KernelWatch
from installer.tui.flows.filter_bar import FilterBar
from installer.tui.flows.seen import Seen
from installer.tui.kernel import blank, compare, dns, drops, proof, tcp, traffic
from installer.tui.kernel.actions import ACTIONS
from installer.tui.kernel.details import details
from installer.tui.kernel.table import DetailRows, Page, TapRows, lines
from installer.tui.kernel.tap_line import as_content, losses_text, tap_line
from installer.tui.kernel.tap_work import TapWork
from installer.tui.kernel.views import VIEWS, KernelTabs
from installer.tui.policies.rows import Row, RowView
from installer.tui.views import ViewsScreen
from installer.tui.widgets.lines import LineView

TICK = 0.25
"""Seconds between two looks at what was told."""
SLOW = 4
"""Ticks between two pictures that are drawn although nothing new was told: rates fall."""
COMPARING = 8
"""Ticks between two comparisons."""
HELP_TEXT = """\
Proof tells what this kernel can do for Cilium: r tries it. The other views show what the tap sees: s starts it, on this
host and as root, and leaving this screen takes it out of the kernel again.
Details stand beside the list where there is room, else Enter shows them. / filters every view."""


class KernelScreen(ViewsScreen, TapWork):
    """What the kernel does with packets.

    Attributes:
        view: the view in use, one of ``VIEWS``.
        where: the filter.
        paused: the picture stands still.
    """

    AREA = "kernel"
    ACTIONS = ACTIONS
    VIEWS = VIEWS
    HELP = HELP_TEXT
    CSS_PATH = "kernel.tcss"
    AUTO_FOCUS: ClassVar[str | None] = "#rows"

    def __init__(self) -> None:
        super().__init__()
        self.begin_work()
        self.seen = Seen()
        self.view = "proof"
        self.where: Where | None = None
        self.paused = False
        self._ticks = 0
        self._drawn: object = None
        self._detailed: object = None
        self._details: list[Row] = []
        self._told_notes: set[str] = set()

    def compose_body(self) -> ComposeResult:
        """Lay it out."""
        yield KernelTabs()
        yield FilterBar(self.seen.complete)
        yield Static(id="tap-line")
        yield Static(id="kernel-banner", markup=False)
        with Container(id="split"):
            with Vertical(id="list"):
                yield Static(id="kernel-summary", markup=False)
                yield Static(id="headings", markup=False)
                yield TapRows(id="rows")
            with Vertical(id="pane"):
                yield DetailRows(id="details")

    def on_mount(self) -> None:
        """Begin with what the kernel can do."""
        super().on_mount()
        self.set_interval(TICK, self.tick)
        self.show_view(self.view)

    @property
    def rows(self) -> TapRows:
        """The list."""
        return self.query_one("#rows", TapRows)

    @property
    def target(self) -> object:
        """What the marked row stands for."""
        return self.rows.target

    def on_row_view_fitted(self, message: RowView.Fitted) -> None:
        """Make the rows anew for another width."""
        message.stop()
        self._detailed = None
        self.draw()

    # Views

    def show_view(self, view: str) -> None:
        """Show a view from its top."""
        self.view = view
        self.remove_class("-pane")
        self.set_class(view == "proof", "-proof")
        self.query_one(KernelTabs).show(view)
        self.rows.fill(())
        self.draw()
        self.rows.go_to(0)
        self.rows.focus()

    def action_proof(self) -> None:
        """Show what the kernel can do."""
        self.show_view("proof")

    def action_traffic(self) -> None:
        """Show who sends most."""
        self.show_view("traffic")

    def action_drops(self) -> None:
        """Show what is dropped, by reason."""
        self.show_view("drops")

    def action_doctor(self) -> None:
        """Show each drop with its cause."""
        self.show_view("doctor")

    def action_tcp(self) -> None:
        """Show connections."""
        self.show_view("tcp")

    def action_dns(self) -> None:
        """Show questions of DNS."""
        self.show_view("dns")

    def action_compare(self) -> None:
        """Show what only one side told."""
        self.show_view("compare")

    # Drawing

    def tick(self) -> None:
        """Look at what was told."""
        self._ticks += 1
        watch = self.tap
        if watch is None or not self.is_current:
            return
        if self.view == "doctor" and watch.running:
            self.explain()
        if self.view == "compare" and watch.running and self._ticks % COMPARING == 0:
            self.compare()
        self._tell_notes(watch)
        state = (watch.version, watch.word)
        if state != self._drawn or (watch.running and self._ticks % SLOW == 0):
            self._drawn = state
            self.draw()

    def _tell_notes(self, watch: KernelWatch) -> None:
        """Tell once what is missing here, and what follows."""
        for note in watch.notes:
            if note not in self._told_notes:
                self._told_notes.add(note)
                self.cockpit.tell("Of the tap", note)

    def draw(self) -> None:
        """Bring the screen up to date."""
        if not self.is_mounted:
            return
        self._draw_line()
        if not self.paused:
            self.draw_rows()

    def _draw_line(self) -> None:
        watch, services = self.tap, self.cockpit.services
        width, ascii_only = max(20, self.size.width - 2), self.cockpit.settings.ascii
        if watch is not None:
            line = tap_line(watch, services.now(), width, paused=self.paused, ascii_only=ascii_only)
            self.query_one("#tap-line", Static).update(line, layout=False)
        text = self._trouble()
        banner = self.query_one("#kernel-banner", Static)
        banner.set_class(bool(text), "-shown")
        banner.update(Content(one_line(text)))

    def _trouble(self) -> str:
        """Return what is not as it should be, in one line."""
        watch = self.tap
        if watch is None or self.view == "proof":
            return ""
        if watch.trouble is not None:
            return f"{watch.trouble.what}. {watch.trouble.fix}"
        if watch.running and watch.foreign:
            return "This host is no node of the cluster that is connected: its pods are not seen here."
        lost = losses_text(watch)
        return f"Not all was told: {lost}" if lost else ""

    def draw_rows(self) -> None:
        """Bring list and details up to date."""
        width = self.rows.scrollable_content_region.width
        page = self._page(max(20, width))
        summary = self.query_one("#kernel-summary", Static)
        summary.set_class(bool(page.summary), "-shown")
        summary.update(as_content(page.summary))
        self.query_one("#headings", Static).update(Content(page.head), layout=False)
        self.rows.fill(page.rows)
        self.draw_details()

    def _page(self, width: int) -> Page:
        if self.view == "proof":
            return self._proof_page(width)
        page = self._tap_page(width) if self.tap is not None else Page()
        if page.rows:
            return page
        root, filtered = self.cockpit.services.root, self.where is not None and bool(self.where.text)
        return Page("", blank.blank_rows(self.tap, self.view, width, root=root, filtered=filtered))

    def _proof_page(self, width: int) -> Page:
        if self.proving:
            return Page("", lines(" The kernel is being tried ...", width))
        if self.refused is not None:
            return Page("", blank.trouble_rows(self.refused, width))
        return proof.page(self.report, width) if self.report is not None else Page("", lines(proof.NOT_YET, width))

    def _tap_page(self, width: int) -> Page:
        assert self.tap is not None
        board, now, wanted = self.tap.board, self.cockpit.services.now(), self._wanted
        ascii_only = self.cockpit.settings.ascii
        match self.view:
            case "traffic":
                return traffic.page(board.traffic, now, width, wanted)
            case "drops":
                return drops.reasons_page(board.drops, now, width, wanted, ascii_only=ascii_only)
            case "doctor":
                return drops.drops_page(board.drops, self.tap.explanation, width, wanted)
            case "tcp":
                return tcp.page(board.tcp, now, width, wanted, ascii_only=ascii_only)
            case "dns":
                return dns.page(board.dns, width, wanted, ascii_only=ascii_only)
        waiting = blank.compare_waiting(self.tap, connected=self.cockpit.connection.kube is not None)
        return compare.page(self.compared, waiting, width, wanted)

    @property
    def _wanted(self) -> Wanted | None:
        return self.where.matches if self.where is not None and self.where.text else None

    # Details

    @on(TapRows.Marked)
    def _marked(self, message: TapRows.Marked) -> None:
        message.stop()
        self.draw_details()

    def draw_details(self) -> None:
        """Show all about the marked row."""
        view = self.query_one("#details", DetailRows)
        width = max(20, view.scrollable_content_region.width)
        target = self.target
        self._details = details(self, target, width) if self.has_class("-pane") or self.has_class("-wide") else []
        view.fill(self._details, top=target != self._detailed)
        self._detailed = target

    def details_text(self) -> str:
        """Return the details as text."""
        found = details(self, self.target, 100)
        return "\n".join("".join(text for text, _ in one.parts).rstrip() for one in found)

    @on(LineView.Chosen, "#rows")
    def _row_chosen(self, message: LineView.Chosen) -> None:
        message.stop()
        self.action_details()

    def action_details(self) -> None:
        """Show the details of the marked row, or hide them; where they are there, go to them."""
        if self.target is None:
            return
        if not self.has_class("-wide"):
            self.toggle_class("-pane")
        self.draw_details()
        self.query_one("#details" if self.has_class("-pane") or self.has_class("-wide") else "#rows").focus()

    def action_close(self) -> None:
        """Close the details, else clear the filter."""
        if self.has_class("-pane") or self.focused is not self.rows:
            self.remove_class("-pane")
            self.rows.focus()
        elif self.query_one(FilterBar).expression:
            self.query_one(FilterBar).set_expression("")

    # Filter and picture

    def action_filter(self) -> None:
        """Type a filter."""
        if self.view == "proof":
            self.show_view("traffic")
        self._learn_names()
        self.set_focus(self.query_one(FilterBar).input)

    def _learn_names(self) -> None:
        """Know the names that the filter may be completed with."""
        if self.tap is None:
            return
        for one in self.tap.board.traffic.top(self.cockpit.services.now(), 200)[0]:
            self.seen.add_flow(one.flow)
            for endpoint in (one.flow.source, one.flow.destination):
                if endpoint is not None:
                    self.seen.add_endpoint(endpoint)

    @on(FilterBar.Changed)
    def _filter_changed(self, message: FilterBar.Changed) -> None:
        message.stop()
        self.where = message.where
        self.draw()

    @on(FilterBar.Done)
    def _filter_done(self, message: FilterBar.Done) -> None:
        message.stop()
        self.rows.focus()

    def action_pause(self) -> None:
        """Let the picture stand still, or go on."""
        self.paused = not self.paused
        self.draw()

    def on_resize(self, event: events.Resize) -> None:
        """Use the space there is."""
        del event
        self.call_after_refresh(self.draw)
