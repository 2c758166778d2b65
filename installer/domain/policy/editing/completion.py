"""What may stand at the cursor: keys of the schema, and names of the cluster with how many pods they mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.policy.editing.place import Place
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.labels import NAMESPACE, NAMESPACE_LABELS, SERVICE_ACCOUNT
from installer.domain.policy.model import Peer
from installer.domain.policy.sanitize import ENTITIES
from installer.domain.policy.schema import crd_schema
from installer.domain.policy.validation import API_VERSIONS
from installer.domain.policy.world import World

Schema = Mapping[str, Any]
_PLAIN = re.compile(r"[A-Za-z/][-\w./:]*")
_RESERVED_WORDS = ("true", "false", "null", "yes", "no", "on", "off")
_SUBJECTS = ("endpointSelector", "podSelector")
_METADATA: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something that may stand at the cursor.

    Attributes:
        label: what is shown and matched with what has been typed.
        insert: what is put in place of the word; new lines in it get the indentation of the word.
        detail: a few words beside it, such as ``3 pods``.
    """

    label: str
    insert: str
    detail: str = ""


class Completion:
    """Proposes for one cluster.

    Args:
        world: the cluster; an empty one proposes keys only.
        names: DNS names seen in flows.
        ports: ports seen in flows, such as ``8080/TCP``.
    """

    def __init__(self, world: World, names: Sequence[str] = (), ports: Sequence[str] = ()):
        self._world = world
        self._names = tuple(names)
        self._ports = tuple(ports)
        self._crds = {**KNOWN_CRDS, **world.crds}

    def at(self, place: Place) -> list[Proposal]:
        """Return what fits at a place and begins with what was typed there; what only holds it comes after."""
        typed = place.prefix.strip("\"'").lower()
        found = list(dict.fromkeys(self._all(place)))
        begins = [one for one in found if one.label.lower().startswith(typed)]
        holds = [one for one in found if typed and typed in one.label.lower()[1:] and one not in begins]
        return [one for one in begins + holds if one.insert.strip() != place.prefix.strip() or len(found) > 1]

    def schema_at(self, place: Place) -> Schema:
        """Return the schema of the mapping, list or value at a place; an empty one where it has none."""
        schema = self._root(place.kind)
        for part in (*place.path, *((place.key,) if place.key else ())):
            schema = _child(schema, part)
        return schema

    def help(self, place: Place, key: str = "") -> str:
        """Return what the schema says of a place, or of a key in it."""
        schema = self.schema_at(place)
        return " ".join(str((_child(schema, key) if key else schema).get("description") or "").split())

    def _root(self, kind: str) -> Schema:
        crd = self._crds.get(kind or "CiliumNetworkPolicy")
        schema = crd_schema(crd) if crd is not None else {}
        own = {key: value for key, value in (schema.get("properties") or {}).items() if key != "status"}
        word = {"type": "string"}
        return {"type": "object", "properties": {"apiVersion": word, "kind": word, **own, "metadata": _METADATA}}

    def _all(self, place: Place) -> Iterable[Proposal]:
        schema = self.schema_at(place)
        if place.key:
            yield from self._values(place, place.key, schema)
        elif place.path and isinstance(place.path[-1], int) and schema.get("type") in ("string", "integer"):
            yield from self._values(place, _last_key(place.path), schema)
        elif schema.get("type") == "array":
            yield from self._items(place, schema)
        elif place.path and place.path[-1] == "matchLabels":
            yield from self._label_keys(place)
        else:
            yield from _keys(schema, place.siblings)

    def _items(self, place: Place, schema: Schema) -> Iterable[Proposal]:
        items: Schema = schema.get("items") or {}
        if items.get("type") == "object" or items.get("properties"):
            for one in _keys(items, {}):
                yield Proposal(f"- {one.label}", f"- {one.insert}".replace("\n", "\n  "), one.detail)
        else:
            for one in self._values(place, _last_key(place.path), items):
                yield Proposal(f"- {one.label}", f"- {one.insert}", one.detail)

    def _values(self, place: Place, key: str, schema: Schema) -> Iterable[Proposal]:
        source = self._sources().get(key)
        if place.path and place.path[-1] == "matchLabels":
            yield from self._label_values(place, key)
        elif key == "key" and "matchExpressions" in place.path:
            yield from self._label_keys(place, value_only=True)
        elif schema.get("enum"):
            yield from (Proposal(str(one), _quoted(str(one))) for one in schema["enum"])
        elif schema.get("type") == "boolean":
            yield from (Proposal(word, word) for word in ("true", "false"))
        elif source is not None:
            yield from source(place)

    def _sources(self) -> Mapping[str, Callable[[Place], Iterable[Proposal]]]:
        return {
            "kind": lambda _: (Proposal(kind, kind, versions[0]) for kind, versions in API_VERSIONS.items()),
            "apiVersion": lambda place: (
                Proposal(one, one, kind)
                for kind, ones in API_VERSIONS.items()
                for one in ones
                if place.kind in ("", kind)
            ),
            "namespace": lambda _: self._namespaces(),
            "fromEntities": lambda _: (Proposal(one, one) for one in ENTITIES),
            "toEntities": lambda _: (Proposal(one, one) for one in ENTITIES),
            "port": self._port_values,
            "serviceName": lambda _: (
                Proposal(one.name, one.name, one.namespace) for one in self._world.knowledge.services or ()
            ),
            "cidrGroupRef": lambda _: (Proposal(one, one) for one in self._world.knowledge.cidr_groups or ()),
            "matchName": lambda _: (Proposal(one, _quoted(one), "seen") for one in self._names),
        }

    # The cluster

    def _namespaces(self) -> Iterable[Proposal]:
        counts = Counter(pod.namespace for pod in self._world.pods if not pod.finished)
        for name in sorted({*self._world.namespaces, *counts}):
            yield Proposal(name, _quoted(name), _pods(counts[name]))

    def _label_keys(self, place: Place, *, value_only: bool = False) -> Iterable[Proposal]:
        peers = self._matching(place, "")
        counts = Counter(key for peer in peers for key in {key for key, _ in peer.set.pairs()})
        cilium = place.kind.startswith("Cilium") or not place.kind
        for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if key in place.siblings or (key.startswith("io.") and key not in (NAMESPACE, SERVICE_ACCOUNT)):
                continue
            if key.startswith("io.") and (not cilium or _is_subject(place)):
                continue
            name = f"k8s:{key}" if key.startswith("io.") else key
            written = _quoted(name)
            yield Proposal(name, written if value_only else f"{written}: ", _pods(count))
        if place.path[-2:-1] == ("namespaceSelector",):
            yield Proposal("kubernetes.io/metadata.name", "kubernetes.io/metadata.name: ", "name of the namespace")

    def _label_values(self, place: Place, key: str) -> Iterable[Proposal]:
        if "namespaceSelector" in place.path and key == "kubernetes.io/metadata.name":
            yield from self._namespaces()
            return
        bare = key.partition(":")[2] if key.startswith(("k8s:", "any:")) else key
        bare = bare.replace("k8s.", "", 1) if bare.startswith(f"k8s.{NAMESPACE}") else bare
        counts = Counter(value for peer in self._matching(place, key) for value in set(peer.set.values("k8s", bare)))
        for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            yield Proposal(value, _quoted(value), _pods(count))

    def _matching(self, place: Place, leave_out: str) -> list[Peer]:
        """Return the pods that a selector could still mean: of its namespace, with the labels that stand in it."""
        wanted = {_bare(key): value for key, value in place.siblings.items() if value and key != leave_out}
        own = place.fields.get(("metadata", "namespace"), "") if not place.kind.startswith("CiliumClusterwide") else ""
        names_one = any(_bare(key).startswith((NAMESPACE, NAMESPACE_LABELS)) for key in (*place.siblings, leave_out))
        elsewhere = names_one or "namespaceSelector" in place.path
        return [
            peer
            for peer in self._world.peers
            if (not own or elsewhere or peer.set.namespace == own)
            and all(value in peer.set.values("k8s", key) for key, value in wanted.items())
        ]

    def _port_values(self, place: Place) -> Iterable[Proposal]:
        text = place.kind.startswith("Cilium")
        counts: Counter[tuple[str, str]] = Counter()
        for pod in self._world.pods:
            for name, port, protocol in pod.peer.ports or ():
                counts[str(port), f"{name}/{protocol}"] += 1
        for (number, what), count in counts.most_common():
            yield Proposal(number, f'"{number}"' if text else number, f"{what}, {_pods(count)}")
        for name in sorted({what.partition("/")[0] for _, what in counts}):
            yield Proposal(name, _quoted(name), "named port")
        for seen in self._ports:
            number, _, protocol = seen.partition("/")
            yield Proposal(number, f'"{number}"' if text else number, f"{protocol}, seen")


