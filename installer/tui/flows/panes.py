"""What the pane beside the table can show: top talkers, the service map, how complete the picture is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from textwrap import wrap
from typing import Protocol

from rich.text import Text

from installer.domain.flows.graph import LEVELS, OUTSIDE, SERVICE, Edge, Graph, Node
from installer.domain.flows.graph_export import edge_lines
from installer.domain.flows.grouping import ARROW
from installer.domain.flows.lag import lag_text
from installer.domain.flows.names import RESERVED_IDENTITY
from installer.domain.flows.store import FlowStore
from installer.domain.flows.talkers import KINDS, Talker, Talkers
from installer.domain.flows.where.syntax import value_text
from installer.domain.text import one_line
from installer.tui.flows.detail import detail
from installer.tui.flows.model import FlowsModel, Tally
from installer.tui.flows.text_lines import PaneLine, TextLines

TOP = 100
MOST_LINES = 2_000
"""Lines of the map that are drawn."""
PORTION = 500
"""Flows counted at once, between two looks at the clock."""


_RESERVED = frozenset(RESERVED_IDENTITY.values()) | {"remote-node"}


class Content(Protocol):
    """What a pane shows."""

    lines: TextLines

    @property
    def title(self) -> str:
        """Heading."""
        ...

    def count(self) -> bool:
        """Count a portion of the flows not counted yet; tell whether more are left."""
        ...

    def draw(self, width: int) -> None:
        """Bring the lines up to date."""
        ...

    def restart(self) -> None:
        """Count from the start, because flows or filter are others."""
        ...


class DetailContent:
    """All that the flow under the cursor tells.

    Args:
        store: where it is.
        cursor: returns its sequence number.
    """

    def __init__(self, store: FlowStore, cursor: Callable[[], int | None]) -> None:
        self.lines = TextLines()
        self._store = store
        self._cursor = cursor
        self._seq: int | None = None

    @property
    def title(self) -> str:
        """Heading."""
        return "Flow"

    def restart(self) -> None:
        """Stay with the flow: it is the same under another filter."""

    def count(self) -> bool:
        """There is nothing to count."""
        return False

    def draw(self, width: int) -> None:
        """Follow the cursor."""
        del width
        seq = self._cursor()
        if seq is None or seq == self._seq:
            return
        answer, partner = self._store.answer(seq), self._store.partner(seq)
        if answer is not None:
            self._seq = seq
            self.lines.replace(detail(answer, self._store.answer(partner) if partner is not None else None))


class TalkersContent:
    """Who talks most."""

    _drawn_for: tuple[int, int]
    _talkers: Talkers
    _tally: Tally

    def __init__(self, model: FlowsModel, kind: str = "workload") -> None:
        self.lines = TextLines()
        self._model = model
        self._start(kind)

    @property
    def title(self) -> str:
        """Heading."""
        return f"Top by {self._talkers.kind}: {self._talkers.total:,} flows"

    def turn(self) -> None:
        """Count by the next kind."""
        kinds = list(KINDS)
        self._start(kinds[(kinds.index(self._talkers.kind) + 1) % len(kinds)])

    def restart(self) -> None:
        """Count from the start, through the filter in use."""
        self._start(self._talkers.kind)

    def count(self) -> bool:
        """Count on."""
        return self._tally.advance(PORTION)

    def draw(self, width: int) -> None:
        """Rank them."""
        if (self._talkers.total, width) != self._drawn_for:
            self._drawn_for = self._talkers.total, width
            self.lines.replace(self._table(width))

    def _start(self, kind: str) -> None:
        self._drawn_for = (-1, 0)
        self._talkers = Talkers(kind)
        self._tally = Tally(self._model.store, self._model.view, self._talkers)

    def _table(self, width: int) -> list[PaneLine]:
        top = self._talkers.top(TOP)
        bar = max(4, min(20, width - 46))
        most = top[0].flows if top else 1
        head = PaneLine(Text(f"{'FLOWS':>9} {'DROPS':>7} {'':<{bar}} {self._talkers.kind.upper()}", style="dim"))
        if not top:
            return [head, PaneLine(Text("  nothing yet"))]
        return [head, *(self._line(talker, most, bar) for talker in top)]

    def _line(self, talker: Talker, most: int, bar: int) -> PaneLine:
        length = max(1, round(talker.flows / most * bar))
        line = Text(f"{talker.flows:>9,} ").append(f"{talker.drops:>7,} ", style="bold" if talker.drops else "dim")
        line.append(("#" * length).ljust(bar), style="dim").append(f" {one_line(talker.name)}")
        return PaneLine(line, _talker_clause(self._talkers.kind, talker.name))


def _talker_clause(kind: str, name: str) -> str:
    if kind == "edge":
        client, _, server = name.partition(ARROW)
        return f"{_end_clause('workload', 'src', client)} and {_end_clause('workload', 'dst', server)}"
    if kind == "port":
        number, _, protocol = name.partition("/")
        return f"port={number} and protocol={protocol.lower()}" if protocol else ""
    if kind == "reason":
        return f"reason={value_text(name)}"
    return _end_clause(kind, "", name)


def _end_clause(kind: str, side: str, name: str) -> str:
    """Return the filter for an end of that name: in a namespace, or outside of all."""
    prefix = f"{side}." if side else ""
    namespace, slash, rest = name.partition("/")
    if kind == "namespace":
        return outside_clause(prefix, name) if name in _RESERVED else f"{prefix}ns={value_text(name)}"
    if not slash:
        return outside_clause(prefix, name)
    if kind == "pod":
        return f"{prefix}pod={value_text(name)}"
    return f"{prefix}ns={value_text(namespace)} and {prefix}workload={value_text(rest)}"


def outside_clause(prefix: str, name: str) -> str:
    """Return the filter for an end that is no pod: reserved identity, address, service or DNS name."""
    if name in _RESERVED:
        return f"{prefix}label={value_text(f'reserved:{name}')}"
    if "/" in name:
        return f"{prefix}svc={value_text(name)}"
    return f"{prefix}{'ip' if _is_address(name) else 'name'}={value_text(name)}"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class MapContent:
    """The service map.

    Attributes:
        graph: what was counted.
    """

    graph: Graph
    _drawn_for: tuple[int, int]
    _tally: Tally

    def __init__(self, model: FlowsModel, level: str = "workload", *, ascii_only: bool = False) -> None:
        self.lines = TextLines()
        self._model = model
        self._ascii = ascii_only
        self._start(level)

    @property
    def title(self) -> str:
        """Heading."""
        return f"Map by {self.graph.level}: {len(self.graph):,} edges, {self.graph.total:,} flows"

    def turn(self) -> None:
        """Draw by the next level."""
        levels = list(LEVELS)
        self._start(levels[(levels.index(self.graph.level) + 1) % len(levels)])

    def restart(self) -> None:
        """Count from the start, through the filter in use."""
        self._start(self.graph.level)

    def count(self) -> bool:
        """Count on."""
        return self._tally.advance(PORTION)

    def draw(self, width: int) -> None:
        """Lay it out."""
        if (self.graph.total, width) != self._drawn_for:
            self._drawn_for = self.graph.total, width
            self.lines.replace(self._drawn(max(40, width)))

    def _start(self, level: str) -> None:
        self._drawn_for = (-1, 0)
        self.graph = Graph(level)
        self._tally = Tally(self._model.store, self._model.view, self.graph)

    def _drawn(self, width: int) -> list[PaneLine]:
        drawn = edge_lines(self.graph, width, ascii_only=self._ascii)[:MOST_LINES]
        return [_map_line(text, edge) for text, edge in drawn] or [PaneLine(Text("nothing yet"))]


def _map_line(text: str, edge: Edge | None) -> PaneLine:
    if edge is None:
        return PaneLine(Text(text, style="bold"))
    return PaneLine(Text(text, style="bold" if edge.refused else ""), edge_clause(edge))


def edge_clause(edge: Edge) -> str:
    """Return the filter for the flows of an edge, in both directions."""
    there = f"{_node_clause('src', edge.client)} and {_node_clause('dst', edge.server)}"
    back = f"{_node_clause('src', edge.server)} and {_node_clause('dst', edge.client)}"
    return there if edge.client == edge.server else f"({there} and not reply=yes or {back} and reply=yes)"


def _node_clause(side: str, node: Node) -> str:
    if node.group == OUTSIDE:
        return outside_clause(f"{side}.", node.name)
    if node.name.endswith(SERVICE):
        return f"{side}.svc={value_text(node.title.removesuffix(SERVICE))}"
    namespace = f"{side}.ns={value_text(node.group)}"
    return namespace if node.name == node.group else f"{namespace} and {side}.workload={value_text(node.name)}"


class TruthContent:
    """How late, how complete, how far back: what may be concluded from what is on the screen."""

    def __init__(self, model: FlowsModel, notes: Callable[[], Sequence[str]]) -> None:
        self.lines = TextLines()
        self._model = model
        self._notes = notes

    @property
    def title(self) -> str:
        """Heading."""
        missing = self._model.store.losses.total
        return f"Incomplete: {missing:,} events missing" if missing or self._model.gaps else "Complete so far"

    def restart(self) -> None:
        """Counters go on."""

    def count(self) -> bool:
        """There is nothing to count."""
        return False

    def draw(self, width: int) -> None:
        """Read the counters."""
        self.lines.replace([*self._losses(), *self._lags(), *self._memory(), *self._told(max(20, width - 4))])

    def _losses(self) -> list[PaneLine]:
        losses = self._model.store.losses
        rows = [f"{count:>9,}  {reason}" for reason, count in losses.lost.most_common()]
        rows += [f"{count:>9,}  of node {node or '?'}" for node, count in losses.lost_nodes.most_common()]
        rows += [f"{count:>9,}  shed here: {reason}" for reason, count in losses.shed.most_common()]
        return _block("LOST", rows or ["        0  nothing that the source or this screen knows of"])

    def _lags(self) -> list[PaneLine]:
        rows = [
            f"{lag_text(node.median):>12}  p95 {lag_text(node.p95):<10} {node.flows:>9,} flows  {node.node or '?'}"
            for node in self._model.lag.nodes()
        ]
        state = [f"{state:>12}  {node}" for node, state in sorted(self._model.store.nodes.items())]
        return _block("LAG BY NODE", rows or ["a recording has none" if self._model.recorded else "no flow yet"]) + (
            _block("NODES, AS THE SOURCE SAYS", state) if state else []
        )

    def _memory(self) -> list[PaneLine]:
        store = self._model.store
        oldest, newest = store.flow(store.first), store.flow(store.next - 1)
        if oldest is None or newest is None:
            return []
        rows = [f"{len(store):,} of {store.next:,} flows kept", f"from {oldest.time}", f"to   {newest.time}"]
        return _block("MEMORY", rows)

    def _told(self, width: int) -> list[PaneLine]:
        rows = [row for note in reversed(self._notes()) for row in _wrapped(note, width)]
        return _block("TOLD BY THE SOURCE, NEWEST FIRST", rows) if rows else []


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, subsequent_indent="  ")


def _block(title: str, rows: Sequence[str]) -> list[PaneLine]:
    return [PaneLine(Text(title, style="bold")), *(PaneLine(Text(f"  {one_line(row)}")) for row in rows)]
