"""The service map for other eyes: text, Mermaid, DOT, JSON. Names are hostile and are escaped in each."""

from __future__ import annotations

import json
from collections.abc import Callable

from installer.domain.flows.graph import OUTSIDE, Edge, Graph, Node, top, verdict_text
from installer.domain.text import printable


def to_text(graph: Graph, width: int = 100, *, ascii_only: bool = False) -> list[str]:
    """Return lines: a client's group and name, below it an arrow to each server with verdicts and ports.

    Example::

        shop
          web
            -> shop/api     DROPPED 2, FORWARDED 40  8080/TCP  HTTP GET, HTTP 2xx
    """
    return [line for line, _ in edge_lines(graph, width, ascii_only=ascii_only)]


def edge_lines(graph: Graph, width: int = 100, *, ascii_only: bool = False) -> list[tuple[str, Edge | None]]:
    """Return the same lines, each with the edge that it speaks of, None for headings."""
    edges = graph.edges()
    column = min(max((len(_plain(edge.server.title)) for edge in edges), default=0), max(12, width // 3))
    lines: list[tuple[str, Edge | None]] = []
    group = name = None
    for edge in edges:
        if edge.client.group != group:
            group, name = edge.client.group, None
            lines.append((_plain(edge.client.group), None))
        if edge.client.name != name:
            name = edge.client.name
            lines += [] if name == group else [(f"  {_plain(name)}", None)]
        lines.append((_fit(_edge_line(edge, column, ascii_only=ascii_only), width), edge))
    return lines


def _edge_line(edge: Edge, column: int, *, ascii_only: bool) -> str:
    refused, passed = ("-x", "->") if ascii_only else ("─✗", "─▶")
    arrow = refused if edge.refused == edge.flows else passed
    title = _fit(_plain(edge.server.title), column).ljust(column)
    parts = [title, verdict_text(edge), top(edge.ports), top(edge.reasons), top(edge.l7)]
    return f"    {arrow} " + "  ".join(_plain(part) for part in parts if part)


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"


def _plain(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\t", " ")


def to_mermaid(graph: Graph) -> str:
    """Return a Mermaid flowchart with a subgraph per group; edges with refused flows are dotted."""
    names = {node: f"n{index}" for index, node in enumerate(graph.nodes())}
    lines = ["flowchart LR"]
    for group, nodes in _groups(graph).items():
        inside = [f'    {names[node]}["{_mermaid(node.name)}"]' for node in nodes]
        lines += (
            inside if group == OUTSIDE else [f'  subgraph g{names[nodes[0]]}["{_mermaid(group)}"]', *inside, "  end"]
        )
    for edge in graph.edges():
        arrow = "-.->" if edge.refused else "-->"
        lines.append(f'  {names[edge.client]} {arrow}|"{_mermaid(_label(edge))}"| {names[edge.server]}')
    return "\n".join(lines) + "\n"


def to_dot(graph: Graph) -> str:
    """Return a Graphviz digraph with a cluster per group; edges with refused flows are dashed."""
    names = {node: f"n{index}" for index, node in enumerate(graph.nodes())}
    lines = ["digraph flows {", "  rankdir=LR;", "  node [shape=box];"]
    for index, (group, nodes) in enumerate(_groups(graph).items()):
        inside = [f"    {names[node]} [label={_quoted(node.name)}];" for node in nodes]
        head = f"  subgraph cluster_{index} {{ label={_quoted(group)};"
        lines += inside if group == OUTSIDE else [head, *inside, "  }"]
    for edge in graph.edges():
        style = ", style=dashed" if edge.refused else ""
        lines.append(f"  {names[edge.client]} -> {names[edge.server]} [label={_quoted(_label(edge))}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def to_json(graph: Graph) -> str:
    """Return ``{"level", "flows", "nodes": [{"group", "name"}], "edges": [{"client", "server", "flows", ...}]}``."""
    nodes = graph.nodes()
    number = {node: index for index, node in enumerate(nodes)}
    edges = [
        {
            "client": number[edge.client],
            "server": number[edge.server],
            "flows": edge.flows,
            "verdicts": dict(sorted(edge.verdicts.items())),
            "ports": dict(sorted(edge.ports.items())),
            "reasons": dict(sorted(edge.reasons.items())),
            "l7": dict(sorted(edge.l7.items())),
            "last": edge.last,
        }
        for edge in graph.edges()
    ]
    content = {
        "level": graph.level,
        "flows": graph.total,
        "nodes": [{"group": "" if node.group == OUTSIDE else node.group, "name": node.name} for node in nodes],
        "edges": edges,
    }
    return json.dumps(content, indent=2) + "\n"


EXPORTS: dict[str, Callable[[Graph], str]] = {
    "txt": lambda graph: "\n".join(to_text(graph)) + "\n",
    "mmd": to_mermaid,
    "dot": to_dot,
    "json": to_json,
}
"""Exports by the file name's ending."""


def _groups(graph: Graph) -> dict[str, list[Node]]:
    groups: dict[str, list[Node]] = {}
    for node in graph.nodes():
        groups.setdefault(node.group, []).append(node)
    return groups


def _label(edge: Edge) -> str:
    return " · ".join(part for part in (top(edge.ports), verdict_text(edge)) if part)


def _mermaid(text: str) -> str:
    """Escape by entity codes: quotes, brackets, backticks and ``#`` have meanings in Mermaid."""
    return "".join(char if char.isalnum() or char in " -_./:,·+" else f"#{ord(char)};" for char in _plain(text))


def _quoted(text: str) -> str:
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
