"""The panel: what the text would do, worked out in a thread and drawn for the width there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from textual import on, work
from textual.content import Content
from textual.widgets import Static

from installer.domain.flows.flow import Answer
from installer.domain.policy.impact import Assessor, Impact
from installer.domain.policy.merge import diff
from installer.domain.policy.world import key_of
from installer.domain.text import one_line
from installer.services.flow_feed import FeedChoice
from installer.services.policies.desk import Checked
from installer.tui.policies import pages
from installer.tui.policies.dialogs import PathDialog
from installer.tui.policies.rows import Row, RowView, row
from installer.tui.policies.views import VIEWS
from installer.tui.screen import AreaScreen
from installer.tui.widgets.lines import LineView

if TYPE_CHECKING:
    from installer.tui.policies.screen import PoliciesScreen

Page = Callable[[int], list[Row]]
_SLICE = 500
_NO_DRAFT = "Open a policy to see this."


class PanelWork(AreaScreen):
    """What ``PoliciesScreen`` does with its panel.

    Attributes:
        impact: the effect on the flows seen, None before there is one.
    """

    impact: Impact | None

    def begin_panel(self) -> None:
        """Begin with nothing."""
        self.impact = None
        self._page: Page = lambda _: [row((_NO_DRAFT, "muted"))]
        self._page_width = 0
        self._page_of: tuple[str, str] = ("", "")
        self._judged: tuple[Checked, object, int] | None = None
        self._assessor: Assessor | None = None
        self._judging = False

    @property
    def _screen(self) -> PoliciesScreen:
        return cast("PoliciesScreen", self)

    @property
    def panel_rows(self) -> RowView:
        """The rows of the panel."""
        return self._screen.query_one("#panel-rows", RowView)

    def show_page(self) -> None:
        """Work out what the panel shows, if it is in sight."""
        screen = self._screen
        name = screen.draft.title if screen.draft is not None else ""
        title = f"{VIEWS[screen.page]}{f' of {one_line(name)}' if name and screen.page != 'history' else ''}"
        screen.query_one("#panel-title", Static).update(Content(title), layout=False)
        if not screen.query_one("#panel").display:
            return
        if screen.page == "history":
            self.show_history()
        elif screen.checked is None:
            self._show(lambda _: [row((_NO_DRAFT, "muted"))])
        else:
            self._work_out(screen.page, screen.good or screen.checked, screen.checked)

    def _show(self, page: Page) -> None:
        screen = self._screen
        of = (screen.page, screen.draft.id if screen.draft is not None else "")
        top, self._page_of = of != self._page_of, of
        self._page = page
        self._page_width = self.panel_rows.scrollable_content_region.width
        self.panel_rows.fill(page(max(24, self._page_width)), top=top)

    def fit_panel(self) -> None:
        """Make the rows anew for another width."""
        width = self.panel_rows.scrollable_content_region.width
        if width != self._page_width:
            if self._page_width == 0:
                self.show_page()
            self._show(self._page)

    @work(thread=True, group="panel", exclusive=True, exit_on_error=False)
    def _work_out(self, page: str, good: Checked, checked: Checked) -> None:
        made = {
            "problems": self._problems,
            "effect": self._effect,
            "explain": self._explain,
            "diff": self._diff,
            "impact": self._begin_impact,
        }[page](checked if page == "problems" else good)
        self._screen.call_later(self._take, page, checked, made)

    def _take(self, page: str, checked: Checked, made: Page) -> None:
        if page == self._screen.page and checked is self._screen.checked:
            self._show(made)

    def _problems(self, checked: Checked) -> Page:
        return lambda width: pages.problem_rows(checked.findings, width)

    def _effect(self, checked: Checked) -> Page:
        found = self._screen.desk.effect(checked)
        return lambda width: pages.effect_rows(found, width)

    def _explain(self, checked: Checked) -> Page:
        found = self._screen.desk.explain(checked)
        return lambda width: pages.explain_rows(found, width)

    def _diff(self, checked: Checked) -> Page:
        live = {key_of(raw): raw for raw in self._screen.desk.world.objects}
        found = [diff(live.get(key_of(raw)), raw, "/".join(filter(None, key_of(raw)))) for raw in checked.policies]
        return lambda _: pages.diff_rows("\n".join(part for part in found if part))

    # Impact

    def _begin_impact(self, checked: Checked) -> Page:
        screen = self._screen
        model = screen.observed.model
        store = model.store if model is not None else None
        fresh = self._judged is None or self._judged[0] is not checked or self._judged[1] is not store
        if fresh or self._assessor is None:
            self._assessor = screen.desk.assessment(checked.policies)
            self._judged = (checked, store, 0)
        assert self._judged is not None
        answers, after = screen.observed.since(self._judged[2])
        self._judged = (checked, store, after)
        return self._judge(self._assessor, answers)

    def _judge(self, assessor: Assessor, answers: list[Answer]) -> Page:
        for start in range(0, len(answers), _SLICE):
            assessor.add(answers[start : start + _SLICE])
        impact, observed = assessor.result(), self._screen.observed
        impact.lost = observed.lost
        self.impact = impact
        return lambda width: pages.impact_rows(impact, observed.source, width)

    def tick_panel(self) -> None:
        """Judge flows that came since, while the impact is in sight."""
        screen = self._screen
        if screen.observed.release():
            screen.workers.cancel_group(screen, "flows")
        if screen.page != "impact" or screen.checked is None or not screen.query_one("#panel").display:
            return
        model = screen.observed.model
        if model is not None and (
            self._judged is None or self._judged[1] is not model.store or self._judged[2] != model.store.next
        ):
            self._work_out("impact", screen.good or screen.checked, screen.checked)

    def see_flows(self) -> None:
        """Take in the live flows of the cluster, unless flows are taken in already."""
        screen = self._screen
        known = screen.observed.model is not None or screen.cockpit.services.flow_feeds is None
        if not known and screen.cockpit.connection.kube is not None:
            self.follow_flows(FeedChoice())

    @work(group="flows", exclusive=True, exit_on_error=False)
    async def follow_flows(self, choice: FeedChoice) -> None:
        """Take in the flows of a source."""
        screen = self._screen
        await screen.observed.follow(choice, screen.cockpit.connection.kube)

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_recording(self) -> None:
        """Judge the flows of a recorded file, or live ones again."""
        screen = self._screen
        path = await screen.app.push_screen_wait(PathDialog())
        if path is not None:
            self.follow_flows(FeedChoice("file", path) if path else FeedChoice())
            screen.show_view("impact")

    # History

    def show_history(self) -> None:
        """Show the changes made from here."""
        self._read_history()

    @work(thread=True, group="panel", exclusive=True, exit_on_error=False)
    def _read_history(self) -> None:
        screen = self._screen
        changes = screen.rollout.history() if screen.rollout is not None else []
        only = frozenset(key_of(raw) for raw in screen.checked.policies) if screen.checked is not None else frozenset()
        screen.call_later(self._take_history, lambda _: pages.history_rows(changes, only))

    def _take_history(self, page: Page) -> None:
        if self._screen.page == "history":
            self._show(page)

    @on(LineView.Chosen, "#panel-rows")
    def _row_of_panel_chosen(self, message: LineView.Chosen) -> None:
        message.stop()
        screen = self._screen
        target = self.panel_rows.target_of(message.line)
        if isinstance(target, pages.LineTarget):
            screen.go_to_line(target.line)
        elif isinstance(target, pages.ChangeTarget):
            screen.roll_back(target.id)
