"""The Policies screen: the policies of the cluster, their text, and what a change of it would do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import ContentSwitcher, Input, Static

from installer.domain.errors import BeeyardError
from installer.domain.policy.inventory import Hits, Inventory, Item, Workload, unprotected
from installer.domain.text import one_line
from installer.services.policies.desk import Desk
from installer.services.policies.follow import Seen, follow_world
from installer.services.policies.rollout import Rollout
from installer.tui.policies.actions import ACTIONS
from installer.tui.policies.changes import ChangeWork
from installer.tui.policies.drafts import DraftWork
from installer.tui.policies.observed import Observed
from installer.tui.policies.panels import PanelWork
from installer.tui.policies.popup import CompletionPopup
from installer.tui.policies.rows import RowView
from installer.tui.policies.tree import DraftTarget, PolicyTarget, WorkloadTarget, tree_head, tree_rows
from installer.tui.policies.views import PAGES, VIEWS, ViewTabs
from installer.tui.views import ViewsScreen
from installer.tui.widgets.lines import LineView

if TYPE_CHECKING:
    from installer.ports.cluster import Kube
    from installer.services.policies.rollout import PolicyTools

VAST = 160
"""Columns from which on text and panel stand side by side."""
TICK = 0.5
"""Seconds between two looks at flows and at the time left."""
HITS = 4_000
"""Flows counted at a look."""
NOTHING = """\
Enter opens the policy that is marked, n begins a new one.

