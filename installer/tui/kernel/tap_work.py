"""What the Kernel screen does beside drawing: the tap, the proof, and handing over to other screens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textual import events, on, work

from installer.domain.errors import BeeyardError
from installer.domain.flows.flow import Flow
from installer.domain.flows.where.syntax import value_text
from installer.domain.text import printable
from installer.services.flow_feed import FeedChoice
from installer.services.kernel_proof import KernelReport
from installer.services.kernel_watch import Compared, KernelWatch, TapWish
from installer.tui.flows.screen import FlowsScreen
from installer.tui.kernel import compare, words
from installer.tui.kernel.dns import QuestionTarget
from installer.tui.kernel.drops import DropTarget, ReasonTarget
from installer.tui.kernel.tcp import PairTarget
from installer.tui.kernel.traffic import StreamTarget
from installer.tui.screen import AreaScreen

if TYPE_CHECKING:
    from installer.domain.spec import ClusterSpec

INTERVALS = (1.0, 5.0, 10.0)
"""Seconds between two counts."""


class TapWork(AreaScreen):
    """Workers and actions of ``KernelScreen``.

    Attributes:
        tap: the tap and what it told, None where there is none.
        report: what came of trying the kernel, None before it was tried.
        proving: it is being tried.
        refused: why it could not be tried.
        compared: what the kernel and Hubble told, side by side.
    """

    def begin_work(self) -> None:
        """Make what the tap tells to."""
        services = self.cockpit.services
        taps = services.taps
        host = os.uname().nodename
        self.tap = KernelWatch(taps, services.flow_feeds, services.now, host) if taps is not None else None
        self.wish = TapWish()
        self.report: KernelReport | None = None
        self.proving = False
        self.refused: BeeyardError | None = None
        self.compared: Compared | None = None
        self._left_running = False
        self._busy: set[str] = set()

    def draw(self) -> None:
        """Bring everything up to date; the screen does."""
        raise NotImplementedError

    @property
    def target(self) -> object:
        """What the marked row stands for; the screen knows."""
        raise NotImplementedError

    # The tap

    def action_start(self) -> None:
        """Start the tap, or detach it."""
        if self.tap is None:
            return
        if self.tap.running:
            self.stop_tap()
        else:
            self.start_tap()
        self.draw()

    def start_tap(self) -> None:
        """Start the tap with what is wished; one that is at work is ended first."""
        if self.tap is not None:
            self.tap.word = "starting"
            self.run_worker(
                self.tap.run(self.wish, self.cockpit.connection.kube),
                group="tap",
                exclusive=True,
                exit_on_error=False,
            )

    def stop_tap(self) -> None:
        """Detach the tap; what it told stays."""
        if self.tap is not None and self.tap.running:
            self.tap.word = "stopping"
            self.workers.cancel_group(self, "tap")

    def on_screen_suspend(self) -> None:
        """Detach the tap when another area is shown; dialogs over this one do not count."""
        if self.app.current_mode != self.AREA and self.tap is not None and self.tap.running:
            self._left_running = True
            self.stop_tap()

    @on(events.Unmount)
    async def _wait_for_tap(self) -> None:
        """Do not end the app before the tap is out of the kernel."""
        self.stop_tap()
        if self.tap is not None:
            await self.tap.ended()

    def on_screen_resume(self) -> None:
        """Go on where the user left."""
        if self._left_running:
            self._left_running = False
            self.start_tap()

    def action_routine(self) -> None:
        """Show all drops, or only losses."""
        self.wish = TapWish(not self.wish.routine, self.wish.interval)
        self._wish_again("All drops are shown" if self.wish.routine else "Only drops that are losses are shown")

    def action_interval(self) -> None:
        """Count in another interval."""
        following = INTERVALS[(INTERVALS.index(self.wish.interval) + 1) % len(INTERVALS)]
        self.wish = TapWish(self.wish.routine, following)
        self._wish_again(f"Counts come every {following:g} s")

    def _wish_again(self, what: str) -> None:
        running = self.tap is not None and self.tap.running
        self.cockpit.tell(what, "The tap starts again." if running else "It holds from the next start of the tap.")
        if running:
            self.start_tap()

    def action_clear(self) -> None:
        """Forget what was told."""
        if self.tap is not None:
            self.tap.clear()
            self.compared = None
            self.draw()

    # The proof

    @work(group="proof", exclusive=True, exit_on_error=False)
    async def action_prove(self) -> None:
        """Try the kernel."""
        prove = self.cockpit.services.kernel_proof
        if prove is None:
            return
        self.proving, self.refused = True, None
        self.draw()
        try:
            self.report = await prove(self._chosen())
        except BeeyardError as error:
            self.refused = error
        finally:
            self.proving = False
        self.draw()

    def _chosen(self) -> ClusterSpec | None:
        """Return the cluster that is being set up on the Setup screen, None where that was not opened."""
        for frame in self.cockpit.frames:
            if frame.AREA == "setup" and frame.is_attached:
                form = getattr(frame, "form", None)
                return form.read().spec if form is not None else None
        return None

    # What takes long

    @work(group="explain", exit_on_error=False)
    async def explain(self) -> None:
        """Explain the drops that are new."""
        if self.tap is None or "explain" in self._busy:
            return
        self._busy.add("explain")
        try:
            if await self.tap.explain():
                self.draw()
        finally:
            self._busy.discard("explain")

    @work(group="compare", exit_on_error=False)
    async def compare(self) -> None:
        """Compare the kernel with Hubble."""
        if self.tap is None or "compare" in self._busy:
            return
        self._busy.add("compare")
        try:
            if (found := await self.tap.compare()) is not None:
                self.compared = found
                self.draw()
        finally:
            self._busy.discard("compare")

    # Handing over

    def clause(self) -> str:
        """Return the filter that the marked row stands for."""
        board = self.tap.board if self.tap is not None else None
        match self.target:
            case ReasonTarget(reason):
                return f"reason={value_text(reason)}"
            case DropTarget() | StreamTarget():
                flow = self.flow()
                return words.between(flow) if flow is not None else ""
            case PairTarget(key) if board is not None and (pair := board.tcp.get(key)) is not None:
                return words.between(pair.flow, key[2])
            case QuestionTarget((name, _)):
                return f"dns.query={value_text(name)}"
            case compare.MissingTarget():
                flow = self.flow()
                return words.between(flow) if flow is not None else ""
        return ""

    def flow(self) -> Flow | None:
        """Return the flow that the marked row stands for."""
        if self.tap is None:
            return None
        board, target = self.tap.board, self.target
        match target:
            case DropTarget(key):
                drop = board.drops.get(key)
                return drop.flow if drop is not None else None
            case StreamTarget(one):
                stream = board.traffic.get(one)
                return stream.flow if stream is not None else None
            case compare.MissingTarget() if self.compared is not None:
                return compare.find(self.compared, target)
        return None

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_flows(self) -> None:
        """Show the marked row in the Flows screen, from the tap."""
        clause = self.clause()
        await self.cockpit.action_area("flows")
        screen = self.cockpit.screen
        if isinstance(screen, FlowsScreen):
            screen.filter_bar.set_expression(clause)
            screen.open_feed(FeedChoice("tap"))

    def denied(self) -> bool:
        """Tell whether the marked drop is one that policies deny."""
        flow = self.flow() if isinstance(self.target, DropTarget) else None
        return flow is not None and self.tap is not None and self.tap.doctor.denied(flow)

    def drafting(self) -> str:
        """Return the area whose screen drafts policies, empty where there is none."""
        areas = (area.id for area in self.cockpit.areas if area.id == "policies")
        return next((area for area in areas if self.cockpit.connection.kube is not None), "")

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_draft(self) -> None:
        """Hand the marked drop over to where policies are drafted."""
        flow, area = self.flow(), self.drafting()
        if flow is None or not isinstance(self.target, DropTarget) or self.tap is None:
            self.cockpit.tell("Mark a drop first", "d lists them.")
        elif not area:
            self.cockpit.tell("There is nothing to draft a policy with", "It needs a cluster that is connected.")
        elif not self.denied():
            self.cockpit.tell("No policy denies it", "Its explanation tells what does.", "warning")
        else:
            told = self.tap.doctor.told_by_hubble(flow) or flow
            await self.cockpit.action_area(area)
            self.cockpit.screen.draft_from_flows([told])  # type: ignore[attr-defined]

    def action_copy(self) -> None:
        """Put the details on the clipboard."""
        text = self.details_text()
        if text:
            self.app.copy_to_clipboard(printable(text))
            self.cockpit.tell("The details are on the clipboard.")

    def details_text(self) -> str:
        """Return the details as text; the screen has them."""
        raise NotImplementedError
