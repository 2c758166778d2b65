"""A cluster as the engine and the lint need it, built from objects as the API returns them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.model import Knowledge, KubeService, Peer, Settings, pod
from installer.domain.policy.sanitize import sanitize

Raw = Mapping[str, Any]
_IMAGE_VERSION = re.compile(r":v?(\d+)\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that policies can apply to.

    Attributes:
        peer: for the engine.
        namespace: its namespace.
        name: its name.
        probes: ports of its kubelet probes, ``(port, kind)``.
        finished: it has ended and sends nothing more.
        addresses: its IPs.
        audit: directions in which its agent only reports what policies deny (``ingress``, ``egress``).
    """

    peer: Peer
    namespace: str
    name: str
    probes: tuple[tuple[int, str], ...] = ()
    finished: bool = False
    addresses: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """What is known of a cluster.

    Attributes:
        objects: policies of all kinds, as applied.
        pods: managed pods; pods in the node's network are left out (R5).
        settings: of Cilium.
        knowledge: Services and CIDR groups.
        services: Services as the API returns them.
        namespaces: labels by namespace.
        crds: CustomResourceDefinitions of the policies' kinds, by kind.
        unread: what could not be read, in words.
        node_addresses: IPs of the nodes.
    """

    objects: tuple[Raw, ...] = ()
    pods: tuple[Pod, ...] = ()
    settings: Settings = field(default_factory=Settings)
    knowledge: Knowledge = field(default_factory=Knowledge)
    services: tuple[Raw, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    crds: Mapping[str, Raw] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    node_addresses: tuple[str, ...] = ()

    @property
    def peers(self) -> list[Peer]:
        """The pods that live, for the engine."""
        return [one.peer for one in self.pods if not one.finished]

    def engine(self, objects: Iterable[Raw] | None = None) -> Engine:
        """Return an engine over these objects, or over the applied ones; what agents refuse is left out."""
        chosen = self.objects if objects is None else objects
        accepted = [item for item in chosen if not is_refused(item, self.settings)]
        return Engine(compile_policies(accepted, self.settings, self.knowledge), self.settings)


def is_refused(raw: Raw, settings: Settings) -> bool:
    """Whether agents ignore an object as a whole (R6)."""
    return str(raw.get("kind", "")).startswith("Cilium") and bool(sanitize(raw, settings))


def key_of(raw: Raw) -> tuple[str, str, str]:
    """Return what tells objects apart: kind, namespace (empty for clusterwide kinds) and name."""
    metadata = raw.get("metadata") or {}
    kind = str(raw.get("kind", ""))
    namespaced = kind in ("CiliumNetworkPolicy", "NetworkPolicy")
    return kind, str(metadata.get("namespace") or "default") if namespaced else "", str(metadata.get("name") or "")


def with_changes(objects: Iterable[Raw], changed: Iterable[Raw], removed: Iterable[Raw] = ()) -> list[Raw]:
    """Return the objects as they would be: changed ones replaced or added, removed ones gone."""
    gone = {key_of(item) for item in removed}
    found = {key_of(item): item for item in objects if key_of(item) not in gone}
    found |= {key_of(item): item for item in changed}
    return list(found.values())


def read_settings(config: Raw | None, *, image: str = "") -> Settings:
    """Read what changes verdicts from ``cilium-config``.

    Args:
        config: data of the ConfigMap, None when it cannot be read: then defaults hold.
        image: image of the agent, for its version; the newest is taken where it tells none.
    """
    data = {str(key): str(value) for key, value in (config or {}).items()}
    found = _IMAGE_VERSION.search(image)
    version = (int(found.group(1)), int(found.group(2))) if found else Settings().version
    mode = frozenset(part for part in re.split(r"[\s,]+", data.get("policy-cidr-match-mode", "")) if part)
    local = data.get("policy-default-local-cluster")
    return Settings(
        version=version,
        enforcement=_one_of(data.get("enable-policy"), ("default", "always", "never"), "default"),
        allow_localhost=_one_of(data.get("allow-localhost"), ("auto", "always", "policy"), "auto"),
        l7_proxy=data.get("enable-l7-proxy", "true") == "true",
        host_firewall=data.get("enable-host-firewall") == "true",
        cidr_match_mode=mode,
        node_selector_labels=data.get("enable-node-selector-labels") == "true",
        cluster=data.get("cluster-name") or "default",
        local_cluster_only=None if local is None else local == "true",
        dual_stack=data.get("enable-ipv4", "true") == "true" and data.get("enable-ipv6") == "true",
    )


def _one_of(value: str | None, allowed: Sequence[str], default: str) -> str:
    return value if value is not None and value in allowed else default


def read_pods(
    pods: Iterable[Raw],
    endpoints: Iterable[Raw],
    namespaces: Mapping[str, Mapping[str, str]],
    settings: Settings,
) -> tuple[Pod, ...]:
    """Return the managed pods; identity labels come from their CiliumEndpoint where there is one (R7)."""
    known = {_name(item): item for item in endpoints}
    found = []
    for raw in pods:
        spec = raw.get("spec") or {}
        if spec.get("hostNetwork"):
            continue
        namespace, name = _name(raw)
        endpoint = known.get((namespace, name)) or {}
        labels = _identity_labels(endpoint) or _would_be(raw, namespaces, settings)
        peer = Peer(labels, ports=_ports(spec), name=f"{namespace}/{name}")
        status = raw.get("status") or {}
        finished = status.get("phase") in ("Succeeded", "Failed")
        found.append(Pod(peer, namespace, name, _probes(spec), finished, _pod_addresses(status), _audited(endpoint)))
    return tuple(found)


def _pod_addresses(status: Raw) -> tuple[str, ...]:
    found = [str(item.get("ip") or "") for item in status.get("podIPs") or ()] or [str(status.get("podIP") or "")]
    return tuple(ip for ip in found if ip)


def read_node_addresses(nodes: Iterable[Raw]) -> tuple[str, ...]:
    """Return the IPs of nodes, as the API tells them."""
    return tuple(
        str(item.get("address"))
        for raw in nodes
        for item in (raw.get("status") or {}).get("addresses") or ()
        if item.get("type") in ("InternalIP", "ExternalIP")
    )


def _name(raw: Raw) -> tuple[str, str]:
    metadata = raw.get("metadata") or {}
    return str(metadata.get("namespace") or "default"), str(metadata.get("name") or "")


def _identity_labels(raw: Raw) -> tuple[str, ...]:
    identity = (raw.get("status") or {}).get("identity") or {}
    return tuple(sorted(str(label) for label in identity.get("labels") or ()))


def _audited(endpoint: Raw) -> tuple[str, ...]:
    """Return the directions in audit mode, where the agent writes it: it calls them "non-enforcing"."""
    policy = (endpoint.get("status") or {}).get("policy") or {}
    return tuple(way for way in ("ingress", "egress") if (policy.get(way) or {}).get("state") == "non-enforcing")


def _would_be(raw: Raw, namespaces: Mapping[str, Mapping[str, str]], settings: Settings) -> tuple[str, ...]:
    metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
    namespace = str(metadata.get("namespace") or "default")
    account = str(spec.get("serviceAccountName") or "default")
    made = pod(
        namespace,
        {str(key): str(value) for key, value in (metadata.get("labels") or {}).items()},
        namespace_labels=namespaces.get(namespace) or {},
        service_account=account,
        cluster=settings.cluster,
    )
    return made.labels


def _ports(spec: Raw) -> tuple[tuple[str, int, str], ...]:
    return tuple(
        (str(port["name"]), int(port["containerPort"]), str(port.get("protocol") or "TCP"))
        for container in spec.get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("name") and port.get("containerPort")
    )


def _probes(spec: Raw) -> tuple[tuple[int, str], ...]:
    named = {name: number for name, number, _ in _ports(spec)}
    found: list[tuple[int, str]] = []
    for container in spec.get("containers") or ():
        for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
            probe = container.get(kind) or {}
            for way in ("httpGet", "tcpSocket", "grpc"):
                port = (probe.get(way) or {}).get("port")
                number = named.get(str(port), port)
                if str(number).isdigit():
                    found.append((int(str(number)), kind))
    return tuple(dict.fromkeys(found))


def read_services(services: Iterable[Raw], endpoints: Iterable[Raw]) -> tuple[KubeService, ...]:
    """Return Services with what toServices makes of them (R44)."""
    addresses = {_name(item): _addresses(item) for item in endpoints}
    found = []
    for raw in services:
        spec, metadata = raw.get("spec") or {}, raw.get("metadata") or {}
        own = spec.get("selector") or {}
        found.append(
            KubeService(
                *_name(raw),
                labels=dict(metadata.get("labels") or {}),
                selector=dict(own),
                addresses=() if own else addresses.get(_name(raw), ()),
            )
        )
    return tuple(found)


def _addresses(raw: Raw) -> tuple[str, ...]:
    return tuple(
        f"{item['ip']}/{128 if ':' in item['ip'] else 32}"
        for subset in raw.get("subsets") or ()
        for item in subset.get("addresses") or ()
    )


def read_cidr_groups(groups: Iterable[Raw]) -> dict[str, tuple[tuple[str, ...], Mapping[str, str]]]:
    """Return CIDRs and labels of CiliumCIDRGroups by name."""
    return {
        _name(raw)[1]: (
            tuple((raw.get("spec") or {}).get("externalCIDRs") or ()),
            dict((raw.get("metadata") or {}).get("labels") or {}),
        )
        for raw in groups
    }
