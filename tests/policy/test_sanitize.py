# ruff: noqa: E501  # tables of cases, a line each
"""Cilium's own checks: each code with a small object that provokes it, and a good neighbour that does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import installer.domain.policy.sanitize as sanitize_module
from installer.domain.policy.model import Settings
from installer.domain.policy.sanitize import sanitize

Raw = dict[str, Any]
OLD = Settings(version=(1, 18))


def policy(spec: Raw | None = None, **more: Any) -> Raw:
    found: Raw = {"kind": "CiliumNetworkPolicy", "metadata": {"name": "p", "namespace": "demo"}}
    return {**found, **({} if spec is None else {"spec": spec}), **more}


def cluster(spec: Raw) -> Raw:
    return {"kind": "CiliumClusterwideNetworkPolicy", "metadata": {"name": "p"}, "spec": spec}


def into(*rules: Raw, **more: Any) -> Raw:
    return policy({"endpointSelector": {}, "ingress": list(rules), **more})


def out(*rules: Raw) -> Raw:
    return policy({"endpointSelector": {}, "egress": list(rules)})


def ports(*found: Raw, **more: Any) -> Raw:
    return {"toPorts": [{"ports": list(found), **more}]}


def selects(selector: Raw) -> Raw:
    return policy({"endpointSelector": selector, "ingress": [{}]})


def expression(**parts: Any) -> Raw:
    return selects({"matchExpressions": [parts]})


def group(**rule: Any) -> Raw:
    return out({"toCIDRSet": [rule]})


def http(*rules: Raw, protocol: str = "TCP", port: str = "80") -> Raw:
    return into(ports({"port": port, "protocol": protocol}, rules={"http": list(rules)}))


def dns(*rules: Raw, port: Raw | None = None) -> Raw:
    return out({"toPorts": [{"ports": [port or {"port": "53", "protocol": "ANY"}], "rules": {"dns": list(rules)}}]})


HTTP80 = {"port": "80", "protocol": "TCP"}
LISTENER = {"envoyConfig": {"name": "e"}, "name": "l"}
TERMINATED = {"terminatingTLS": {"secret": {"name": "s"}}}
CASES: list[tuple[str, Raw, Raw]] = [
    ("P-RULE-001", policy({"endpointSelector": {}, "ingress": [{}]}, metadata={}), into({})),
    ("P-RULE-002", policy(), policy(specs=[{"endpointSelector": {}, "ingress": [{}]}])),
    ("P-RULE-002", policy(spec=None, specs=[None]), into({})),
    ("P-RULE-003", into(), into({})),
    ("P-RULE-003", into(egress=[], enableDefaultDeny={"ingress": True}), into(egress=[{}])),
    ("P-RULE-004", policy({"ingress": [{}]}), into({})),
    ("P-RULE-005", cluster({"endpointSelector": {}, "nodeSelector": {}, "ingress": [{}]}), cluster({"endpointSelector": {}, "ingress": [{}]})),
    ("P-RULE-006", policy({"nodeSelector": {}, "ingress": [{}]}), cluster({"nodeSelector": {}, "ingress": [{}]})),
    ("P-RULE-010", into({"fromEndpoints": [{}], "fromEntities": ["world"]}), into({"fromEndpoints": [{}]}, {"fromEntities": ["world"]})),
    ("P-RULE-010", out({"toCIDR": ["10.0.0.0/8"], "toCIDRSet": [{"cidr": "10.0.0.0/8"}]}), out({"toCIDR": ["10.0.0.0/8"]})),
    ("P-RULE-010", out({"toFQDNs": [{"matchName": "a.b"}], "toEndpoints": [{}]}), out({"toFQDNs": [{"matchName": "a.b"}]})),
    ("P-RULE-011", into({"fromEntities": ["everyone"]}), into({"fromEntities": ["all", "cluster-mesh"]})),
    ("P-RULE-020", selects({"matchLabels": {"k8s: app": "web"}}), selects({"matchLabels": {"k8s:app": "web"}})),
    ("P-RULE-020", selects({"matchLabels": {"a-b:app": "web"}}), selects({"matchLabels": {"any:app": "web"}})),
    ("P-RULE-020", selects({"matchLabels": {"k8s:a:b": "web"}}), selects({"matchLabels": {"example.org/a": "web"}})),
    ("P-RULE-021", selects({"matchLabels": {"app": "a b"}}), selects({"matchLabels": {"app": ""}})),
    ("P-RULE-021", expression(key="a", operator="In", values=["x" * 64]), expression(key="a", operator="In", values=["x" * 63])),
    ("P-RULE-022", expression(key="a", operator="Equals"), expression(key="a", operator="Exists")),
    ("P-RULE-023", expression(key="a", operator="In"), expression(key="a", operator="In", values=["b"])),
    ("P-RULE-023", expression(key="a", operator="Exists", values=["b"]), expression(key="a", operator="DoesNotExist")),
    ("P-RULE-030", out({"toCIDR": ["10.0.0.1"]}), out({"toCIDR": ["10.0.0.1/32"]})),
    ("P-RULE-030", out({"toCIDR": ["10.0.0.0/33"]}), out({"toCIDR": ["198.51.100.77/24"]})),
    ("P-RULE-031", group(cidr="10.0.0.0/8", cidrGroupRef="g"), group(cidrGroupRef="g")),
    ("P-RULE-031", group(**{"except": ["10.0.0.0/8"]}), group(cidrGroupSelector={})),
    ("P-RULE-032", group(cidr="10.0.0.0/8", **{"except": ["11.0.0.0/16"]}), group(cidr="10.0.0.0/8", **{"except": ["10.1.0.0/16"]})),
    ("P-RULE-032", group(cidr="10.0.0.0/8", **{"except": ["::/0"]}), group(cidrGroupRef="g", **{"except": ["11.0.0.0/16"]})),
    ("P-RULE-040", into({"icmps": [{"fields": [{"type": 8}]}], **ports(HTTP80)}), into({"icmps": [{"fields": [{"type": 8}]}]}, ports(HTTP80))),
    ("P-RULE-041", into({"icmps": [{"fields": [{"type": n} for n in range(41)]}]}), into({"icmps": [{"fields": [{"type": n} for n in range(40)]}]})),
    ("P-RULE-042", into({"icmps": [{"fields": [{"type": "PacketTooBig"}]}]}), into({"icmps": [{"fields": [{"type": "PacketTooBig", "family": "IPv6"}]}]})),
    ("P-RULE-042", into({"icmps": [{"fields": [{"type": 256}]}]}), into({"icmps": [{"fields": [{"type": 255}]}]})),
    ("P-RULE-042", into({"icmps": [{"fields": [{"type": 8, "family": "IPv5"}]}]}), into({"icmps": [{"fields": [{"type": "Echo"}]}]})),
    ("P-RULE-043", into(ports(*[HTTP80] * 41)), into(ports(*[HTTP80] * 40))),
    ("P-RULE-044", into(ports({"port": "80", "protocol": "HTTP"})), into(ports({"port": "80", "protocol": "udp"}))),
    ("P-RULE-045", into(ports({"port": "80", "protocol": "GRE"})), into(ports({"protocol": "GRE"}))),
    ("P-RULE-046", into(ports({"protocol": "TCP"})), into(ports({"port": "0"}))),
    ("P-RULE-046", into(ports({"port": "65536"})), into(ports({"port": "65535"}))),
    ("P-RULE-046", into(ports({"port": "a_port"})), into(ports({"port": "a-port"}))),
    ("P-RULE-050", out({"toFQDNs": [{"matchName": "a.b", "matchPattern": "*"}]}), dns({"matchName": "a.b", "matchPattern": "*"})),
    ("P-RULE-051", out({"toFQDNs": [{"matchName": "*.b"}]}), out({"toFQDNs": [{"matchPattern": "*.b"}]})),
    ("P-RULE-051", dns({"matchPattern": "a/b"}), dns({"matchPattern": "**.a_b"})),
    ("P-RULE-051", dns({"matchName": "a" * 256}), dns({"matchName": "a" * 255})),
    ("P-RULE-060", policy({"endpointSelector": {}, "ingressDeny": [ports(HTTP80, rules={"http": [{}]})]}), policy({"endpointSelector": {}, "ingressDeny": [ports(HTTP80)]})),
    ("P-RULE-061", out(ports(HTTP80, rules={"http": [{}], "dns": [{}]})), out(ports(HTTP80, rules={"http": [{}]}))),
    ("P-RULE-063", cluster({"nodeSelector": {}, "ingress": [ports(HTTP80, rules={"http": [{}]})]}), cluster({"nodeSelector": {}, "egress": [ports({"port": "53"}, rules={"dns": [{}]})]})),
    ("P-RULE-064", http({}, port="0"), http({}, port="1")),
    ("P-RULE-065", http({}, protocol="ANY"), http({})),
    ("P-RULE-066", into(ports({"port": "53"}, rules={"dns": [{}]})), dns({})),
    ("P-RULE-067", out({"toPorts": [{"rules": {"dns": [{}]}}]}), dns({}, port={"port": "5353"})),
    ("P-RULE-067", dns({}, port={"port": "53", "endPort": 54}), dns({}, port={"port": "53", "protocol": "UDP"})),
    ("P-RULE-068", out(ports(HTTP80, serverNames=[""])), out(ports(HTTP80, serverNames=["*.example.org"]))),
    ("P-RULE-068", out(ports(HTTP80, serverNames=["a"], rules={"http": [{}]})), out(ports(HTTP80, serverNames=["a"], rules={"http": [{}]}, **TERMINATED))),
    ("P-RULE-069", into(ports(HTTP80, listener=LISTENER)), out(ports(HTTP80, listener=LISTENER))),
    ("P-RULE-069", out(ports(HTTP80, listener=LISTENER, rules={"http": [{}]})), out(ports(HTTP80, listener=LISTENER))),
    ("P-RULE-070", http({"path": "*"}), http({"path": ".*"})),
    ("P-RULE-070", http({"path": "/(?!admin).*"}), http({"path": "/(?:a|b).*"})),
    ("P-RULE-070", http({"method": r"(G)\1"}), http({"path": r"/(a+)+"})),
    ("P-RULE-071", http({"headerMatches": [{"value": "x"}]}), http({"headerMatches": [{"name": "x"}]})),
    ("P-RULE-071", http({"headerMatches": [{"name": "x", "mismatch": "DROP"}]}), http({"headerMatches": [{"name": "x", "mismatch": "LOG"}]})),
    ("P-RULE-071", http({"headerMatches": [{"name": "x", "secret": {}}]}), http({"headerMatches": [{"name": "x", "secret": {"name": "s"}}]})),
]  # fmt: skip
WITH_SETTINGS: list[tuple[str, Raw, Settings, Settings]] = [
    ("P-RULE-012", into({"fromNodes": [{}]}), Settings(), Settings(node_selector_labels=True)),
    ("P-RULE-013", into({"fromEndpoints": [{}], "fromRequires": [{}]}), Settings(), OLD),
    ("P-RULE-011", into({"fromEntities": ["cluster-mesh"]}), OLD, Settings()),
    ("P-RULE-062", http({}), Settings(l7_proxy=False), Settings()),
]


@pytest.mark.parametrize(("code", "bad", "good"), CASES)
def test_what_agents_refuse(code: str, bad: Raw, good: Raw) -> None:
    assert [finding.code for finding in sanitize(bad)] == [code]
    assert sanitize(good) == []


@pytest.mark.parametrize(("code", "raw", "refusing", "taking"), WITH_SETTINGS)
def test_what_depends_on_settings(code: str, raw: Raw, refusing: Settings, taking: Settings) -> None:
    assert [finding.code for finding in sanitize(raw, refusing)] == [code]
    assert sanitize(raw, taking) == []


def test_every_code_is_provoked() -> None:
    folder = Path(sanitize_module.__file__).parent
    written = {code for path in folder.glob("sanitize*.py") for code in re.findall(r"P-RULE-\d{3}", path.read_text())}
    assert {case[0] for case in (*CASES, *WITH_SETTINGS)} == written


def test_places_lead_into_the_object() -> None:
    for code, bad, _ in CASES:
        (finding,) = sanitize(bad)
        value: Any = bad
        for part in finding.path[:-1]:
            value = value[part]
        assert finding.level.value == "error", code


def test_one_bad_spec_of_several_is_told_where_it_stands() -> None:
    good: Raw = {"endpointSelector": {}, "ingress": [{}]}
    (finding,) = sanitize(policy(specs=[good, {"endpointSelector": {}, "egress": []}]))
    assert finding.path == ("specs", 1, "egress")


def test_the_empty_section_is_mended_by_an_empty_rule() -> None:
    (finding,) = sanitize(into())
    assert finding.quick is not None
    assert finding.quick.value == [{}]
