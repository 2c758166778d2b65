"""Policy tests: who may reach whom, written down (``beeyard policy test``; format in ``docs/policy-tests.md``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from installer.domain.errors import UsageError
from installer.domain.policy.engine import KINDS, Engine, compile_policies
from installer.domain.policy.explain import sentence
from installer.domain.policy.model import (
    ENTITY_LABELS,
    EXTENDED,
    PROTOCOLS,
    Decision,
    DNSQuery,
    HTTPRequest,
    Knowledge,
    KubeService,
    Layer7,
    Peer,
    ServerName,
    Settings,
    Traffic,
    address,
    entity,
    pod,
)
from installer.domain.policy.patterns import plain_name
from installer.domain.policy.sanitize import sanitize

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One test.

    Attributes:
        id: its name.
        policies: full objects, as applied.
        traffic: what is tried.
        expect: ``allow``, ``deny`` or ``l7-deny``.
        settings: what the case presumes.
        knowledge: Services and CIDR groups of the case.
    """

    id: str
    policies: tuple[Raw, ...]
    traffic: Traffic
    expect: Decision
    settings: Settings
    knowledge: Knowledge = field(default_factory=Knowledge)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a test ended; ``why`` is a sentence."""

    id: str
    expect: str
    got: str
    why: str

    @property
    def ok(self) -> bool:
        """Whether the engine said what was expected."""
        return self.got == self.expect

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"id": self.id, "expect": self.expect, "got": self.got, "why": self.why}


def read_case(raw: Any, where: str) -> Case:
    """Read one case.

    Args:
        raw: the mapping.
        where: file and number, for errors.

    Raises:
        UsageError: ``E-POL-010`` it is not a case; the message names the key.
    """
    if not isinstance(raw, dict):
        raise _wrong(where, "a case is a mapping with id, policies, source, dest, port, protocol and expect")
    name = str(raw.get("id") or "")
    if not name:
        raise _wrong(where, "id is missing")
    where = f"{where} ({name})"
    settings = _settings(raw.get("needs") or (), where)
    namespaces = raw.get("namespaces") or {}
    policies = raw.get("policies")
    if not isinstance(policies, list) or not all(isinstance(item, dict) for item in policies):
        raise _wrong(where, "policies is a list of objects")
    protocol = str(raw.get("protocol") or "TCP")
    if protocol not in (*PROTOCOLS, *EXTENDED):
        raise _wrong(where, f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
    traffic = Traffic(
        source=_peer(raw.get("source"), namespaces, f"{where}: source", settings),
        dest=_peer(raw.get("dest"), namespaces, f"{where}: dest", settings),
        port=_port(raw.get("port", 0), where),
        protocol=protocol,
        l7=_l7(raw.get("l7"), where),
    )
    expect = str(raw.get("expect") or "")
    if expect not in ("allow", "deny", "l7-deny"):
        raise _wrong(where, f"expect {expect!r} is none of allow, deny, l7-deny")
    return Case(name, tuple(policies), traffic, Decision(expect), settings, _knowledge(raw, where))


def run_case(case: Case) -> CaseResult:
    """Judge a case; a policy that agents would refuse fails it."""
    chosen = [raw for raw in case.policies if raw.get("kind") in KINDS]
    policies = compile_policies(chosen, case.settings, case.knowledge)
    for raw, policy in zip(chosen, policies, strict=True):
        refused = sanitize(raw, case.settings) if str(raw.get("kind")).startswith("Cilium") else []
        why = policy.error or next((f"{one.text} ({one.code})" for one in refused), "")
        if why:
            return CaseResult(case.id, case.expect, "invalid", f"{policy.origin}: {why}")
    engine = Engine(policies, case.settings)
    verdict = engine.verdict(case.traffic)
    return CaseResult(case.id, case.expect, verdict.decision, sentence(case.traffic, verdict))


def _port(value: Any, where: str) -> int:
    if not str(value).isdigit() or int(value) > 65535:
        raise _wrong(where, f"port {value!r} is no number from 0 to 65535")
    return int(value)


def _peer(raw: Any, namespaces: Raw, where: str, settings: Settings) -> Peer:
    if not isinstance(raw, dict):
        raise _wrong(where, "it is missing, or no mapping")
    if "entity" in raw:
        if raw["entity"] not in ENTITY_LABELS:
            raise _wrong(where, f"entity {raw['entity']!r} is none of {', '.join(ENTITY_LABELS)}")
        labels = raw.get("nodeLabels")
        found = entity(raw["entity"], node_labels=None if labels is None else tuple(sorted(labels.items())))
        return replace(found, ip=str(raw.get("ip") or ""))
    if "namespace" in raw:
        return _pod(raw, namespaces, settings)
    if "ip" not in raw:
        raise _wrong(where, "it has none of namespace, entity and ip")
    names = frozenset(plain_name(str(name)) for name in raw.get("dnsNames") or ())
    return address(str(raw["ip"]), names, dual_stack=settings.dual_stack)


def _pod(raw: Raw, namespaces: Raw, settings: Settings) -> Peer:
    ports = tuple((str(name), int(port), "") for name, port in (raw.get("namedPorts") or {}).items())
    return pod(
        str(raw["namespace"]),
        {str(key): str(value) for key, value in (raw.get("labels") or {}).items()},
        namespace_labels=namespaces.get(raw["namespace"]) or {},
        service_account=str(raw.get("serviceAccount") or "default"),
        cluster=str(raw.get("cluster") or settings.cluster),
        ports=ports,
        ip=str(raw.get("ip") or ""),
    )


def _knowledge(raw: Raw, where: str) -> Knowledge:
    """Read the Services and CIDR groups of a case; what it leaves out is not known."""
    services, groups = raw.get("services"), raw.get("cidrGroups")
    try:
        return Knowledge(
            None if services is None else tuple(_service(item) for item in services),
            None
            if groups is None
            else {
                str(name): (tuple(map(str, item["cidrs"])), item.get("labels") or {}) for name, item in groups.items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _wrong(where, f"services or cidrGroups cannot be read: {error}") from error


def _service(raw: Raw) -> KubeService:
    return KubeService(
        str(raw["namespace"]),
        str(raw["name"]),
        labels=raw.get("labels") or {},
        selector=raw.get("selector") or {},
        addresses=tuple(map(str, raw.get("addresses") or ())),
    )


def _l7(raw: Any, where: str) -> Layer7 | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise _wrong(where, "l7 is a mapping")
    if "dns" in raw:
        return DNSQuery(str(raw["dns"]))
    if "sni" in raw:
        return ServerName(str(raw["sni"]))
    headers = tuple(sorted((str(key).lower(), str(value)) for key, value in (raw.get("headers") or {}).items()))
    host = str(raw.get("host") or "")
    return HTTPRequest(str(raw.get("method") or "GET"), str(raw.get("path") or "/"), host, headers)


_VERSION = re.compile(r"cilium\s*(>=|<=|<|=|>)\s*v?(\d+)\.(\d+)", re.IGNORECASE)
_FLAGS: Mapping[str, str] = {
    "hostfirewall.enabled": "host_firewall",
    "enable-host-firewall": "host_firewall",
    "l7proxy": "l7_proxy",
    "enable-l7-proxy": "l7_proxy",
    "enable-node-selector-labels": "node_selector_labels",
    "nodeselectorlabels": "node_selector_labels",
    "policy-default-local-cluster": "local_cluster_only",
    "dual-stack": "dual_stack",
}
_WORDS: Mapping[str, str] = {
    "policyenforcementmode": "enforcement",
    "policy-enforcement-mode": "enforcement",
    "enable-policy": "enforcement",
    "allow-localhost": "allow_localhost",
    "cluster.name": "cluster",
    "cluster-name": "cluster",
}


def _settings(needs: Sequence[Any], where: str) -> Settings:
    """Read what a case presumes; words that change no verdict are left alone."""
    found: dict[str, Any] = {}
    for need in needs:
        text = str(need).strip()
        if version := _VERSION.match(text):
            found["version"] = _version(version)
            continue
        key, equal, value = (part.strip() for part in text.partition("="))
        name = key.lower()
        if not equal:
            continue
        if name in _FLAGS:
            found[_FLAGS[name]] = value.lower() == "true"
        elif name in _WORDS:
            found[_WORDS[name]] = value
        elif name in ("policycidrmatchmode", "policy-cidr-match-mode"):
            found["cidr_match_mode"] = frozenset(part for part in re.split(r"[\s,]+", value) if part)
    if found.get("enforcement", "default") not in ("default", "always", "never"):
        raise _wrong(where, f"enforcement mode {found['enforcement']!r} is none of default, always, never")
    return Settings(**found)


def _version(found: re.Match[str]) -> tuple[int, int]:
    """Return a version that meets the condition; at or above a bound below the newest it is the newest."""
    operator, at = found.group(1), (int(found.group(2)), int(found.group(3)))
    newest = Settings().version
    if operator in (">=", ">"):
        return max(newest, at if operator == ">=" else (at[0], at[1] + 1))
    return (at[0], at[1] - 1) if operator == "<" else at


def _wrong(where: str, text: str) -> UsageError:
    return UsageError(
        f"{where}: {text}",
        why="It is no policy test.",
        fix="See docs/policy-tests.md for the format.",
        code="E-POL-010",
    )
