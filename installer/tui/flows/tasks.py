"""What the actions of the Flows screen do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual import work

from installer.domain.errors import BeeyardError
from installer.domain.flows.graph import Edge, Graph
from installer.domain.flows.graph_export import EXPORTS
from installer.domain.flows.rates import REFUSED
from installer.domain.text import human_bytes
from installer.tui.dialogs.confirm import Confirm
from installer.tui.flows.clock_text import time_of_day
from installer.tui.flows.dialogs import ExportDialog, FilterDecision, FiltersDialog, SourceDialog
from installer.tui.flows.export import FLOW_ENDINGS, MAP_ENDINGS, flow_chunks
from installer.tui.flows.panes import (
    DetailContent,
    MapContent,
    TalkersContent,
    TruthContent,
    edge_clause,
)

if TYPE_CHECKING:
    from installer.tui.flows.screen import FlowsScreen

_EXISTS = "E-EXPORT-001"
_DROPS = "verdict in (dropped, error)"


class FlowTasks:
    """The ``action_`` methods of ``FlowsScreen``."""

    @property
    def _screen(self) -> FlowsScreen:
        return cast("FlowsScreen", self)

    # Table

    def action_pause(self) -> None:
        """Stand still, or go on."""
        table = self._screen.table
        table.pause(not table.paused)

    def action_fold(self) -> None:
        """Show a denial's two records as one, or both."""
        screen = self._screen
        screen.model.fold = not screen.model.fold
        screen.use_filter()
        screen.cockpit.tell("A denial's two records are one row" if screen.model.fold else "Both records are shown")

    def action_zone(self) -> None:
        """Show times in the other zone."""
        screen = self._screen
        screen.local_time = not screen.local_time
        screen.lines.show_times(time_of_day(screen.zone()))
        screen.table.redraw()
        screen.show_headings()

    def action_next_drop(self) -> None:
        """Go to the next dropped flow."""
        self._go_to_drop(1)

    def action_previous_drop(self) -> None:
        """Go to the previous dropped flow."""
        self._go_to_drop(-1)

    def _go_to_drop(self, step: int) -> None:
        screen = self._screen
        view, start = screen.model.view, screen.table.cursor_index
        end = len(view)
        index = (end - 1 if start is None else start) + step
        while 0 <= index < end:
            flow = screen.model.store.flow(view.seq(index))
            if flow is not None and flow.verdict in REFUSED:
                screen.table.go_to(view.first + index)
                return
            index += step
        screen.cockpit.tell("No dropped flow further " + ("down" if step > 0 else "up"))

    def action_mark(self) -> None:
        """Mark the flow under the cursor, or not any more."""
        screen = self._screen
        seq = screen.cursor_seq()
        if seq is not None:
            screen.lines.marked ^= {seq}
            screen.table.redraw()

    # Filter

    def action_filter(self) -> None:
        """Type a filter."""
        self._screen.set_focus(self._screen.filter_bar.input)

    def action_drops(self) -> None:
        """Only what was dropped, or all again."""
        bar = self._screen.filter_bar
        old = bar.expression.strip()
        if _DROPS in old:
            bar.set_expression(old.replace(f" and {_DROPS}", "").replace(_DROPS, "").strip())
        else:
            bar.add_clause(_DROPS)

    def action_edge(self) -> None:
        """Only the flows between the two ends of the marked one."""
        screen = self._screen
        flows = [
            answer.flow
            for seq in (screen.cursor_seq(),)
            if seq is not None and (answer := screen.model.store.answer(seq))
        ]
        if flows and flows[0]:
            client, server = Graph("workload").ends(flows[0])
            screen.filter_bar.set_expression(edge_clause(Edge(client, server)))

    def action_push(self) -> None:
        """Let the source filter too, or not any more."""
        screen = self._screen
        screen.at_source = not screen.at_source
        exact = screen.where is not None and screen.where.exact_on_server
        screen.cockpit.tell(
            "The source filters too: what it leaves out is not kept here"
            if screen.at_source
            else "The source sends all",
            "" if exact or not screen.at_source else "It can do a part of this filter; the rest is done here.",
        )
        screen.open_feed()

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_saved(self) -> None:
        """Use, save or delete filters."""
        screen = self._screen
        filters = screen.cockpit.settings.filters
        decision = await screen.app.push_screen_wait(FiltersDialog(filters, screen.filter_bar.expression))
        if decision is not None:
            self._decide(decision)

    def _decide(self, decision: FilterDecision) -> None:
        screen = self._screen
        filters = dict(screen.cockpit.settings.filters)
        if decision.use:
            screen.filter_bar.set_expression(decision.use)
        elif decision.save:
            screen.cockpit.change_settings(filters=filters | {decision.save: screen.filter_bar.expression})
            screen.cockpit.tell(f"Saved as {decision.save}")
        elif decision.drop:
            filters.pop(decision.drop, None)
            screen.cockpit.change_settings(filters=filters)

    # Panes

    def action_detail(self) -> None:
        """Show all fields of the marked flow."""
        screen = self._screen
        seq = screen.cursor_seq()
        if isinstance(screen.pane.content, DetailContent):
            screen.pane.close()
        elif seq is not None:
            self.open_detail()

    def open_detail(self) -> None:
        """Show the flow under the cursor, and stay with it."""
        screen = self._screen
        screen.table.go_to(screen.table.cursor_line)
        screen.pane.open(DetailContent(screen.model.store, screen.cursor_seq))

    def action_talkers(self) -> None:
        """Show who talks most."""
        self._toggle(TalkersContent, lambda: TalkersContent(self._screen.model))

    def action_map(self) -> None:
        """Show who talks to whom."""
        ascii_only = self._screen.cockpit.settings.ascii
        self._toggle(MapContent, lambda: MapContent(self._screen.model, ascii_only=ascii_only))

    def action_truth(self) -> None:
        """Show how complete this is."""
        self._toggle(TruthContent, lambda: TruthContent(self._screen.model, lambda: self._screen.feed.notes))

    def _toggle(self, kind: type, make: Callable[[], TalkersContent | MapContent | TruthContent]) -> None:
        pane = self._screen.pane
        if isinstance(pane.content, kind):
            pane.close()
        else:
            pane.open(make())

    def action_turn(self) -> None:
        """Count the pane by the next kind."""
        content = self._screen.pane.content
        if isinstance(content, TalkersContent | MapContent):
            content.turn()
            self._screen.pane.view.show(content.lines, follow=False)

    def action_close(self) -> None:
        """Close the pane, else clear the filter."""
        screen = self._screen
        if screen.pane.content is not None:
            screen.pane.close()
            screen.table.focus()
        else:
            screen.filter_bar.set_expression("")

    # Source, export, policy

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_source(self) -> None:
        """Choose where flows come from."""
        screen = self._screen
        choice = await screen.app.push_screen_wait(SourceDialog(screen.feed.choice))
        if choice is not None:
            screen.open_feed(choice)

    def action_again(self) -> None:
        """Open the source again."""
        self._screen.open_feed()

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_export(self) -> None:
        """Write flows, or the map that is open, to a file."""
        screen = self._screen
        content = screen.pane.content
        if isinstance(content, MapContent):
            graph = content.graph
            what, name, endings = f"The map: {len(graph):,} edges", "map.mmd", MAP_ENDINGS
        else:
            graph = None
            count = len(screen.lines.marked) or len(screen.model.view)
            kind = "marked" if screen.lines.marked else "of the table"
            what, name, endings = f"{count:,} flows ({kind})", "flows.jsonl", FLOW_ENDINGS
        path = await screen.app.push_screen_wait(ExportDialog(what, name, endings))
        if path is None:
            return
        ending = path.rpartition(".")[2]
        seqs = sorted(screen.lines.marked) or list(screen.model.view)
        await self._write(
            Path(path),
            lambda: iter([EXPORTS[ending](graph).encode()]) if graph else flow_chunks(screen.model.store, seqs, ending),
        )

    async def _write(self, path: Path, chunks: Callable[[], Iterator[bytes]], *, overwrite: bool = False) -> None:
        screen = self._screen
        write = screen.cockpit.services.write_file
        try:
            size = await asyncio.to_thread(write, path, chunks(), overwrite)
        except BeeyardError as error:
            if error.code != _EXISTS or overwrite:
                screen.cockpit.show_error(error)
            elif await screen.app.push_screen_wait(
                Confirm("Overwrite the file?", str(path), yes="Overwrite", no="Keep")
            ):
                await self._write(path, chunks, overwrite=True)
            return
        screen.cockpit.tell(f"Wrote {path}", human_bytes(size))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what this version or this moment has no use for."""
        if action == "draft":
            return self._drafting_area() is not None
        return super().check_action(action, parameters)  # type: ignore[misc, no-any-return]

    def _drafting_area(self) -> str | None:
        """Return the area whose screen drafts policies from flows (``draft_from_flows``), None if there is none."""
        for area in self._screen.cockpit.areas:
            if area.id == "policies" and hasattr(area.load(), "draft_from_flows"):
                return area.id
        return None

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_draft(self) -> None:
        """Hand the marked flows over to where policies are drafted."""
        screen = self._screen
        area, flows = self._drafting_area(), screen.marked_flows()
        if area is not None and flows:
            await screen.cockpit.switch_mode(area)
            screen.cockpit.screen.draft_from_flows(flows)  # type: ignore[attr-defined]
