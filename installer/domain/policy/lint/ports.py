"""Ports: those of Services, named ones, ranges, and lists that are empty (R31, R32, R49 to R52)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.entry import Entry, PortRule
from installer.domain.policy.findings import QuickFix
from installer.domain.policy.lint.addresses import carries
from installer.domain.policy.lint.scene import Item, Scene, Told, named, told
from installer.domain.policy.model import Direction
from installer.domain.policy.world import Pod
from installer.domain.yaml_document import Path

Raw = Mapping[str, Any]
_EMPTY_IS_NOBODY = ("Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes")
_EMPTY_IS_ANYONE = ("Groups", "FQDNs")


def shapes(scene: Scene) -> Iterable[Told]:
    """Find port rules and lists of peers that say something else than they seem to."""
    for item in scene.items():
        yield from _empty_peers(item)
        for path, rule in item.port_rules():
            if not rule.get("ports"):
                where = "a port rule without ports matches nothing"
                fix = "Name ports; for all of them leave toPorts out."
                yield told(item.document, "P-LINT-066", where, path, fix)
        for path, port in item.ports():
            yield from _range(item.document, port, path)


def _empty_peers(item: Item) -> Iterable[Told]:
    for name in _EMPTY_IS_NOBODY:
        key = item.word + name
        if item.raw.get(key) == []:
            text = f"an empty {key} means nobody, so this rule matches nothing"
            fix = (
                f"For every pod of the namespace write {key}: [{{}}]." if name == "Endpoints" else "Leave the rule out."
            )
            yield told(item.document, "P-LINT-068", text, (*item.path, key), fix)
    for name in _EMPTY_IS_ANYONE:
        key = item.word + name
        if item.raw.get(key) == [] and (item.raw.get("toPorts") or item.raw.get("icmps")):
            text = f"an empty {key} with ports opens them to every destination"
            yield told(item.document, "P-LINT-067", text, (*item.path, key), "Name somebody, or leave the rule out.")


def services(scene: Scene) -> Iterable[Told]:
    """Find ``toServices`` that names no Service: with ports it opens them to everyone (R31)."""
    known = scene.world.knowledge.services if scene.world is not None else None
    if known is None:
        return
    for item in scene.items():
        wanted = item.raw.get("toServices")
        if wanted is None or not (item.raw.get("toPorts") or item.raw.get("icmps")):
            continue
        entries = [entry for entry in _entries_of(scene, item) if entry.peers is None]
        if entries:
            text = "toServices finds no Service with backends; with ports it then opens them to every destination"
            yield told(
                item.document, "P-LINT-067", text, (*item.path, "toServices"), "Mend the Service's name or selector."
            )


def _entries_of(scene: Scene, item: Item) -> Iterator[Entry]:
    for document, _, rule in scene.rules():
        if document is item.document:
            for entry in rule.entries:
                if entry.origin.path[: len(item.path)] == item.path:
                    yield entry


def _range(document: SourceDocument, port: Raw, path: Path) -> Iterable[Told]:
    text, end = str(port.get("port") or ""), port.get("endPort")
    if end and not text.isdigit():
        quick = QuickFix("take endPort out", (*path, "endPort"))
        yield told(
            document, "P-LINT-062", f"endPort is ignored beside the named port {text!r}", (*path, "endPort"), "", quick
        )
    elif end and int(end) < int(text):
        words = f"endPort {end} is below port {text} and is ignored: only {text} is meant"
        yield told(document, "P-LINT-062", words, (*path, "endPort"), "Swap them, or take endPort out.")
    elif text[:1].isdigit() and not text.isdigit():
        yield told(document, "P-LINT-064", f"{text!r} is the name of a port, no number", (*path, "port"))


def kubernetes(scene: Scene) -> Iterable[Told]:
    """Find port 53 of a NetworkPolicy without protocol, which is TCP only, and ranges that are ignored."""
    for document in scene.documents:
        if document.data.get("kind") != "NetworkPolicy":
            continue
        spec = document.data.get("spec") or {}
        for section in ("ingress", "egress"):
            for index, item in enumerate(spec.get(section) or ()):
                ports = [port or {} for port in (item or {}).get("ports") or ()]
                for number, port in enumerate(ports):
                    path = ("spec", section, index, "ports", number)
                    yield from _range(document, port, path)
                    udp = any(str(one.get("port")) == "53" and one.get("protocol") == "UDP" for one in ports)
                    if str(port.get("port")) == "53" and not port.get("protocol") and not udp:
                        text = "port 53 without protocol is TCP only; DNS asks over UDP first"
                        quick = QuickFix("write protocol: UDP", (*path, "protocol"), "UDP")
                        yield told(document, "P-LINT-065", text, path, "Name 53/UDP, and 53/TCP beside it.", quick)


def named_ports(scene: Scene) -> Iterable[Told]:
    """Find named ports that none of the pods defines (R51)."""
    if scene.world is None:
        return
    for document, path, entry, port, pods in _ports_with_pods(scene):
        if not port.name or not pods or any(pod.peer.ports is None for pod in pods):
            continue
        protocols = ("TCP", "UDP", "SCTP") if port.protocol == "ANY" else (port.protocol,)
        if not any(
            name.lower() == port.name and of in protocols for pod in pods for name, _, of in pod.peer.ports or ()
        ):
            side = "the selected pods" if entry.direction is Direction.INGRESS else "the pods it leads to"
            known = sorted({name for pod in pods for name, _, _ in pod.peer.ports or ()})
            fix = f"There are: {', '.join(known)}." if known else "Use a number: no port has a name there."
            yield told(document, "P-LINT-061", f"none of {side} ({named(pods)}) names a port {port.name!r}", path, fix)


def service_ports(scene: Scene) -> Iterable[Told]:
    """Find ports of Services in rules: policy sees the pods' ports (R52)."""
    if scene.world is None:
        return
    for document, path, _, port, pods in _ports_with_pods(scene):
        if port.name or port.first != port.last or not pods:
            continue
        meant = {target for pod in pods for target in _targets(scene, pod, port.first)}
        listening = {target for pod in pods for raw in _services_of(scene, pod) for _, target in _pairs(raw, pod)}
        if meant and port.first not in meant and port.first not in listening:
            found = ", ".join(map(str, sorted(meant)))
            text = f"{port.first} is the port of a Service; the pods behind it ({named(pods)}) listen on {found}"
            quick = None
            if len(meant) == 1:
                quick = QuickFix(f"write {found}", (*path, "port"), found if "toPorts" in path else min(meant))
            yield told(
                document, "P-LINT-060", text, path, f"Write {found}: rules see the port after translation.", quick
            )


