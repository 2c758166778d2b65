"""Cards of what runs: nodes, Cilium's parts, agents; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from installer.domain.overview import Overview
from installer.domain.readiness import Component
from installer.domain.readiness_rules.facts import CLUSTERMESH
from installer.domain.status import AgentStatus, NodeStatus, Status, WorkloadStatus
from installer.tui.overview.cards import Card, Level, Row
from installer.tui.overview.rows import (
    EVIDENCE,
    TITLES,
    empty_row,
    explain,
    problem_parts,
    refusal_row,
    related,
    unique,
    waiting_card,
)

_STATES = {
    "ready": Level.OK,
    "progressing": Level.WARNING,
    "failed": Level.ERROR,
    "disabled": Level.OFF,
    "unknown": Level.WARNING,
}


def nodes_card(status: Status) -> Card:
    """Return the card of the nodes."""
    judged = {one.name: one for one in status.snapshot.components}
    rows = [_node_row(status, node, judged.get(f"node/{node.name}")) for node in status.nodes]
    ready = sum(node.ready for node in status.nodes)
    refused = refusal_row(status, "nodes")
    return Card(
        "nodes",
        TITLES["nodes"],
        f"{ready}/{len(rows)} ready" if rows else "",
        tuple(rows or [refused or empty_row("nodes", "There is no node.", Level.WARNING)]),
        optional=(3, 2),
    )


def _node_row(status: Status, node: NodeStatus, component: Component | None) -> Row:
    level = Level.OK if component is None or component.state.value == "ready" else Level.WARNING
    if not node.ready:
        level = Level.ERROR
    elif node.conditions or node.unschedulable:
        level = Level.WARNING
    words = ["Ready" if node.ready else "NotReady", *(["cordoned"] if node.unschedulable else []), *node.conditions]
    problems = component.problems if component is not None else ()
    detail = explain(
        f"Node {node.name}",
        level,
        (
            "State",
            f"{', '.join(words)}{f': {component.detail}' if component and component.detail not in words else ''}",
        ),
        *problem_parts(problems),
        ("Roles", ", ".join(node.roles)),
        ("Address", node.address),
        ("Pod ranges", ", ".join(node.pod_cidrs)),
        ("Taints", "\n".join(node.taints)),
        ("Kubelet", node.version),
        ("Kernel", f"{node.kernel} {node.arch}"),
        ("System", node.os),
        ("Runtime", node.runtime),
        ("Events", "\n".join(related(status, node.name))),
        code=problems[0].code if problems else "",
    )
    return Row(f"node-{node.name}", (node.name, ", ".join(words), node.address, ",".join(node.roles)), level, detail)


def components_card(status: Status) -> Card:
    """Return the card of Cilium's and Hubble's parts."""
    judged = {(one.kind, one.name): one for one in status.snapshot.components}
    shown = [one for one in status.workloads if (one.kind, one.name) in judged and not _is_usual_absence(one)]
    shown.sort(key=lambda one: one.state == "disabled")
    rows = [_component_row(status, one, judged[one.kind, one.name]) for one in shown]
    if status.relay is not None:
        rows.append(_relay_row(status))
    wanted = [one for one in shown if one.state != "disabled"]
    ready = sum(one.state == "ready" for one in wanted)
    refused = [row for part in ("daemonsets", "deployments") if (row := refusal_row(status, part))]
    summary = f"{ready}/{len(wanted)} ready" if wanted else ""
    return Card(
        "components", TITLES["components"], summary, tuple(unique([*rows, *refused])), right=(2,), optional=(3,)
    )


def _is_usual_absence(one: WorkloadStatus) -> bool:
    return one.name == CLUSTERMESH and one.state == "disabled"


def _component_row(status: Status, one: WorkloadStatus, component: Component) -> Row:
    level = _STATES.get(one.state, Level.WARNING)
    if component.problems and level is not Level.OFF:
        level = Level.ERROR
    count = "" if one.state == "disabled" else f"{one.ready}/{one.desired}"
    words = "" if one.detail in (f"{count} ready", "disabled") else one.detail
    images = "\n".join(f"{image} x{number}" for image, number in one.images.items())
    detail = explain(
        f"{one.kind} {one.name}",
        level,
        ("State", f"{one.state}{f': {one.detail}' if one.detail else ''}"),
        *problem_parts(component.problems),
        ("Pods", _pod_counts(one)),
        ("Phases", ", ".join(f"{number} {phase}" for phase, number in one.phases.items())),
        ("Images", images),
        ("Events", "\n".join(_related_prefix(status, one.name))),
        ("", _OFF.get(one.name, "It is switched off.") if one.state == "disabled" else ""),
        code=component.problems[0].code if component.problems else "",
    )
    return Row(f"component-{one.kind}-{one.name}", (one.name, one.state, count, words), level, detail)


_OFF = {
    "hubble-relay": "Hubble or its Relay is switched off: there are no flows to see. Setup switches it on.",
    "hubble-ui": "Hubble's own web page is switched off. Setup switches it on.",
    "cilium-envoy": "No Envoy runs as a DaemonSet; L7 rules are handled in the agent, or not at all.",
}


def _pod_counts(one: WorkloadStatus) -> str:
    if one.state == "disabled":
        return ""
    return f"{one.ready} of {one.desired} ready, {one.available} available, {one.updated} up to date"


def _related_prefix(status: Status, name: str) -> list[str]:
    found = [f"{one.name} {one.reason}: {one.message}" for one in status.events if one.name.startswith(f"{name}-")]
    return found[:EVIDENCE]


def _relay_row(status: Status) -> Row:
    relay = status.relay
    assert relay is not None
    total = relay.connected + len(relay.unavailable)
    level = Level.ERROR if relay.error or relay.unavailable else Level.OK
    words = relay.error or f"{relay.rate:.0f} flows/s"
    notice = next((one for one in status.errors if one.code in ("E-STATUS-008", "E-STATUS-009")), None)
    detail = explain(
        "Hubble Relay's own word",
        level,
        ("State", relay.error or f"reaches {relay.connected} of {total} nodes"),
        ("Cause", notice.why if notice else ""),
        ("Fix", notice.fix if notice else ""),
        ("Not reached", "\n".join(relay.unavailable)),
        ("Flows", "" if relay.error else f"{relay.flows} of {relay.max_flows} held, {relay.rate:.1f} per second"),
        ("Version", relay.version),
        code=notice.code if notice else "",
    )
    state = "failed" if relay.error else "answers"
    return Row("relay", ("relay to nodes", state, f"{relay.connected}/{total}", words), level, detail)


def agents_card(status: Status, overview: Overview) -> Card:
    """Return the card of the agents' own words."""
    rows = [_agent_row(agent) for agent in status.agents]
    failing = sum(len(agent.failing) for agent in status.agents)
    summary = f"{failing} failing controller{'s' * (failing != 1)}" if failing else f"{len(rows)} asked"
    if "agents" in overview.pending and not rows:
        return waiting_card("agents", "reading")
    return Card(
        "agents",
        TITLES["agents"],
        summary if rows else "",
        tuple(rows or [empty_row("agents", "No agent runs.")]),
        optional=(2,),
    )


