"""CIDRs and ``world``: what they never match, and what they match too much of (R38 to R41, R48)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from installer.domain.policy.compile_cilium import network_of
from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.entry import Network
from installer.domain.policy.labels import LabelSet
from installer.domain.policy.lint.scene import Scene, Told, items_of, named, told
from installer.domain.policy.model import Decision, Direction, Traffic, address, entity
from installer.domain.policy.world import Pod
from installer.domain.yaml_document import Path

Raw = Mapping[str, Any]
_METADATA = ipaddress.ip_address("169.254.169.254")
_OUTSIDE = ("LoadBalancer", "NodePort")


def _ranges(document: SourceDocument) -> Iterator[tuple[Path, Network, list[Network], str, bool]]:
    """Yield each range with its place, its holes, its direction, and whether it is denied."""
    for item in items_of(document):
        for index, text in enumerate(item.raw.get(f"{item.word}CIDR") or ()):
            path = (*item.path, f"{item.word}CIDR", index)
            yield path, network_of(text), [], item.direction.value, item.denies
        for index, raw in enumerate(item.raw.get(f"{item.word}CIDRSet") or ()):
            if (raw or {}).get("cidr"):
                holes = [network_of(text) for text in raw.get("except") or ()]
                path = (*item.path, f"{item.word}CIDRSet", index, "cidr")
                yield path, network_of(raw["cidr"]), holes, item.direction.value, item.denies
    if document.data.get("kind") == "NetworkPolicy":
        yield from _blocks(document.data.get("spec") or {})


def _blocks(spec: Raw) -> Iterator[tuple[Path, Network, list[Network], str, bool]]:
    for section, word in (("ingress", "from"), ("egress", "to")):
        for index, item in enumerate(spec.get(section) or ()):
            for number, peer in enumerate((item or {}).get(word) or ()):
                block = (peer or {}).get("ipBlock")
                if block:
                    holes = [network_of(text) for text in block.get("except") or ()]
                    path = ("spec", section, index, word, number, "ipBlock", "cidr")
                    yield path, network_of(block["cidr"]), holes, section, False


def own_addresses(scene: Scene) -> Iterable[Told]:
    """Find ranges written for pods, nodes or Services, which they never match."""
    if scene.world is None:
        return
    known = [one for one in scene.around.addresses if one.kind not in scene.settings.cidr_match_mode]
    for document in scene.documents:
        for path, network, holes, _, _ in _ranges(document):
            hits = [one for one in known if network.prefixlen and _covers(network, holes, one.ip)]
            if hits:
                words = {"pods": "pods", "nodes": "nodes", "services": "Services"}
                what = " and ".join(words[kind] for kind in sorted({one.kind for one in hits}))
                text = (
                    f"{network} covers {len(hits)} addresses of {what}, such as {hits[0].owner}; it never matches those"
                )
                yield told(document, "P-LINT-045", text, path, _cure({one.kind for one in hits}))


def _cure(kinds: set[str]) -> str:
    words = {
        "pods": "labels for pods",
        "nodes": "the entities host and remote-node for nodes",
        "services": "the labels of the pods behind a Service",
    }
    return f"Use {', '.join(words[kind] for kind in sorted(kinds))}."


def _covers(network: Network, holes: list[Network], at: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    inside = at.version == network.version and at in network
    return inside and not any(hole.version == at.version and at in hole for hole in holes)


def everything(scene: Scene) -> Iterable[Told]:
    """Find ranges of all addresses: no pods, one family (R40), and the metadata service among them."""
    for document in scene.documents:
        ranges = list(_ranges(document))
        for path, network, holes, direction, denied in ranges:
            if denied or network.prefixlen:
                if not denied and direction == "egress" and _covers(network, holes, _METADATA):
                    yield from _metadata(document, path, network)
                continue
            other = "::/0" if network.version == 4 else "0.0.0.0/0"
            both = any(one.prefixlen == 0 and one.version != network.version for _, one, _, _, _ in ranges)
            missing = "" if both else f" and no IPv{10 - network.version}"
            text = f"{network} is the world outside only: no pods, no nodes{missing}"
            fix = "For everyone use the entity all, for the outside the entity world" + (
                "" if both else f"; or add {other}"
            )
            yield told(document, "P-LINT-046", text, path, f"{fix}.")
            if direction == "egress" and _covers(network, holes, _METADATA):
                yield from _metadata(document, path, network)


def _metadata(document: SourceDocument, path: Path, network: Network) -> Iterable[Told]:
    if network.prefixlen > 16:
        return
    text = f"{network} lets pods reach 169.254.169.254, where clouds hand out credentials"
    yield told(document, "P-LINT-047", text, path, "Write it in a CIDRSet with except: [169.254.169.254/32].")


def open_to_world(scene: Scene) -> Iterable[Told]:
    """Find ``world`` let in to pods that nothing leads to from outside."""
    if scene.world is None:
        return
    outside = [raw for raw in scene.world.services if _is_outside(raw)]
    for document, _, rule in scene.rules():
        pods = scene.subjects(rule)
        if not pods or any(_selects(raw, pod) for raw in outside for pod in pods):
            continue
        for item in items_of(document):
            names = item.raw.get("fromEntities") or ()
            mine = item.path[: len(rule.origin.path)] == rule.origin.path
            if mine and not item.denies and "world" in names:
                path = (*item.path, "fromEntities", list(names).index("world"))
                text = f"no Service leads from outside to {named(pods)}, so the world need not be let in"
                yield told(document, "P-LINT-048", text, path, "Leave world out.")


def shut_out(scene: Scene) -> Iterable[Told]:
    """Find pods behind a Service for the outside that are isolated and let nobody from there in (R38)."""
    if scene.world is None:
        return
    callers = (
        address("203.0.113.1", frozenset(), dual_stack=scene.settings.dual_stack),
        entity("remote-node"),
        entity("ingress"),
    )
    for document, _, rule in scene.rules():
        if Direction.INGRESS not in rule.default_deny:
            continue
        for raw in scene.world.services:
            pods = [pod for pod in scene.subjects(rule) if _is_outside(raw) and _selects(raw, pod)]
            ports = [port for port in map(_target, (raw.get("spec") or {}).get("ports") or ()) if port]
            if pods and ports and all(_denied(scene, caller, pods[0], port) for caller in callers for port in ports):
                name = f"{raw['metadata'].get('namespace')}/{raw['metadata'].get('name')}"
                text = f"Service {name} leads from outside to {named(pods)}, and nobody from there is let in"
                fix = "Add fromEntities: [world] on the pods' port; remote-node where nodes pass traffic on."
                yield told(document, "P-LINT-049", text, rule.origin.path, fix)


def _denied(scene: Scene, caller: Any, pod: Pod, port: int) -> bool:
    return scene.after.side(Direction.INGRESS, Traffic(caller, pod.peer, port)).decision is Decision.DENY


def _target(port: Raw) -> int:
    target = str(port.get("targetPort") or port.get("port"))
    return int(target) if target.isdigit() else 0


def _is_outside(raw: Raw) -> bool:
    spec = raw.get("spec") or {}
    return spec.get("type") in _OUTSIDE or bool(spec.get("externalIPs"))


def _selects(raw: Raw, pod: Pod) -> bool:
    wanted = (raw.get("spec") or {}).get("selector") or {}
    metadata = raw.get("metadata") or {}
    return bool(wanted) and pod.namespace == (metadata.get("namespace") or "default") and carries(pod.peer.set, wanted)


def carries(labels: LabelSet, wanted: Mapping[str, str]) -> bool:
    """Whether labels hold all these keys and values."""
    return all(value in labels.values("k8s", key) for key, value in wanted.items())


CHECKS = (own_addresses, everything, open_to_world, shut_out)
