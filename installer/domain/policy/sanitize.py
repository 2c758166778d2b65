"""What Cilium itself refuses after the API server has taken an object.

Such an object stays in the cluster and does nothing: agents ignore all of it, and only its ``Valid`` condition tells.
A server-side dry run does not find any of this, so it is checked here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from installer.domain.policy.findings import Finding, QuickFix
from installer.domain.policy.model import Settings
from installer.domain.policy.sanitize_parts import check_name, check_selector, error
from installer.domain.policy.sanitize_ports import check_icmps, check_ports
from installer.domain.yaml_document import Path

Raw = Mapping[str, Any]
SECTIONS = ("ingress", "ingressDeny", "egress", "egressDeny")
ENTITIES = (
    "all",
    "world",
    "cluster",
    "host",
    "init",
    "ingress",
    "unmanaged",
    "remote-node",
    "health",
    "none",
    "kube-apiserver",
)
_L3 = ("Endpoints", "CIDR", "CIDRSet", "Entities", "Groups", "Nodes")
_TO_ONLY = ("toServices", "toFQDNs")


def sanitize(raw: Raw, settings: Settings | None = None) -> list[Finding]:
    """Check a CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy as agents do when they read it."""
    return list(_Object(raw, settings or Settings()).findings())


class _Object:
    def __init__(self, raw: Raw, settings: Settings):
        self._raw = raw
        self._settings = settings
        self._clusterwide = raw.get("kind") == "CiliumClusterwideNetworkPolicy"

    def findings(self) -> Iterable[Finding]:
        if not (self._raw.get("metadata") or {}).get("name"):
            yield error("P-RULE-001", "the object has no name", ("metadata",), "Write metadata.name.")
        specs = list(self._specs())
        if not specs:
            yield error("P-RULE-002", "the policy is empty: it has neither spec nor specs", ())
        for path, spec in specs:
            if isinstance(spec, Mapping):
                yield from self._spec(spec, path)
            else:
                yield error("P-RULE-002", "the spec is empty", path)

    def _specs(self) -> Iterable[tuple[Path, Any]]:
        if "spec" in self._raw:
            yield ("spec",), self._raw["spec"]
        for index, spec in enumerate(self._raw.get("specs") or ()):
            yield ("specs", index), spec

    def _spec(self, spec: Raw, path: Path) -> Iterable[Finding]:
        yield from self._subject(spec, path)
        if not any(spec.get(section) for section in SECTIONS):
            text = "no section has a rule, so agents ignore the whole object, enableDefaultDeny included"
            fix = "To deny everything write `ingress: [{}]` or `egress: [{}]`: one empty rule."
            at = next(((*path, section) for section in SECTIONS if section in spec), path)
            quick = QuickFix("write one empty rule", at, [{}]) if at != path else None
            yield error("P-RULE-003", text, at, fix, quick)
        for section in SECTIONS:
            for index, item in enumerate(spec.get(section) or ()):
                if isinstance(item, Mapping):
                    yield from self._item(item, section, spec, (*path, section, index))

    def _subject(self, spec: Raw, path: Path) -> Iterable[Finding]:
        endpoint, node = spec.get("endpointSelector"), spec.get("nodeSelector")
        if endpoint is None and node is None:
            text = "the policy selects nobody: neither endpointSelector nor nodeSelector is there"
            yield error("P-RULE-004", text, path, "Write `endpointSelector: {}` for every pod of the namespace.")
        if endpoint is not None and node is not None:
            yield error("P-RULE-005", "endpointSelector and nodeSelector exclude each other", (*path, "nodeSelector"))
        elif node is not None and not self._clusterwide:
            fix = "Use a CiliumClusterwideNetworkPolicy for nodes."
            yield error("P-RULE-006", "only a clusterwide policy may select nodes", (*path, "nodeSelector"), fix)
        for key, value in (("endpointSelector", endpoint), ("nodeSelector", node)):
            yield from check_selector(value, (*path, key))

    def _item(self, item: Raw, section: str, spec: Raw, path: Path) -> Iterable[Finding]:
        word = "from" if section.startswith("ingress") else "to"
        yield from self._one_l3(item, word, path)
        for name in (f"{word}Endpoints", f"{word}Nodes", f"{word}Requires"):
            for index, one in enumerate(item.get(name) or ()):
                yield from check_selector(one, (*path, name, index))
        yield from self._entities(item, f"{word}Entities", path)
        for index, cidr in enumerate(item.get(f"{word}CIDR") or ()):
            yield from _cidr(cidr, (*path, f"{word}CIDR", index))
        for index, rule in enumerate(item.get(f"{word}CIDRSet") or ()):
            if isinstance(rule, Mapping):
                yield from _cidr_rule(rule, (*path, f"{word}CIDRSet", index))
        for index, name_rule in enumerate(item.get("toFQDNs") or ()):
            if isinstance(name_rule, Mapping):
                yield from check_name(name_rule, (*path, "toFQDNs", index), both=False)
        yield from self._flags(item, word, path)
        if item.get("icmps") and item.get("toPorts"):
            yield error("P-RULE-040", "icmps and toPorts exclude each other", (*path, "icmps"), "Use two rules.")
        yield from check_icmps(item, path)
        yield from check_ports(item, section, path, node=spec.get("nodeSelector") is not None, settings=self._settings)

    def _flags(self, item: Raw, word: str, path: Path) -> Iterable[Finding]:
        if item.get(f"{word}Nodes") and not self._settings.node_selector_labels:
            text = f"{word}Nodes works only with the agent option enable-node-selector-labels, which is off"
            yield error("P-RULE-012", text, (*path, f"{word}Nodes"), "Helm: nodeSelectorLabels=true.")
        if item.get(f"{word}Requires") and self._settings.version >= (1, 19):
            text = f"{word}Requires is gone since Cilium 1.19"
            yield error("P-RULE-013", text, (*path, f"{word}Requires"), "Put its labels into each peer selector.")

    def _one_l3(self, item: Raw, word: str, path: Path) -> Iterable[Finding]:
        names = [f"{word}{name}" for name in _L3] + (list(_TO_ONLY) if word == "to" else [])
        there = [name for name in names if item.get(name) is not None]
        if len(there) > 1:
            text = f"{there[0]} and {there[1]} cannot stand in one rule"
            yield error("P-RULE-010", text, (*path, there[1]), "Make two rules of it: rules are alternatives.")

    def _entities(self, item: Raw, key: str, path: Path) -> Iterable[Finding]:
        known = (*ENTITIES, "cluster-mesh") if self._settings.version >= (1, 20) else ENTITIES
        for index, name in enumerate(item.get(key) or ()):
            if name not in known:
                yield error("P-RULE-011", f"Cilium knows no entity {name!r}", (*path, key, index), ", ".join(known))


def _cidr(value: Any, path: Path) -> Iterable[Finding]:
    try:
        ipaddress.ip_network(str(value), strict=False)
        good = "/" in str(value)
    except ValueError:
        good = False
    if not good:
        bare = _is_address(str(value))
        fixed = f"{value}/{128 if ':' in str(value) else 32}"
        quick = QuickFix(f"write {fixed}", path, fixed) if bare else None
        yield error("P-RULE-030", f"{value!r} is no CIDR", path, f"Write {fixed}." if bare else "", quick)


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _cidr_rule(raw: Raw, path: Path) -> Iterable[Finding]:
    kinds = [key for key in ("cidr", "cidrGroupRef", "cidrGroupSelector") if raw.get(key) is not None]
    if len(kinds) != 1:
        text = "exactly one of cidr, cidrGroupRef and cidrGroupSelector has to stand here"
        yield error("P-RULE-031", text, path)
        return
    yield from check_selector(raw.get("cidrGroupSelector"), (*path, "cidrGroupSelector"))
    bad = list(_cidr(raw["cidr"], (*path, "cidr"))) if "cidr" in raw else []
    yield from bad
    for index, hole in enumerate(raw.get("except") or ()):
        at = (*path, "except", index)
        wrong = list(_cidr(hole, at))
        yield from wrong
        if "cidr" in raw and not bad and not wrong and not _contains(str(raw["cidr"]), str(hole)):
            yield error("P-RULE-032", f"{hole} is not inside {raw['cidr']}", at, "An exception lies in its own range.")


def _contains(outer: str, inner: str) -> bool:
    one, other = ipaddress.ip_network(outer, strict=False), ipaddress.ip_network(inner, strict=False)
    return one.version == other.version and other.subnet_of(one)  # type: ignore[arg-type]  # versions are equal