def _bare(key: str) -> str:
    return key.partition(":")[2] if key.startswith(("k8s:", "any:")) else key


def _is_subject(place: Place) -> bool:
    return (
        any(part in _SUBJECTS for part in place.path[: 2 + 1])
        and "ingress" not in place.path
        and "egress" not in place.path
    )


def _child(schema: Schema, part: str | int) -> Schema:
    found: Any
    if isinstance(part, int):
        found = schema.get("items") or {}
    else:
        found = (schema.get("properties") or {}).get(part) or schema.get("additionalProperties") or {}
    return found if isinstance(found, Mapping) else {}


def _keys(schema: Schema, present: Mapping[str, str]) -> Iterable[Proposal]:
    required = schema.get("required") or ()
    for name, child in (schema.get("properties") or {}).items():
        if name not in present:
            detail = _sentence(str(child.get("description") or "")) or str(child.get("type") or "")
            yield Proposal(name, name + _opening(child), "needed" if name in required else detail)


def _opening(schema: Schema) -> str:
    kind = schema.get("type")
    if kind == "array":
        return ":\n- "
    return ":\n  " if kind == "object" else ": "


def _sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0][:60]


def _last_key(path: Sequence[str | int]) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _pods(count: int) -> str:
    return f"{count} pod{'' if count == 1 else 's'}"


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED_WORDS else f'"{text}"'