F6 goes through the views: text, effect, impact, diff, explain, problems, history.
Nothing is written to the cluster before F9 and your word."""

HELP_TEXT = """\
Enter opens a policy. While you type it is checked; ✗ and ! in the gutter say where something is wrong, F8 goes there,
F7 mends what can be mended for certain. Ctrl+Space shows what may stand at the cursor.
Effect and Impact show what the text would do before it is applied. F9 applies it; it can go back by itself."""


class PoliciesScreen(ViewsScreen, DraftWork, PanelWork, ChangeWork):
    """Network policies.

    Attributes:
        desk: drafts, and answers on them.
        observed: where flows come from.
        view: the view in use, one of ``VIEWS``.
        page: what the panel shows, one of ``PAGES``.
        lost: why the cluster is not followed, empty while it is.
        loaded: set once the cluster was read.
        rollout: changes this cluster, None before there is one.
    """

    AREA = "policies"
    ACTIONS = ACTIONS
    VIEWS = VIEWS
    HELP = HELP_TEXT
    CSS_PATH = "policies.tcss"
    AUTO_FOCUS: ClassVar[str | None] = "#tree"

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.observed = Observed(self.cockpit)
        self.view = "policies"
        self.page = "effect"
        self.lost = ""
        self.rollout: Rollout | None = None
        self._kube: Kube | None = None
        self._inventory = Inventory()
        self._items: Sequence[Item] = ()
        self._open: Sequence[Workload] = ()
        self._hits = Hits()
        self._counted: tuple[object, int] = (None, 0)
        self.loaded = asyncio.Event()
        self._tools: PolicyTools | None = None
        self._tree_width = 0
        self.begin_drafts()
        self.begin_panel()
        self.begin_changes()

    def compose_body(self) -> ComposeResult:
        """Lay it out."""
        yield ViewTabs()
        yield Static(id="policies-banner", markup=False)
        with Container(id="split"):
            with Vertical(id="list"):
                yield Input(placeholder="filter by name, namespace or kind", id="policy-filter", compact=True)
                yield Static(id="tree-head", markup=False)
                yield RowView(skip=True, id="tree")
                yield Static(id="summary", markup=False)
            with Container(id="work"):
                with Vertical(id="text"):
                    yield Static(id="draft-title", markup=False)
                    with ContentSwitcher(id="editors", initial="nothing"):
                        yield Static(NOTHING, id="nothing", markup=False)
                    yield Static(id="at-cursor", markup=False)
                with Vertical(id="panel"):
                    yield Static(id="panel-title", markup=False)
                    yield RowView(id="panel-rows")
        yield CompletionPopup()

    def on_mount(self) -> None:
        """Begin to follow the cluster."""
        super().on_mount()
        self.set_interval(TICK, self.tick)
        self.show_view("policies")
        self.show_tree()
        self.show_title()

    def on_resize(self, event: events.Resize) -> None:
        """Use the space there is."""
        self.set_class(event.size.width >= VAST, "-vast")

    def on_row_view_fitted(self, message: RowView.Fitted) -> None:
        """Use the space a list has."""
        message.stop()
        self.fit()

    def fit(self) -> None:
        """Make rows anew whose width has changed."""
        if self._tree_width != self.tree_view.scrollable_content_region.width:
            self.show_tree()
        self.fit_panel()

    def unsaved(self) -> Sequence[str]:
        """Return the drafts that are not in the cluster."""
        return [one_line(draft.title) for draft in self.desk.dirty() if draft.saved or draft.text.strip()]

    @property
    def tree_view(self) -> RowView:
        """The policies."""
        return self.query_one("#tree", RowView)

    # The cluster

    def show_connection(self) -> None:
        """Follow another cluster when there is one."""
        super().show_connection()
        kube = self.cockpit.connection.kube
        if kube is not None and kube is not self._kube:
            self._kube = kube
            self.follow(kube)
        self.show_banner()

    @work(group="world", exclusive=True, exit_on_error=False)
    async def follow(self, kube: Kube) -> None:
        """Keep the desk current."""
        tools = self.tools
        if tools is not None:
            target = self.cockpit.connection.target
            source = target.source if target is not None and target.source else ""
            self.rollout = Rollout(tools, kube, kubeconfig=source, context=self.cockpit.connection.context)
            self.look_for_pending()
        try:
            async for seen in follow_world(kube):
                self.take(seen)
        except BeeyardError as error:
            self.lost = f"{error.what}: {error.why}"
            self._kube = None  # so that the next message of the connection begins anew
            self.show_banner()

    def take(self, seen: Seen) -> None:
        """Take over the cluster as it is now."""
        self.lost = seen.lost
        self.desk.world = seen.world
        self.loaded.set()
        self.take_inventory()
        self.check_again()
        self.show_banner()

    @work(thread=True, group="inventory", exclusive=True, exit_on_error=False)
    def take_inventory(self) -> None:
        """Work out what the tree shows."""
        world, engine = self.desk.world, self.desk.engine()
        items, open_ones = self._inventory.items(world), unprotected(world, engine)
        self.call_later(self._take_inventory, items, open_ones)

    def _take_inventory(self, items: Sequence[Item], open_ones: Sequence[Workload]) -> None:
        self._items, self._open = items, open_ones
        self.show_tree()

    @property
    def tools(self) -> PolicyTools | None:
        """What policies are changed with, None where they are only read."""
        make = self.cockpit.services.policies
        if self._tools is None and make is not None:
            self._tools = make()
        return self._tools

    def show_banner(self) -> None:
        """Say what is not as it should be."""
        text = self.pending_text() or self._trouble()
        banner = self.query_one("#policies-banner", Static)
        banner.set_class(bool(text), "-shown")
        banner.update(Content(text))

    def _trouble(self) -> str:
        if self.lost:
            return one_line(f"The cluster does not answer; edits stay here. {self.lost}")
        unread = self.desk.world.unread
        return one_line(f"Not all may be read: {'; '.join(unread)}") if unread else ""

    # The tree

    def show_tree(self) -> None:
        """Bring the tree up to date."""
        view = self.tree_view
        self._tree_width = width = view.scrollable_content_region.width
        wanted = self.query_one("#policy-filter", Input).value
        hits = self._hits if self.observed.model is not None else None
        drafts = list(self.desk.drafts.values())
        if not self.loaded.is_set() and not drafts:
            return
        self.query_one("#tree-head", Static).update(Content(tree_head(width, hits=hits is not None)), layout=False)
        view.fill(tree_rows(self._items, self._open, drafts, hits, wanted, width))
        self.query_one("#summary", Static).update(Content(self._summary()), layout=False)

    def _summary(self) -> str:
        world, ignored = self.desk.world, sum(bool(item.problem) for item in self._items)
        both = sum(one.pods for one in self._open if len(one.open) > 1)
        parts = [f"{len(self._items)} policies", f"{len(world.peers)} pods, {both} unprotected"]
        audited = sum(bool(pod.audit) for pod in world.pods if not pod.finished)
        parts += [f"{ignored} ignored by agents"] if ignored else []
        return ", ".join(parts + ([f"{audited} in audit mode"] if audited else []))

    @on(Input.Changed, "#policy-filter")
    def _filtered(self, event: Input.Changed) -> None:
        event.stop()
        self.show_tree()

    @on(Input.Submitted, "#policy-filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.tree_view.focus()

    @on(LineView.Chosen, "#tree")
    async def _row_chosen(self, message: LineView.Chosen) -> None:
        message.stop()
        target = self.tree_view.target_of(message.line)
        if isinstance(target, PolicyTarget):
            await self.open_policy(target.key)
        elif isinstance(target, DraftTarget):
            await self.show_draft(self.desk.drafts[target.id])
        elif isinstance(target, WorkloadTarget):
            self.ask_form(f"{target.namespace}/{target.name}")

    # Views

    def show_view(self, view: str) -> None:
        """Show a view and let it have the keys."""
        self.view = view
        if view in PAGES:
            self.page = view
        for kind in ("list", "text", "panel"):
            self.set_class(kind == _kind(view), f"-view-{kind}")
        self.close_popup()
        self.show_tabs()
        if view in PAGES:
            self.show_page()
            self.query_one("#panel-rows", RowView).focus()
        elif view == "text" and self.editor is not None:
            self.editor.focus()
        elif view == "policies":
            self.tree_view.focus()
        self.call_after_refresh(self.fit)

    def show_tabs(self) -> None:
        """Bring the line of views up to date."""
        problems = len(self.checked.findings) if self.checked is not None else 0
        self.query_one(ViewTabs).show(self.view, self.page, problems)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Know the view by what has the keys."""
        names = {"tree": "policies", "panel-rows": self.page}
        focused = self.focused if event.widget is self.focused else None  # older messages count no more
        if focused is None:
            return
        view = names.get(focused.id or "", "text" if focused is self.editor else "")
        if view and view != self.view:
            self.view = view
            for kind in ("list", "text", "panel"):
                self.set_class(kind == _kind(view), f"-view-{kind}")
            self.show_tabs()

    def action_edit(self) -> None:
        """Show the text."""
        self.show_view("text")

    def action_problems(self) -> None:
        """Show what is wrong."""
        self.show_view("problems")

    def action_effect(self) -> None:
        """Show who may reach whom."""
        self.show_view("effect")

    def action_impact(self) -> None:
        """Show which flows would change."""
        self.show_view("impact")

    def action_diff(self) -> None:
        """Show the difference from the cluster."""
        self.show_view("diff")

    def action_explain(self) -> None:
        """Show the rules as sentences."""
        self.show_view("explain")

    def action_history(self) -> None:
        """Show what was changed."""
        self.show_view("history")

    def action_filter(self) -> None:
        """Type a filter."""
        self.show_view("policies")
        line = self.query_one("#policy-filter", Input)
        line.add_class("-shown")
        line.focus()

    def action_escape(self) -> None:
        """Close what is open, else go to the policies."""
        line = self.query_one("#policy-filter", Input)
        if self.query_one(CompletionPopup).is_open:
            self.close_popup()
        elif line.has_class("-shown") and self.view == "policies":
            line.value = ""
            line.remove_class("-shown")
            self.tree_view.focus()
        elif self.view in PAGES and self.editor is not None:
            self.show_view("text")
        else:
            self.show_view("policies")

    def action_reload(self) -> None:
        """Read the cluster again."""
        kube = self.cockpit.connection.kube
        if kube is not None:
            self._kube = kube
            self.follow(kube)

    # Time

    def tick(self) -> None:
        """Take in flows, count them by policy, look for new drops, and count down."""
        self.observed.take_in(self.cockpit.services.now())
        self._count()
        self.tick_panel()
        self.tick_pending()
        self.tick_watch()

    def _count(self) -> None:
        model = self.observed.model
        if model is None:
            return
        if self._counted[0] is not model.store:
            self._hits, self._counted = Hits(), (model.store, 0)
        flows, after = self.observed.flows_since(self._counted[1], HITS)
        self._counted = model.store, after
        if flows:
            self._hits.add(flows)
            self.show_tree()


def _kind(view: str) -> str:
    return {"policies": "list", "text": "text"}.get(view, "panel")