def _agent_row(agent: AgentStatus) -> Row:
    bad = [part for part in agent.parts if part.state in ("Failure", "Warning")]
    level = Level.ERROR if agent.error or agent.failing or bad else Level.OK
    if level is Level.OK and agent.endpoints_not_ready:
        level = Level.WARNING
    detail = explain(
        f"Agent on {agent.node}",
        level,
        ("Pod", f"{agent.namespace}/{agent.pod}"),
        ("Cannot be asked", agent.error),
        ("Failing", "\n".join(f"{name}: {text}" for name, text in agent.failing.items())),
        ("Parts", "\n".join(f"{part.name}: {part.state} {part.text}".rstrip() for part in agent.parts)),
        ("Endpoints", _lines_of(agent.endpoints_not_ready, "is")),
        ("Facts", "\n".join(f"{name}: {text}" for name, text in agent.facts.items())),
        ("Fix", _agent_fix(agent) if level > Level.OK else ""),
    )
    return Row(f"agent-{agent.pod}", (agent.node, *_agent_words(agent, [part.name for part in bad])), level, detail)


def _agent_words(agent: AgentStatus, bad: Sequence[str]) -> tuple[str, str]:
    if agent.error:
        return "not known", agent.error
    ready = agent.endpoints - len(agent.endpoints_not_ready)
    words = [f"{name} fails" for name in (*bad, *agent.failing)]
    state = words[0] + (f" and {len(words) - 1} more" if len(words) > 1 else "") if words else "ok"
    return (
        state,
        f"{_healthy(agent)}/{agent.controllers} controllers, {ready}/{agent.endpoints} endpoints",
    )


def _healthy(agent: AgentStatus) -> int:
    return agent.controllers - len(agent.failing)


def _agent_fix(agent: AgentStatus) -> str:
    return f"Its log tells more: kubectl -n {agent.namespace} logs {agent.pod} -c cilium-agent"


def _lines_of(texts: Mapping[str, str], verb: str) -> str:
    return "\n".join(f"{name} {verb} {text}" for name, text in texts.items())