def _ports_with_pods(scene: Scene) -> Iterator[tuple[SourceDocument, Path, Entry, PortRule, list[Pod]]]:
    """Yield every port of a rule with the pods that it is a port of."""
    for document, _, rule in scene.rules():
        subjects = scene.subjects(rule)
        for entry in rule.entries:
            if entry.ports is None or any(port.protocol.startswith("ICMP") for port in entry.ports):
                continue
            pods = subjects if entry.direction is Direction.INGRESS else _peers(scene, entry)
            for index, port in enumerate(entry.ports):
                yield document, (*entry.origin.path, "ports", index), entry, port, pods


def _peers(scene: Scene, entry: Entry) -> list[Pod]:
    if entry.peers is None:
        return []  # anyone: nothing can be said of their ports
    return [pod for pod in scene.pods if entry.matches_peer(pod.peer)]


def _services_of(scene: Scene, pod: Pod) -> Iterator[Raw]:
    for raw in scene.world.services if scene.world is not None else ():
        wanted = (raw.get("spec") or {}).get("selector") or {}
        namespace = (raw.get("metadata") or {}).get("namespace") or "default"
        if wanted and namespace == pod.namespace and carries(pod.peer.set, wanted):
            yield raw


def _targets(scene: Scene, pod: Pod, number: int) -> Iterator[int]:
    for raw in _services_of(scene, pod):
        for port, target in _pairs(raw, pod):
            if port == number:
                yield target


def _pairs(raw: Raw, pod: Pod) -> Iterator[tuple[int, int]]:
    """Yield the ports of a Service with those of the pod behind it."""
    own = {name: number for name, number, _ in pod.peer.ports or ()}
    for port in (raw.get("spec") or {}).get("ports") or ():
        target = port.get("targetPort", port.get("port"))
        number = target if str(target).isdigit() else own.get(str(target))
        if number is not None and port.get("port") is not None:
            yield int(port["port"]), int(number)


CHECKS = (shapes, services, kubernetes, named_ports, service_ports)
