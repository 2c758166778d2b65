"""What the lint looks at: the documents, compiled, and the cluster they are for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from installer.domain.policy import labels as lb
from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.engine import KINDS, Engine, compile_policies
from installer.domain.policy.entry import Policy, Rule, Subject
from installer.domain.policy.findings import Finding, Level, QuickFix
from installer.domain.policy.impact import group
from installer.domain.policy.labels import Selector
from installer.domain.policy.lint.codes import CODES
from installer.domain.policy.model import Direction, Knowledge, Origin, Peer, Settings, entity
from installer.domain.policy.world import Pod, World, is_refused, key_of
from installer.domain.yaml_document import Path

Raw = Mapping[str, Any]
Told = tuple[SourceDocument, Finding]
SECTIONS = ("ingress", "ingressDeny", "egress", "egressDeny")
_SHOWN = 3


def told(
    document: SourceDocument,
    code: str,
    text: str,
    path: Path,
    fix: str = "",
    quick: QuickFix | None = None,
    *,
    level: Level | None = None,
) -> Told:
    """Return a finding on a document, with the level of its code unless another is given."""
    return document, Finding(level or CODES[code].level, code, text, path, fix, quick)


@dataclass(frozen=True, slots=True)
class Item:
    """One rule of a Cilium policy as it is written.

    Attributes:
        document: where it stands.
        spec: the spec around it.
        section: such as ``egressDeny``.
        path: its place in the object.
        raw: the rule.
    """

    document: SourceDocument
    spec: Raw
    section: str
    path: Path
    raw: Raw

    @property
    def direction(self) -> Direction:
        """Direction of its traffic."""
        return Direction.INGRESS if self.section.startswith("ingress") else Direction.EGRESS

    @property
    def word(self) -> str:
        """``from`` or ``to``."""
        return "from" if self.direction is Direction.INGRESS else "to"

    @property
    def denies(self) -> bool:
        """Whether it is a deny rule."""
        return self.section.endswith("Deny")

    def port_rules(self) -> Iterator[tuple[Path, Raw]]:
        """Yield the items of ``toPorts`` with their places."""
        for index, rule in enumerate(self.raw.get("toPorts") or ()):
            yield (*self.path, "toPorts", index), rule or {}

    def ports(self) -> Iterator[tuple[Path, Raw]]:
        """Yield every port with its place."""
        for path, rule in self.port_rules():
            for index, port in enumerate(rule.get("ports") or ()):
                yield (*path, "ports", index), port or {}


class Around:
    """The cluster, worked out once for any number of edits.

    Args:
        world: the cluster; None when there are only files.
        settings: used without a cluster.
    """

    def __init__(self, world: World | None, settings: Settings | None = None):
        self.world = world
        self.settings = world.settings if world is not None else settings or Settings()
        self.knowledge = world.knowledge if world is not None else Knowledge()
        applied = [one for one in (world.objects if world else ()) if not is_refused(one, self.settings)]
        compiled = compile_policies(applied, self.settings, self.knowledge)
        self.policies = dict(zip(map(key_of, applied), compiled, strict=True))
        self.before = Engine(compiled, self.settings)
        self.pods = {pod.peer.labels: pod for pod in reversed(world.pods if world else ()) if not pod.finished}

    @cached_property
    def addresses(self) -> list[Inside]:
        """Every address of pods, nodes and Services."""
        return list(_addresses(self.world)) if self.world is not None else []


@dataclass(frozen=True, slots=True)
class Inside:
    """An address in the cluster.

    Attributes:
        ip: the address.
        kind: ``pods``, ``nodes`` or ``services``.
        owner: of whom, for people.
    """

    ip: ipaddress.IPv4Address | ipaddress.IPv6Address
    kind: str
    owner: str


def _addresses(world: World) -> Iterator[Inside]:
    found = [(ip, "pods", f"{ip} ({group(pod.peer)})") for pod in world.pods for ip in pod.addresses]
    found += [(ip, "nodes", ip) for ip in world.node_addresses]
    for raw in world.services:
        metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
        for ip in spec.get("clusterIPs") or [spec.get("clusterIP")]:
            found.append((str(ip), "services", f"{ip} ({metadata.get('namespace')}/{metadata.get('name')})"))
    for ip, kind, owner in found:
        with suppress(ValueError):  # a Service without address has None there
            yield Inside(ipaddress.ip_address(ip), kind, owner)


class Scene:
    """Documents that agents would use, and the cluster around them.

    Args:
        documents: those without errors; what is no policy is left out.
        around: the cluster.
    """

    def __init__(self, documents: Sequence[SourceDocument], around: Around):
        self.around = around
        self.world, self.settings, self.before = around.world, around.settings, around.before
        chosen = [one for one in documents if isinstance(one.data, dict) and one.data.get("kind") in KINDS]
        compiled = compile_policies([one.data for one in chosen], self.settings, around.knowledge)
        pairs = zip(chosen, compiled, strict=True)
        self.policies: list[tuple[SourceDocument, Policy]] = [pair for pair in pairs if not pair[1].error]
        self.documents = [one for one, _ in self.policies]
        accepted = [(one, policy) for one, policy in self.policies if not is_refused(one.data, self.settings)]
        after = around.policies | {key_of(one.data): policy for one, policy in accepted}
        self.after = Engine(list(after.values()), self.settings)
        self._subjects: dict[Subject, list[Pod]] = {}

    @property
    def pods(self) -> Iterable[Pod]:
        """One live pod for each set of labels."""
        return self.around.pods.values()

    def rules(self) -> Iterator[tuple[SourceDocument, Policy, Rule]]:
        """Yield every spec of every document."""
        for document, policy in self.policies:
            for rule in policy.rules:
                yield document, policy, rule

    def items(self) -> Iterator[Item]:
        """Yield every rule of the Cilium kinds as written."""
        for document in self.documents:
            yield from items_of(document)

    def subjects(self, rule: Rule) -> list[Pod]:
        """Return the pods that a spec selects; without a cluster one made from its selector."""
        if rule.subject.node:
            return []
        found = self._subjects.get(rule.subject)
        if found is None:
            if self.world is None:
                found = [sample(rule.subject.selector)]
            else:
                found = [pod for pod in self.pods if rule.subject.matches(pod.peer)]
            self._subjects[rule.subject] = found
        return found

    @property
    def doubtful(self) -> Level | None:
        """Level of an error that policies outside the files could make none: a warning without a cluster."""
        return None if self.world is not None else Level.WARNING


def items_of(document: SourceDocument) -> Iterator[Item]:
    """Yield the rules of one document of the Cilium kinds."""
    if not str(document.data.get("kind")).startswith("Cilium"):
        return
    for path, spec in specs_of(document):
        for section in SECTIONS:
            for index, item in enumerate(spec.get(section) or ()):
                yield Item(document, spec, section, (*path, section, index), item or {})


def specs_of(document: SourceDocument) -> Iterator[tuple[Path, Raw]]:
    """Yield the specs of one document of the Cilium kinds."""
    if document.data.get("spec"):
        yield ("spec",), document.data["spec"]
    for index, spec in enumerate(document.data.get("specs") or ()):
        yield ("specs", index), spec or {}


def section_path(document: SourceDocument, path: Path, direction: Direction) -> Path:
    """Return the place of a spec's section for a direction, or of the spec where it has none."""
    spec: Any = document.data
    for part in path:
        spec = spec[part]
    for key in (direction.value, f"{direction}Deny"):
        if key in spec:
            return (*path, key)
    return path


