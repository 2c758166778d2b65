"""The format of policy tests."""

from __future__ import annotations

from typing import Any

import pytest

from installer.domain.errors import UsageError
from installer.domain.policy.cases import read_case, run_case
from installer.domain.policy.model import DNSQuery, HTTPRequest, ServerName
from tests.policy.clusters import Raw, policy

WEB = policy({"endpointSelector": {}, "ingress": [{"fromEndpoints": [{}]}]})


def raw(**more: Any) -> Raw:
    found: Raw = {
        "id": "one",
        "policies": [WEB],
        "source": {"namespace": "shop", "labels": {"app": "a"}},
        "dest": {"namespace": "shop", "labels": {"app": "b"}},
        "port": 80,
        "expect": "allow",
    }
    return {**found, **more}


def test_a_case_that_holds_says_why() -> None:
    result = run_case(read_case(raw(), "f"))
    assert result.ok
    assert "CiliumNetworkPolicy shop/p spec.ingress[0] allows it" in result.why


def test_a_case_that_does_not_hold() -> None:
    result = run_case(read_case(raw(source={"ip": "203.0.113.1"}), "f"))
    assert (result.ok, result.got) == (False, "deny")


def test_what_is_not_known_fails() -> None:
    named = policy({"endpointSelector": {}, "egress": [{"toServices": [{"k8sService": {"serviceName": "x"}}]}]})
    assert run_case(read_case(raw(policies=[named]), "f")).got == "unknown"


@pytest.mark.parametrize(
    "broken",
    [
        policy({"ingress": [{}]}),
        policy({"endpointSelector": {}, "ingress": []}),
        policy({"endpointSelector": {}, "ingress": [{"toPorts": [{"ports": [{"port": "99999"}]}]}]}),
        policy({"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "x"}}]}]}, kind="NetworkPolicy"),
    ],
)
def test_policies_that_agents_refuse_are_invalid(broken: Raw) -> None:
    result = run_case(read_case(raw(policies=[WEB, broken]), "f"))
    assert result.got == "invalid"
    assert "shop/p" in result.why


def test_objects_of_other_kinds_are_left_alone() -> None:
    service = {"kind": "Service", "metadata": {"name": "x"}}
    empty = policy({"endpointSelector": {}, "ingress": []})
    assert run_case(read_case(raw(policies=[service, WEB]), "f")).ok
    assert run_case(read_case(raw(policies=[service, empty]), "f")).got == "invalid"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"path": "/a?b=c", "headers": {"X-A": 1}}, HTTPRequest("GET", "/a?b=c", "", (("x-a", "1"),))),
        ({"dns": "a.b"}, DNSQuery("a.b")),
        ({"sni": "a.b"}, ServerName("a.b")),
    ],
)
def test_requests(given: Raw, meant: object) -> None:
    assert read_case(raw(l7=given), "f").traffic.l7 == meant


def test_peers() -> None:
    node = read_case(raw(source={"entity": "remote-node", "nodeLabels": {"b": "1", "a": "2"}, "ip": "10.0.0.1"}), "f")
    assert node.traffic.source.node_labels == (("a", "2"), ("b", "1"))
    assert node.traffic.source.ip == "10.0.0.1"
    far = read_case(raw(source={"namespace": "x", "cluster": "blue", "serviceAccount": "bot"}), "f").traffic.source
    assert far.set.cluster == "blue"
    outside = read_case(raw(source={"ip": "203.0.113.1", "dnsNames": ["A.b."]}), "f").traffic.source
    assert outside.names == frozenset({"a.b"})


@pytest.mark.parametrize(
    ("needs", "field", "value"),
    [
        ("Cilium >= 1.16", "version", (1, 20)),
        ("Cilium = 1.18", "version", (1, 18)),
        ("Cilium < 1.19", "version", (1, 18)),
        ("hostFirewall.enabled=true", "host_firewall", True),
        ("enable-l7-proxy=false", "l7_proxy", False),
        ("policy-cidr-match-mode=nodes,pods", "cidr_match_mode", frozenset({"nodes", "pods"})),
        ("cluster-name=blue", "cluster", "blue"),
        ("allow-localhost=policy", "allow_localhost", "policy"),
        ("something-else=1", "version", (1, 20)),
    ],
)
def test_settings(needs: str, field: str, value: object) -> None:
    assert getattr(read_case(raw(needs=[needs]), "f").settings, field) == value


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"id": ""}, "id"),
        ({"policies": {}}, "policies"),
        ({"policies": ["x"]}, "policies"),
        ({"source": None}, "source"),
        ({"dest": {}}, "dest"),
        ({"dest": {"entity": "moon"}}, "moon"),
        ({"port": "http"}, "http"),
        ({"port": 70000}, "70000"),
        ({"protocol": "tcp"}, "tcp"),
        ({"l7": "GET"}, "l7"),
        ({"expect": "drop"}, "drop"),
        ({"needs": ["enable-policy=sometimes"]}, "sometimes"),
        ({"services": [{"name": "x"}]}, "services"),
        ({"cidrGroups": {"x": []}}, "cidrGroups"),
    ],
)
def test_what_is_no_case_is_told(change: Raw, word: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_case(raw(**change), "f.yaml: case 1")
    assert raised.value.code == "E-POL-010"
    assert word in raised.value.what
    assert "f.yaml: case 1" in raised.value.what


def test_a_case_is_a_mapping() -> None:
    with pytest.raises(UsageError):
        read_case(["x"], "f")
