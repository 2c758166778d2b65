"""Who may talk to whom: the policies as a graph."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.policy.engine import Engine
from installer.domain.policy.entry import PortRule
from installer.domain.policy.model import Decision, Direction, Peer, Traffic, entity

ENTITIES = ("world", "host", "remote-node", "kube-apiserver", "ingress")
"""Entities that a graph shows beside the pods."""
_NAMED = 4
_OTHER = 7
"""A port that policies hardly name: it stands for all that are not named."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What one group may send to another.

    Attributes:
        source: group's name.
        dest: group's name.
        ports: such as ``80/TCP``, or ``all`` alone.
        l7: ports whose requests are judged one by one.
        unknown: ports on which the answer depends on what is not known.
        ruled: whether a rule says so; otherwise nobody forbids it.
    """

    source: str
    dest: str
    ports: tuple[str, ...]
    l7: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    ruled: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "source": self.source,
            "dest": self.dest,
            "ports": list(self.ports),
            "l7": list(self.l7),
            "unknown": list(self.unknown),
            "ruled": self.ruled,
        }


def reach(engine: Engine, groups: Mapping[str, Peer], *, entities: Sequence[str] = ENTITIES) -> list[Edge]:
    """Work out every edge between groups of pods, and between them and the entities.

    Args:
        engine: with the policies.
        groups: one pod of each group, by the group's name.
        entities: shown beside them.
    """
    peers = dict(groups) | {name: entity(name) for name in entities}
    ports = _ports(engine)
    found = []
    for source, from_peer in peers.items():
        for dest, to_peer in peers.items():
            if source != dest and (source in groups or dest in groups):
                edge = _edge(engine, (source, from_peer), (dest, to_peer), ports)
                if edge is not None:
                    found.append(edge)
    return found


def isolation(engine: Engine, groups: Mapping[str, Peer]) -> dict[str, dict[str, bool | None]]:
    """Return for each group whether it is in default deny, by direction; None: not known."""
    return {
        name: {direction.value: engine.isolated(peer, direction) for direction in Direction}
        for name, peer in groups.items()
    }


def _ports(engine: Engine) -> list[tuple[str, int]]:
    """Return the ports that rules name, and one that stands for the rest."""
    rules = [
        rule
        for policy in engine.policies
        for spec in policy.rules
        for entry in spec.entries
        for rule in entry.ports or ()
    ]
    found = {(protocol, rule.first) for rule in rules if _is_one(rule) for protocol in _protocols(rule)}
    return sorted({*found, ("TCP", _OTHER)}, key=lambda port: (port[1], port[0]))


def _is_one(rule: PortRule) -> bool:
    return not rule.name and rule.last - rule.first < 65535


def _protocols(rule: PortRule) -> tuple[str, ...]:
    return ("TCP", "UDP") if rule.protocol == "ANY" else (rule.protocol,)


def _edge(
    engine: Engine, source: tuple[str, Peer], dest: tuple[str, Peer], ports: Sequence[tuple[str, int]]
) -> Edge | None:
    allowed: list[str] = []
    l7: list[str] = []
    unknown: list[str] = []
    ruled = False
    for protocol, port in ports:
        verdict = engine.verdict(Traffic(source[1], dest[1], port, protocol))
        name = f"{port}/{protocol}"
        sides = [side for side in (verdict.egress, verdict.ingress) if side is not None]
        if verdict.decision is Decision.ALLOW:
            allowed.append(name)
            ruled = ruled or any(side.reason in ("rule", "l7-rule") for side in sides)
            if any(side.redirected for side in sides):
                l7.append(name)
        elif verdict.decision is Decision.UNKNOWN:
            unknown.append(name)
    if not (allowed or unknown):
        return None
    other = f"{_OTHER}/TCP"
    whole = other in allowed
    shown = ("all",) if whole and len(allowed) == len(ports) else tuple(name for name in allowed if name != other)
    return Edge(
        source[0], dest[0], shown or ("all",), tuple(l7), tuple(name for name in unknown if name != other), ruled
    )


def as_text(edges: Iterable[Edge]) -> str:
    """Return lines by destination: who may reach it, and on which ports; what no policy says is told in one line."""
    by_dest: dict[str, list[Edge]] = {}
    for edge in edges:
        by_dest.setdefault(edge.dest, []).append(edge)
    lines: list[str] = []
    for dest, found in sorted(by_dest.items()):
        lines.append(dest)
        ruled = sorted((edge for edge in found if edge.ruled or edge.unknown), key=lambda edge: edge.source)
        width = max((len(edge.source) for edge in ruled), default=0)
        lines += [
            f"  <- {edge.source:<{width}}  {_label(edge)}{'' if edge.ruled else '  (no policy)'}" for edge in ruled
        ]
        lines += _unruled([edge for edge in found if edge not in ruled], everyone=not ruled)
    return "\n".join(lines)


def _unruled(edges: Sequence[Edge], *, everyone: bool) -> Iterable[str]:
    """Yield one line for each set of ports that nobody forbids."""
    by_ports: dict[str, list[str]] = {}
    for edge in edges:
        by_ports.setdefault(_label(edge), []).append(edge.source)
    for ports, sources in sorted(by_ports.items()):
        names = ", ".join(sorted(sources)[:_NAMED])
        more = f" and {len(sources) - _NAMED} more" if len(sources) > _NAMED else ""
        who = f"anyone ({len(sources)})" if everyone and len(by_ports) == 1 and len(sources) > 1 else names + more
        yield f"  <- {who}  {ports}  (no policy)"


def as_mermaid(edges: Iterable[Edge]) -> str:
    """Return a Mermaid flowchart."""
    lines = ["flowchart LR"]
    names: dict[str, str] = {}
    for edge in edges:
        for name in (edge.source, edge.dest):
            if name not in names:
                names[name] = f"n{len(names)}"
                lines.append(f'  {names[name]}["{_quoted(name)}"]')
        arrow = "-->" if edge.ruled else "-.->"
        lines.append(f'  {names[edge.source]} {arrow}|"{_quoted(_label(edge))}"| {names[edge.dest]}')
    return "\n".join(lines)


def as_json(edges: Iterable[Edge]) -> str:
    """Return the JSON form."""
    return json.dumps({"edges": [edge.to_dict() for edge in edges]}, indent=2)


def _label(edge: Edge) -> str:
    parts = [f"{port} (L7)" if port in edge.l7 else port for port in edge.ports]
    return ", ".join(parts + [f"{port} unknown" for port in edge.unknown])


def _quoted(text: str) -> str:
    return re.sub(r'["<>&]', lambda found: f"#{ord(found.group(0))};", text)
