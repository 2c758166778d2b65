"""What another version of Cilium would read differently (R13, R33, R45, R62, R71)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from installer.domain.policy import labels as lb
from installer.domain.policy.labels import split_key
from installer.domain.policy.lint.scene import Item, Scene, Told, specs_of, told
from installer.domain.policy.lint.selectors import raw_selectors
from installer.domain.yaml_document import Path

_SPEC_FIELDS: Mapping[str, tuple[int, int]] = {"enableDefaultDeny": (1, 16), "log": (1, 18)}
_CASCADE = (1, 19)


def unknown_fields(scene: Scene) -> Iterable[Told]:
    """Find fields and kinds that came with a later version than the cluster's."""
    version = scene.settings.version
    for document in scene.documents:
        if document.data["kind"] == "ClusterNetworkPolicy" and version < (1, 20):
            text = f"Cilium {_shown(version)} does not implement ClusterNetworkPolicy"
            yield told(document, "P-LINT-090", text, ("kind",), "Use a CiliumClusterwideNetworkPolicy.")
        if not document.data["kind"].startswith("Cilium"):
            continue
        for path, spec in specs_of(document):
            for field, since in _SPEC_FIELDS.items():
                if field in spec and version < since:
                    yield _late(document, field, since, version, (*path, field))
    for item in scene.items():
        for path, field, since in _fields(item):
            if version < since:
                yield _late(item.document, field, since, version, path)


def _fields(item: Item) -> Iterator[tuple[Path, str, tuple[int, int]]]:
    for path, port in item.ports():
        if port.get("endPort"):
            yield (*path, "endPort"), "endPort", (1, 16)
    key = f"{item.word}CIDRSet"
    for index, raw in enumerate(item.raw.get(key) or ()):
        if (raw or {}).get("cidrGroupSelector") is not None:
            yield (*item.path, key, index, "cidrGroupSelector"), "cidrGroupSelector", (1, 17)


def _late(document: Any, field: str, since: tuple[int, int], version: tuple[int, int], path: Path) -> Told:
    text = f"Cilium {_shown(version)} does not know {field}, which came with {_shown(since)}: it is dropped silently"
    return told(document, "P-LINT-090", text, path)


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def cascades(scene: Scene) -> Iterable[Told]:
    """Find ``**.`` where it means one label only (R45)."""
    if scene.settings.version >= _CASCADE:
        return
    for item in scene.items():
        rules = [((*item.path, "toFQDNs", index), raw) for index, raw in enumerate(item.raw.get("toFQDNs") or ())]
        for path, port_rule in item.port_rules():
            names = (port_rule.get("rules") or {}).get("dns") or ()
            rules += [((*path, "rules", "dns", index), raw) for index, raw in enumerate(names)]
        for path, raw in rules:
            if "**" in str((raw or {}).get("matchPattern") or ""):
                text = f"before Cilium 1.19 ** is the same as *: one label, here {raw['matchPattern']!r}"
                yield told(item.document, "P-LINT-091", text, (*path, "matchPattern"), "Name each depth for itself.")


def gone(scene: Scene) -> Iterable[Told]:
    """Find what later versions dropped: requires (R33), kafka and l7proto (R62)."""
    for item in scene.items():
        key = f"{item.word}Requires"
        if item.raw.get(key):
            text = f"{key} is deprecated since Cilium 1.17 and gone since 1.19"
            yield told(item.document, "P-LINT-092", text, (*item.path, key), "Put its labels into each peer selector.")
        for path, rule in item.port_rules():
            for kind in ("kafka", "l7proto"):
                if (rule.get("rules") or {}).get(kind):
                    now = scene.settings.version >= (1, 20)
                    effect = "it is dropped here and the whole port is open" if now else "then the whole port is open"
                    text = f"{kind} rules are gone since Cilium 1.20: {effect}"
                    yield told(item.document, "P-LINT-093", text, (*path, "rules", kind), "Judge requests elsewhere.")


def clusters(scene: Scene) -> Iterable[Told]:
    """Find peers of other clusters by name where the local cluster is not presumed yet, or is (R13)."""
    for document, path, raw in raw_selectors(scene):
        if path[-1] in ("endpointSelector", "podSelector"):
            continue
        for key, value in (raw.get("matchLabels") or {}).items():
            if split_key(str(key))[1] == lb.CLUSTER and value != scene.settings.cluster and scene.world is not None:
                known = {pod.peer.set.cluster for pod in scene.pods}
                if value not in known:
                    text = f"{value!r} is another cluster; only a mesh with it makes this match"
                    yield told(document, "P-LINT-094", text, (*path, "matchLabels", str(key)))


CHECKS = (unknown_fields, cascades, gone, clusters)