def same_object(one: Origin, other: Origin) -> bool:
    """Whether two places are in one object."""
    return (one.kind, one.namespace, one.name) == (other.kind, other.namespace, other.name)


def rule_path(path: Path) -> Path:
    """Return how a path leads to its rule: up to the number after the section."""
    for index, part in enumerate(path):
        if part in SECTIONS:
            return path[: index + 2]
    return path


def sample(selector: Selector) -> Pod:
    """Return a pod that a selector selects, as far as one can be made up."""
    own: dict[str, str] = {}
    for one in selector.requirements:
        if one.source == "reserved" and one.operator in ("In", "Exists"):
            return Pod(entity(one.key) if one.key in ("host", "health", "init", "ingress") else Peer(()), "", "")
        if one.operator == "In" and one.values:
            own[one.key] = min(one.values)
        elif one.operator == "Exists":
            own.setdefault(one.key, "any")
    own.setdefault(lb.NAMESPACE, "default")
    own.setdefault(lb.CLUSTER, "default")
    namespace = own[lb.NAMESPACE]
    peer = Peer(tuple(sorted(f"k8s:{key}={value}" for key, value in own.items())), ports=None)
    return Pod(peer, namespace, "")


def named(pods: Sequence[Pod]) -> str:
    """Return a few names of workloads, for a sentence."""
    names = list(dict.fromkeys(group(pod.peer) for pod in pods))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def name_of(document: SourceDocument) -> str:
    """Return ``namespace/name`` of a document's object."""
    _, namespace, name = key_of(document.data)
    return f"{namespace}/{name}" if namespace else name
