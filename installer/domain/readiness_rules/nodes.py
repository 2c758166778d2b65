"""Judging nodes and their CiliumNodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from installer.domain.readiness import Component, Problem, State
from installer.domain.readiness_rules.evidence import clean
from installer.domain.readiness_rules.facts import Finding, Object, condition, name_of

_NO_CNI = re.compile(
    r"cni (plugin not initialized|config uninitialized)|network plugin (is )?not ready|NetworkPluginNotReady", re.I
)
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
_PASSING_TAINTS = {
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/network-unavailable",
    "node.cilium.io/agent-not-ready",
    "node.cloudprovider.kubernetes.io/uninitialized",
}


def judge_node(node: Object, *, agent_ready: bool) -> tuple[Component, list[Finding]]:
    """Judge a node; ``agent_ready`` tells whether Cilium's agent on it is ready."""
    findings = list(_node_findings(node, agent_ready=agent_ready))
    ready = condition(node, "Ready").get("status") == "True"
    taints = _taints(node)
    state = State.READY if ready and not taints else State.PROGRESSING
    detail = "Ready" + (" (cordoned)" if node.get("spec", {}).get("unschedulable") else "")
    if not ready:
        detail = "waits for Cilium to set up the pod network" if _waits_for_cni(node) else _reason(node)
    elif taints:
        detail = f"tainted {', '.join(taints)}"
    return Component(f"node/{name_of(node)}", "Node", state, 1, int(state is State.READY), detail), findings


def _node_findings(node: Object, *, agent_ready: bool) -> Iterator[Finding]:
    yield from _readiness(node, agent_ready=agent_ready)
    for pressure in _PRESSURES:
        found = condition(node, pressure)
        if found.get("status") == "True":
            fix = "Free disk space, memory or processes on the node; until then it evicts pods and takes none."
            what = f"the node is under {pressure}"
            yield Finding(Problem("E-NODE-004", _subject(node), what, clean(str(found.get("message", ""))), fix))
    if agent_ready and (taints := _taints(node)) and condition(node, "Ready").get("status") == "True":
        what = f"the taint {', '.join(taints)} is left on the node"
        fix = f"Look at the operator's log; to remove it: kubectl taint node {name_of(node)} {taints[0]}-"
        yield Finding(Problem("E-NODE-005", _subject(node), what, "", fix))


def _readiness(node: Object, *, agent_ready: bool) -> Iterator[Finding]:
    ready = condition(node, "Ready")
    message = clean(str(ready.get("message", "")))
    if not ready or ready.get("status") == "True":
        return
    if ready.get("status") == "Unknown":
        fix = "See whether k3s runs on that node and reaches the server: systemctl status k3s k3s-agent"
        yield Finding(Problem("E-NODE-003", _subject(node), "the node does not report any more", message, fix))
    elif not _waits_for_cni(node):
        fix = "Look at the log of k3s on that node: journalctl -u k3s -u k3s-agent"
        yield Finding(Problem("E-NODE-001", _subject(node), f"the node is not ready: {_reason(node)}", message, fix))
    elif agent_ready:
        fix = (
            "Cilium writes /etc/cni/net.d and /opt/cni/bin: see that containerd looks there (k3s without flannel "
            "does) and that no cni.* path is set in the values."
        )
        what = "Cilium's agent is ready and the node still finds no CNI configuration"
        yield Finding(Problem("E-NODE-002", _subject(node), what, message, fix))


def _subject(node: Object) -> str:
    return f"node/{name_of(node)}"


def _reason(node: Object) -> str:
    return clean(str(condition(node, "Ready").get("reason") or "has not reported yet"))


def _waits_for_cni(node: Object) -> bool:
    return bool(_NO_CNI.search(str(condition(node, "Ready").get("message", ""))))


def _taints(node: Object) -> list[str]:
    """Return the taints that go by themselves when all is well."""
    found = {taint.get("key", "") for taint in node.get("spec", {}).get("taints") or []}
    return sorted(found & _PASSING_TAINTS)


def missing_nodes(found: int, expected: int) -> Component:
    """Return the component that stands for nodes that have not joined yet."""
    return Component("nodes", "Node", State.PROGRESSING, expected, found, f"{found}/{expected} registered")


def judge_ciliumnodes(nodes: Sequence[Object], ciliumnodes: Sequence[Object]) -> Component:
    """Judge whether each node has a CiliumNode with addresses."""
    by_name: Mapping[str, Object] = {name_of(one): one for one in ciliumnodes}
    missing = [name_of(node) for node in nodes if not _is_set_up(by_name.get(name_of(node)))]
    ready = len(nodes) - len(missing)
    detail = f"missing for {', '.join(missing[:3])}" if missing else f"{ready}/{len(nodes)} with addresses"
    state = State.READY if nodes and not missing else State.PROGRESSING
    return Component("ciliumnodes", "CiliumNode", state, len(nodes), ready, detail)


def _is_set_up(ciliumnode: Object | None) -> bool:
    if ciliumnode is None:
        return False
    spec = ciliumnode.get("spec") or {}
    ipam = spec.get("ipam") or {}
    return bool(ipam.get("podCIDRs") or ipam.get("pool") or ipam.get("pools") or spec.get("addresses"))
