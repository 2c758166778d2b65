"""Reading status from Kubernetes objects."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from installer.domain.readiness import Component, Snapshot, State
from installer.domain.readiness_rules.evidence import clean
from installer.domain.readiness_rules.facts import Expected, Facts, Object, condition, labels_of, name_of
from installer.domain.readiness_rules.workloads import counts_of, find, pods_of
from installer.domain.status import HelmStatus, NodeStatus, Notice, WorkloadStatus
from installer.domain.status_rules.namespaces import wants_cilium

CONFIG_KEYS = {
    "cluster-name": "Cluster name",
    "cluster-id": "Cluster id",
    "ipam": "IPAM",
    "cluster-pool-ipv4-cidr": "Pod CIDR (IPv4)",
    "cluster-pool-ipv6-cidr": "Pod CIDR (IPv6)",
    "kube-proxy-replacement": "Kube-proxy replacement",
    "routing-mode": "Routing mode",
    "tunnel-protocol": "Tunnel protocol",
    "enable-ipv4": "IPv4",
    "enable-ipv6": "IPv6",
    "enable-bpf-masquerade": "BPF masquerading",
    "enable-l7-proxy": "L7 proxy",
    "external-envoy-proxy": "Envoy as a DaemonSet",
    "enable-policy": "Policy enforcement",
    "policy-cidr-match-mode": "Policy CIDR match mode",
    "enable-host-firewall": "Host firewall",
    "enable-wireguard": "WireGuard",
    "enable-ipsec": "IPsec",
    "enable-hubble": "Hubble",
    "enable-gateway-api": "Gateway API",
    "enable-ingress-controller": "Ingress controller",
    "devices": "Devices",
    "mtu": "MTU",
}
_ROLE = "node-role.kubernetes.io/"
_CONFIG_ERRORS = "config.cilium.io"
_MAX_RELEASE = 64 * 1024 * 1024


def read_config(config_map: Object | None) -> tuple[dict[str, str], list[str]]:
    """Return the facts of interest by name, and the errors that Cilium annotates its configuration with."""
    if config_map is None:
        return {}, []
    data = config_map.get("data") or {}
    notes = config_map["metadata"].get("annotations") or {}
    errors = sorted(clean(str(text)) for key, text in notes.items() if key.startswith(_CONFIG_ERRORS))
    return {name: clean(str(data[key])) for key, name in CONFIG_KEYS.items() if data.get(key)}, errors


def read_nodes(facts: Facts) -> tuple[NodeStatus, ...]:
    """Return the nodes, by name."""
    ranges = {name_of(one): _ranges(one) for one in facts.ciliumnodes}
    return tuple(_node(node, ranges.get(name_of(node), ())) for node in sorted(facts.nodes, key=name_of))


def _ranges(ciliumnode: Object) -> tuple[str, ...]:
    ipam = (ciliumnode.get("spec") or {}).get("ipam") or {}
    return tuple(clean(str(one)) for one in ipam.get("podCIDRs") or [])


def _node(node: Object, ranges: tuple[str, ...]) -> NodeStatus:
    spec, status = node.get("spec", {}), node.get("status", {})
    info = {key: clean(str(value)) for key, value in (status.get("nodeInfo") or {}).items()}
    addresses = {one["type"]: one["address"] for one in reversed(status.get("addresses") or [])}
    true = [one["type"] for one in status.get("conditions") or [] if one.get("status") == "True"]
    return NodeStatus(
        name=name_of(node),
        ready="Ready" in true,
        roles=tuple(sorted(key.removeprefix(_ROLE) for key in labels_of(node) if key.startswith(_ROLE))),
        version=info.get("kubeletVersion", ""),
        kernel=info.get("kernelVersion", ""),
        os=info.get("osImage", ""),
        runtime=info.get("containerRuntimeVersion", ""),
        arch=info.get("architecture", ""),
        address=clean(str(addresses.get("InternalIP", ""))),
        pod_cidrs=ranges or tuple(spec.get("podCIDRs") or ()),
        conditions=tuple(one for one in true if one != "Ready"),
        taints=tuple(_taint(one) for one in spec.get("taints") or []),
        unschedulable=bool(spec.get("unschedulable")),
    )


def _taint(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return clean(f"{taint.get('key')}{value}:{taint.get('effect')}")


def read_workloads(facts: Facts, expected: Expected, snapshot: Snapshot) -> tuple[WorkloadStatus, ...]:
    """Return the expected workloads with their counts, images and phases."""
    judged = {(one.kind, one.name): one for one in snapshot.components}
    found = []
    for workload in expected.workloads:
        component = judged.get((workload.kind, workload.name), Component(workload.name, workload.kind, State.UNKNOWN))
        item = find(facts, workload)
        found.append(_workload(component, item, pods_of(facts, item) if item else []))
    return tuple(found)


def _workload(component: Component, item: Object | None, pods: Sequence[Object]) -> WorkloadStatus:
    if item is None:
        return WorkloadStatus(component.name, component.kind, str(component.state), detail=component.detail)
    counts = counts_of(item, component.kind)
    images: Counter[str] = Counter(
        clean(str(one.get("image"))) for pod in pods for one in pod.get("spec", {}).get("containers") or []
    )
    phases: Counter[str] = Counter(str(pod.get("status", {}).get("phase", "Unknown")) for pod in pods)
    return WorkloadStatus(
        name=component.name,
        kind=component.kind,
        state=str(component.state),
        desired=counts.desired,
        ready=counts.ready,
        available=counts.available,
        updated=counts.updated,
        detail=component.detail,
        images=dict(sorted(images.items())),
        phases=dict(sorted(phases.items())),
    )


def count_pods(pods: Iterable[Object]) -> int:
    """Count the pods that Cilium should manage: running or pending, not on the host's network."""
    return sum(map(wants_cilium, pods))


def read_helm(name: str, secrets: Iterable[Object]) -> HelmStatus | None:
    """Return the newest revision of a release from Helm's secrets."""
    revisions = {int(labels_of(one).get("version") or 0): one for one in secrets if _is_release(one)}
    if not revisions:
        return None
    number = max(revisions)
    release = _release(revisions[number])
    metadata = (release.get("chart") or {}).get("metadata") or {}
    info = release.get("info") or {}
    return HelmStatus(
        name=name,
        chart=clean(str(metadata.get("version", ""))),
        revision=number,
        status=clean(str(info.get("status") or labels_of(revisions[number]).get("status", ""))),
        updated=clean(str(info.get("last_deployed", ""))),
    )


def _is_release(secret: Object) -> bool:
    return secret.get("type") == "helm.sh/release.v1"


def _release(secret: Object) -> Mapping[str, Any]:
    """Unpack a release: base64 (of the API), base64 and gzip (of Helm), JSON; empty when it is none of these."""
    try:
        packed = base64.b64decode(base64.b64decode((secret.get("data") or {}).get("release", "")))
        text = zlib.decompressobj(wbits=31).decompress(packed, _MAX_RELEASE)
        release = json.loads(text)
    except (binascii.Error, zlib.error, ValueError):
        return {}
    return release if isinstance(release, dict) else {}


def node_warnings(node: Object) -> list[Notice]:
    """Return a node's conditions that are worth a look though it may be ready."""
    network = condition(node, "NetworkUnavailable")
    if network.get("status") == "True":
        return [Notice(f"node/{name_of(node)}", f"network unavailable: {clean(str(network.get('message', '')))}")]
    return []
