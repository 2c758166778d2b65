"""Answers of Hubble as the hubble command prints them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from installer.domain.hubble_words import MISSING, flows_ratio, go_duration, state_word, table, without_empty
from installer.domain.text import printable
from installer.ports.hubble import HubbleNamespace, HubbleNode, HubbleStatus

NANOSECONDS = 1_000_000_000
STATES = ("UNKNOWN_NODE_STATE", "NODE_CONNECTED", "NODE_UNAVAILABLE", "NODE_GONE", "NODE_ERROR")


def render_status(status: HubbleStatus, form: str) -> str:
    """Return a server's status: ``compact``, ``dict``, ``table`` or ``json``."""
    if form == "json":
        return json.dumps(status_fields(status), separators=(",", ":"))
    if form == "compact":
        return "\n".join(_compact(status))
    rate = f"{status.flows_rate:.2f}" if status.flows_rate > 0 else MISSING
    short = form == "dict"
    pairs = [
        ("NUM FLOWS", f"{status.num_flows:,}"),
        ("MAX FLOWS", f"{status.max_flows:,}"),
        ("SEEN FLOWS", f"{status.seen_flows:,}"),
        ("FLOWS PER SECOND", rate),
        ("UPTIME", go_duration(round(status.uptime_seconds * NANOSECONDS))),
        ("NUM CONNECTED NODES", _number(status.connected_nodes)),
        ("NUM UNAVAIL. NODES" if short else "NUM UNAVAILABLE NODES", _number(status.unavailable_nodes)),
        ("VERSION", printable(status.version)),
    ]
    if short:
        return "\n".join(f"{name:>19}: {value}" for name, value in pairs)
    return table([[name for name, _ in pairs], [value for _, value in pairs]])


def _number(value: int | None) -> str:
    return MISSING if value is None else str(value)


def _compact(status: HubbleStatus) -> list[str]:
    lines = [f"Current/Max Flows: {flows_ratio(status.num_flows, status.max_flows)}"]
    rate = f"{status.flows_rate:.2f}" if status.flows_rate else _average(status.seen_flows, status.uptime_seconds)
    lines.append(f"Flows/s: {rate}")
    missing = status.unavailable_nodes
    if status.connected_nodes is not None:
        total = "" if missing is None else f"/{status.connected_nodes + missing}"
        lines.append(f"Connected Nodes: {status.connected_nodes}{total}")
    if missing:
        names = [printable(name) for name in sorted(status.unavailable_names)]
        more = [f"and {missing - len(names)} more..."] if names and missing > len(names) else []
        lines += [f"Unavailable Nodes: {missing}", *(f"  - {name}" for name in names + more)]
    return lines


def _average(flows: int, seconds: float) -> str:
    return f"{flows / seconds:.2f}" if seconds > 0 else MISSING


def status_fields(status: HubbleStatus) -> dict[str, Any]:
    """Return the JSON form of a ServerStatusResponse."""
    fields = without_empty(
        {
            "num_flows": _u64(status.num_flows),
            "max_flows": _u64(status.max_flows),
            "seen_flows": _u64(status.seen_flows),
            "uptime_ns": _u64(round(status.uptime_seconds * NANOSECONDS)),
        }
    )
    if status.connected_nodes is not None:
        fields["num_connected_nodes"] = status.connected_nodes
    if status.unavailable_nodes is not None:
        fields["num_unavailable_nodes"] = status.unavailable_nodes
    rest = {
        "unavailable_nodes": list(status.unavailable_names),
        "version": status.version,
        "flows_rate": status.flows_rate,
    }
    return fields | without_empty(rest)


def _u64(number: int) -> str:
    return str(number) if number else ""


def render_nodes(nodes: Sequence[HubbleNode], form: str) -> str:
    """Return a list of nodes: ``table``, ``wide`` or ``json``."""
    if form == "json":
        return json.dumps([node_fields(node) for node in nodes], indent=2)
    wide = form == "wide"
    head = ["NAME", "STATUS", "AGE", "FLOWS/S", "CURRENT/MAX-FLOWS", *(("VERSION", "ADDRESS", "TLS") if wide else ())]
    return table([head, *(_node_row(node, wide=wide) for node in nodes)])


def _node_row(node: HubbleNode, *, wide: bool) -> list[str]:
    known = round(node.uptime_seconds) > 0
    share = node.num_flows / node.max_flows * 100 if node.max_flows else 0.0
    row = [
        node.name,
        state_word(node.state),
        go_duration(round(node.uptime_seconds) * NANOSECONDS) if known else MISSING,
        _average(node.seen_flows, round(node.uptime_seconds)),
        f"{node.num_flows}/{node.max_flows} ({share:6.2f}%)" if node.max_flows else MISSING,
    ]
    tls = MISSING if node.tls is None else "Enabled" if node.tls else "Disabled"
    return row + ([node.version or MISSING, node.address, tls] if wide else [])


def node_fields(node: HubbleNode) -> dict[str, Any]:
    """Return the JSON form of a node, as hubble's ``list nodes -o json`` has it: states and counters as numbers."""
    tls = None if node.tls is None else without_empty({"enabled": node.tls, "server_name": node.tls_name})
    fields = without_empty(
        {
            "name": node.name,
            "version": node.version,
            "address": node.address,
            "state": STATES.index(node.state) if node.state in STATES else node.state,
        }
    )
    counters = {
        "uptime_ns": round(node.uptime_seconds * NANOSECONDS),
        "num_flows": node.num_flows,
        "max_flows": node.max_flows,
        "seen_flows": node.seen_flows,
    }
    return fields | ({} if tls is None else {"tls": tls}) | without_empty(counters)


def render_namespaces(found: Sequence[HubbleNamespace], form: str) -> str:
    """Return a list of namespaces: ``table``, ``wide`` or ``json``."""
    if form == "json":
        return json.dumps(
            [without_empty({"cluster": one.cluster, "namespace": one.namespace}) for one in found], indent=2
        )
    if form == "wide":
        rows = [[one.namespace, one.cluster] if one.cluster else [one.namespace] for one in found]
        return table([["NAMESPACE", "CLUSTER"], *rows])
    return table([["NAMESPACE"], *([one.namespace] for one in found)])
