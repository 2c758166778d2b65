"""Status as plain text that fits 80 columns. A state is always a word."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from installer.domain.overview import CertificateStatus, NamespaceStatus, WarningEvent
from installer.domain.status import AgentStatus, NodeStatus, Notice, RelayStatus, Status, WorkloadStatus
from installer.domain.text import printable

WIDTH = 80
EVENTS_SHOWN = 10
_INDENT = "  "


def render(status: Status) -> str:
    """Return the whole status, sections parted by empty lines, with a newline at the end."""
    sections = [
        _head(status),
        _section("Components", _components(status.workloads)),
        _section("Nodes", _nodes(status.nodes)),
        _section("Agents", _agents(status.agents)),
        _section("Relay", _relay(status.relay)),
        _section("Namespaces", _namespaces(status)),
        _section("Configuration", _pairs(status.config.items())),
        _section("Versions", _pairs(status.versions.items())),
        _section("Certificates", _certificates(status.certificates)),
        _section("Images", _images(status.workloads)),
        _section("Cause", _cause(status)),
        _section("Errors", _notices(status.errors)),
        _section("Warnings", _notices(status.warnings)),
        _section("Hints", _notices(status.hints)),
        _section("Recent warning events", _events(status.events[:EVENTS_SHOWN])),
        _section("Not read", _unread(status)),
    ]
    return printable("\n\n".join(section for section in sections if section) + "\n")


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{title}:", *lines]) if lines else ""


def _wrap(text: str, first: str = _INDENT, rest: str = _INDENT * 2) -> list[str]:
    lines = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return lines or [first.rstrip()]


def _pairs(pairs: Iterable[tuple[str, str]], indent: str = _INDENT) -> list[str]:
    """Return ``name  value`` lines with the values in one column."""
    found = list(pairs)
    width = max((len(name) for name, _ in found), default=0) + 2
    blank = indent + " " * width
    return [line for name, value in found for line in _wrap(value or "-", f"{indent}{name:<{width}}", blank)]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows in columns; the last column is wrapped."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = "".join(f"{cell:<{width + 2}}" for cell, width in zip(row, widths, strict=False))
        room = min(len(_INDENT + cells), WIDTH - 20)
        if len(_INDENT + cells) > room:
            lines += [(_INDENT + cells).rstrip(), *(_wrap(row[-1], " " * 4, " " * 4) if row[-1] else [])]
        else:
            lines += [line.rstrip() for line in _wrap(row[-1], _INDENT + cells, " " * room)]
    return lines


def _head(status: Status) -> str:
    helm = status.helm
    release = f"{helm.chart} (release {helm.name}, revision {helm.revision}, {helm.status})" if helm else "not known"
    pairs = [
        ("Cluster", f"{status.server} (context {status.context})"),
        ("Kubernetes", status.kubernetes or "not known"),
        ("Cilium", _verdict(status)),
        ("Helm chart", release),
        ("Pods", f"{status.managed}/{status.pods} managed by Cilium"),
    ]
    return "\n".join(_pairs(pairs, indent=""))


def _verdict(status: Status) -> str:
    if status.ready:
        return "ready"
    count = len(status.errors)
    return f"not ready, {count} error{'s' * (count != 1)}" if count else "not ready yet"


def _components(workloads: Sequence[WorkloadStatus]) -> list[str]:
    if not workloads:
        return []
    return _table([("NAME", "STATE", "READY", "AVAILABLE", "DETAIL"), *map(_component, workloads)])


def _component(one: WorkloadStatus) -> tuple[str, ...]:
    if one.state == "disabled":
        return one.name, one.state, "-", "-", ""
    ready, available = f"{one.ready}/{one.desired}", f"{one.available}/{one.desired}"
    phases = ", ".join(f"{count} {phase}" for phase, count in one.phases.items())
    plain = one.detail == f"{ready} ready"
    return one.name, one.state, ready, available, phases if plain else one.detail


def _nodes(nodes: Sequence[NodeStatus]) -> list[str]:
    lines = []
    for node in nodes:
        state = "Ready" if node.ready else "NotReady"
        words = [state, *(["cordoned"] if node.unschedulable else []), *node.conditions]
        lines += _wrap(f"{node.name}  {', '.join(words)}  {','.join(node.roles) or 'no role'}  {node.version}")
        facts = [node.address, *node.pod_cidrs, f"kernel {node.kernel}", node.arch, node.os, node.runtime]
        lines += _wrap(", ".join(filter(None, facts)), _INDENT * 2, _INDENT * 2)
        if node.taints:
            lines += _wrap(f"taints: {', '.join(node.taints)}", _INDENT * 2, _INDENT * 3)
    return lines


def _agents(agents: Sequence[AgentStatus]) -> list[str]:
    return [line for agent in agents for line in _agent(agent)]


def _agent(agent: AgentStatus) -> list[str]:
    lines = _wrap(f"{agent.pod} on {agent.node}")
    if agent.error:
        return lines + _wrap(f"not known: {agent.error}", _INDENT * 2, _INDENT * 2)
    ready = agent.endpoints - len(agent.endpoints_not_ready)
    pairs = [(part.name, f"{part.state}  {part.text}".rstrip()) for part in agent.parts]
    pairs += list(agent.facts.items())
    pairs.append(("Controllers", f"{agent.controllers - len(agent.failing)}/{agent.controllers} healthy"))
    pairs.append(("Endpoints", f"{ready}/{agent.endpoints} ready"))
    return lines + _pairs(pairs, _INDENT * 2)


def _relay(relay: RelayStatus | None) -> list[str]:
    if relay is None:
        return []
    if relay.error:
        return _wrap(f"not known: {relay.error}")
    total = relay.connected + len(relay.unavailable)
    pairs = [
        ("Nodes", f"{relay.connected}/{total} reached"),
        ("Flows", f"{relay.flows}/{relay.max_flows} held, {relay.rate:.1f} per second"),
        ("Version", relay.version),
    ]
    return _pairs(pairs)


def _namespaces(status: Status) -> list[str]:
    if not status.namespaces:
        return []
    rows = [("NAME", "MANAGED", "POLICIES", "ENFORCED"), *map(_namespace, status.namespaces)]
    return _table(rows) + (_wrap(f"and {wide} for the whole cluster") if (wide := status.clusterwide_policies) else [])


def _namespace(one: NamespaceStatus) -> tuple[str, ...]:
    return one.name, f"{one.managed}/{one.pods}", str(one.policies), one.enforcement


def _certificates(certificates: Sequence[CertificateStatus]) -> list[str]:
    return _pairs((one.name, f"{one.expires[:10]}, {_days(one.days)}") for one in certificates)


def _days(days: int) -> str:
    return f"{days} days left" if days >= 0 else "expired"


def _events(events: Sequence[WarningEvent]) -> list[str]:
    return [line for one in events for line in _event(one)]


def _event(one: WarningEvent) -> list[str]:
    times = f" ({one.count} times)" if one.count > 1 else ""
    return _wrap(f"{one.last[:19]} {one.subject} {one.reason}{times}: {one.message}")


def _unread(status: Status) -> list[str]:
    lines = []
    for text, detail in zip_longest(status.unread, status.unread_details):
        lines += _wrap(text)
        if detail is not None and detail.fix:
            lines += _wrap(f"Fix: {detail.fix}", _INDENT * 2, _INDENT * 2)
    return lines


def _images(workloads: Sequence[WorkloadStatus]) -> list[str]:
    return _pairs((one.name, f"{image} x{count}") for one in workloads for image, count in one.images.items())


def _cause(status: Status) -> list[str]:
    """Return what is to be mended first, where the errors have a cause behind them."""
    cause = status.diagnosis.cause
    if cause is None or not cause.code.startswith("E-DIA-"):
        return []
    lines = _wrap(f"{cause.what} [{cause.code}]")
    if cause.evidence:
        lines += _wrap(f"Found in {cause.where}: {cause.evidence}", _INDENT * 2, _INDENT * 2)
    return lines + _wrap(f"Fix: {cause.fix}", _INDENT * 2, _INDENT * 2)


def _notices(notices: Sequence[Notice]) -> list[str]:
    lines = []
    for notice in notices:
        code = f" [{notice.code}]" if notice.code else ""
        lines += _wrap(f"{notice.subject}: {notice.text}{code}")
        if notice.why:
            lines += _wrap(notice.why, _INDENT * 2, _INDENT * 2)
        if notice.fix:
            lines += _wrap(f"Fix: {notice.fix}", _INDENT * 2, _INDENT * 2)
    return lines
