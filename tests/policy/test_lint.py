# ruff: noqa: E501  # tables of cases, a line each
"""The lint without a cluster: each code with a policy that provokes it, and a neighbour that does not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from installer.domain.policy.documents import read_documents
from installer.domain.policy.findings import Finding
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.lint import CODES, linter
from installer.domain.policy.model import Settings
from installer.domain.policy.validation import validate

Raw = dict[str, Any]
NAMESPACE = "k8s:io.kubernetes.pod.namespace"
DNS = {
    "toEndpoints": [{"matchLabels": {NAMESPACE: "kube-system", "k8s-app": "kube-dns"}}],
    "toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}],
}
FRONT = {"matchLabels": {"app": "front"}}


def policy(spec: Raw, *, kind: str = "CiliumNetworkPolicy", name: str = "p", namespace: str = "demo") -> Raw:
    api = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "cilium.io/v2"
    metadata = {"name": name} if "Cluster" in kind else {"name": name, "namespace": namespace}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def cluster(spec: Raw) -> Raw:
    return policy(spec, kind="CiliumClusterwideNetworkPolicy")


def into(*rules: Raw, name: str = "p", **more: Any) -> Raw:
    return policy({"endpointSelector": {"matchLabels": {"app": "web"}}, "ingress": list(rules), **more}, name=name)


def out(*rules: Raw, name: str = "p", **more: Any) -> Raw:
    return policy({"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [DNS, *rules], **more}, name=name)


def port(number: str = "80", protocol: str = "TCP", **more: Any) -> Raw:
    return {"ports": [{"port": number, "protocol": protocol}], **more}


def http(*rules: Raw, number: str = "80") -> Raw:
    return into({"fromEndpoints": [FRONT], "toPorts": [port(number, rules={"http": list(rules)})]})


def dns(*rules: Raw, number: str = "53") -> Raw:
    item = {**DNS, "toPorts": [port(number, "ANY", rules={"dns": list(rules)})]}
    return policy({"endpointSelector": {}, "enableDefaultDeny": {"egress": False}, "egress": [item]})


def kube(**section: Any) -> Raw:
    return policy({"podSelector": {}, **section}, kind="NetworkPolicy")


def lint(*objects: Raw, settings: Settings | None = None) -> list[Finding]:
    text = "---\n".join(yaml.safe_dump(one, sort_keys=False) for one in objects)
    chosen = settings or Settings()
    found = validate(read_documents(text, "f.yaml"), KNOWN_CRDS, chosen, linter(settings=chosen)).findings
    assert not [one for one in found if not one.code.startswith("P-LINT")], found
    return list(found)


def codes(*objects: Raw, settings: Settings | None = None) -> set[str]:
    return {finding.code for finding in lint(*objects, settings=settings)} - {"P-LINT-074"}


GET = {"method": "GET", "path": "/items(\\?.*)?"}
WORLD443 = {"toEntities": ["world"], "toPorts": [port("443")]}
ONE: list[tuple[str, Raw, Raw]] = [
    ("P-LINT-013", into({"fromEndpoints": [{"matchLabels": {"pod-template-hash": "x"}}]}), into({"fromEndpoints": [{"matchLabels": {"app.kubernetes.io/name": "x"}}]})),
    ("P-LINT-020", policy({"endpointSelector": {"matchLabels": {"io.kubernetes.pod.namespace": "other"}}, "ingress": [{}]}), policy({"endpointSelector": {"matchLabels": {NAMESPACE: "demo"}}, "ingress": [{}]})),
    ("P-LINT-020", policy({"endpointSelector": {"matchLabels": {NAMESPACE: "other"}}, "ingress": [{}]}), cluster({"endpointSelector": {"matchLabels": {NAMESPACE: "other"}}, "ingress": [{}]})),
    ("P-LINT-023", into({"fromEndpoints": [{"matchLabels": {"k8s.app": "x"}}]}), into({"fromEndpoints": [{"matchLabels": {"k8s:app": "x"}}]})),
    ("P-LINT-024", into({"fromEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namspace": "x"}}]}), into({"fromEndpoints": [{"matchLabels": {NAMESPACE: "x"}}]})),
    ("P-LINT-025", into({"fromEndpoints": [{"matchLabels": {"kubernetes.io/metadata.name": "x"}}]}), into({"fromEndpoints": [{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name": "x"}}]})),
    ("P-LINT-030", policy({"endpointSelector": {}, "ingressDeny": [{"fromEntities": ["world"]}]}), policy({"endpointSelector": {}, "enableDefaultDeny": {"ingress": False}, "ingressDeny": [{"fromEntities": ["world"]}]})),
    ("P-LINT-030", cluster({"endpointSelector": {"matchLabels": {"a": "b"}}, "ingressDeny": [{"fromEntities": ["world"]}]}), into({"fromEntities": ["cluster"]}, ingressDeny=[{"fromEndpoints": [FRONT]}])),
    ("P-LINT-032", into({"fromEndpoints": [FRONT]}, enableDefaultDeny={"egress": True}), into({"fromEndpoints": [FRONT]}, enableDefaultDeny={"egress": False})),
    ("P-LINT-039", dns({"matchName": "a.b"}), dns({"matchName": "a.b"}, {"matchPattern": "*.*.svc.cluster.local"}, {"matchPattern": "**.svc.cluster.local"})),
    ("P-LINT-040", policy({"endpointSelector": {}, "egress": [WORLD443]}), out(WORLD443)),
    ("P-LINT-040", kube(policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}]), kube(policyTypes=["Ingress"], ingress=[{}])),
    ("P-LINT-041", policy({"endpointSelector": {}, "egress": [{**DNS, "toPorts": [port("53", "UDP")]}]}), out()),
    ("P-LINT-042", policy({"endpointSelector": {}, "egress": [{**DNS, "toPorts": [port("53", "ANY")]}, {"toFQDNs": [{"matchName": "a.example.org"}]}]}), out({"toFQDNs": [{"matchName": "a.example.org"}]})),
    ("P-LINT-043", policy({"endpointSelector": {}, "egress": [{**DNS, "toPorts": [port("53", "ANY", rules={"dns": [{"matchPattern": "a*.example.org"}]})]}, {"toFQDNs": [{"matchPattern": "*.example.org"}]}]}), out({"toFQDNs": [{"matchPattern": "*.example.org"}]})),
    ("P-LINT-044", out({"toFQDNs": [{"matchName": "web.demo.svc.cluster.local"}]}), out({"toFQDNs": [{"matchName": "web.demo.example.org"}]})),
    ("P-LINT-046", into({"fromCIDR": ["0.0.0.0/0"]}), into({"fromCIDR": ["203.0.113.0/24"]})),
    ("P-LINT-047", out({"toCIDRSet": [{"cidr": "128.0.0.0/1"}]}), out({"toCIDRSet": [{"cidr": "128.0.0.0/1", "except": ["169.254.169.254/32"]}]})),
    ("P-LINT-052", cluster({"endpointSelector": {}, "ingress": [{"fromEndpoints": [{}]}]}), cluster({"endpointSelector": {}, "ingress": [{"fromEndpoints": [{}]}, {"fromEntities": ["health", "remote-node"]}]})),
    ("P-LINT-062", into({"toPorts": [{"ports": [{"port": "80", "endPort": 8, "protocol": "TCP"}]}]}), into({"toPorts": [{"ports": [{"port": "80", "endPort": 88, "protocol": "TCP"}]}]})),
    ("P-LINT-062", into({"toPorts": [{"ports": [{"port": "http", "endPort": 8, "protocol": "TCP"}]}]}), into({"toPorts": [port("http")]})),
    ("P-LINT-064", into({"toPorts": [port("80x")]}), into({"toPorts": [port("x80")]})),
    ("P-LINT-065", kube(policyTypes=["Ingress"], ingress=[{"ports": [{"port": 53}]}]), kube(policyTypes=["Ingress"], ingress=[{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}])),
    ("P-LINT-066", into({"fromEndpoints": [FRONT], "toPorts": [{}]}), into({"fromEndpoints": [FRONT], "toPorts": []})),
    ("P-LINT-067", out({"toFQDNs": [], "toPorts": [port()]}), out({"toFQDNs": [{"matchName": "a.b"}], "toPorts": [port()]})),
    ("P-LINT-068", into({"fromEndpoints": []}), into({"fromEndpoints": [{}]})),
    ("P-LINT-070", into({"fromEndpoints": [FRONT], "toPorts": [port(rules={"http": []})]}), http({})),
    ("P-LINT-071", http({"path": "items"}), http({"path": "/items"})),
    ("P-LINT-071", http({"path": "api/.*"}), http({"path": ".*/api"})),
    ("P-LINT-072", http({"host": "api.example.org"}), http({"host": "api\\.example\\.org"})),
    ("P-LINT-073", http({"path": "/api/*"}), http({"path": "/api/.*"})),
    ("P-LINT-073", http({"host": "a*"}), http({"host": "[a-z]*"})),
    ("P-LINT-075", http({"method": "get"}), http({"method": "GET|HEAD"})),
    ("P-LINT-076", http({"host": "*.example.org"}), http({"host": "[^.]*\\.example\\.org"})),
    ("P-LINT-077", http(GET, number="443"), http(GET, number="8080")),
    ("P-LINT-078", dns({}), dns({"matchPattern": "*"})),
    ("P-LINT-079", dns({"matchPattern": "*"}, number="8080"), dns({"matchPattern": "*"}, number="5353")),
    ("P-LINT-081", into({"fromEndpoints": [FRONT]}, ingressDeny=[{"fromEndpoints": [{}]}]), into({"fromEndpoints": [{}]}, ingressDeny=[{"fromEndpoints": [FRONT]}])),
    ("P-LINT-081", into({"fromCIDR": ["10.1.0.0/16"]}, ingressDeny=[{"fromEntities": ["world"]}]), into({"fromCIDR": ["10.1.0.0/16"]}, ingressDeny=[{"fromEntities": ["world"], "toPorts": [port()]}])),
    ("P-LINT-084", into({"fromEndpoints": [FRONT]}, {"fromEntities": ["cluster"]}), into({"fromEndpoints": [FRONT]}, {"fromEntities": ["cluster"], "toPorts": [port()]})),
]  # fmt: skip


@pytest.mark.parametrize(("code", "bad", "good"), ONE)
def test_what_one_policy_shows(code: str, bad: Raw, good: Raw) -> None:
    assert code in codes(bad)
    assert code not in codes(good)


def test_neighbours_are_clean() -> None:
    noise = {"P-LINT-040"}
    assert {code for _, _, good in ONE for code in codes(good)} - noise <= {"P-LINT-067", "P-LINT-080", "P-LINT-043"}


OTHER = into({"fromEndpoints": [FRONT], "toPorts": [port()]}, name="q")
TWO: list[tuple[str, tuple[Raw, ...], tuple[Raw, ...]]] = [
    ("P-LINT-080", (http(GET), OTHER), (http(GET), into({"fromEndpoints": [FRONT], "toPorts": [port("81")]}, name="q"))),
    ("P-LINT-080", (http(GET), into({"fromEndpoints": [{}]}, name="q")), (http(GET), into({"fromEntities": ["world"]}, name="q"))),
    ("P-LINT-082", (OTHER, into({"fromEndpoints": [FRONT]}, name="wide")), (OTHER, into({"fromEndpoints": [FRONT], "toPorts": [port("81")]}, name="wide"))),
    ("P-LINT-082", (OTHER, {**OTHER, "metadata": {"name": "same", "namespace": "demo"}}), (OTHER, {**OTHER, "metadata": {"name": "same", "namespace": "else"}})),
    ("P-LINT-083", (out({**DNS, "toPorts": [port("53", "TCP", rules={"http": [{}]})]}),), (out({**DNS, "toPorts": [port("54", "TCP", rules={"http": [{}]})]}),)),
    ("P-LINT-042", (out({"toFQDNs": [{"matchName": "a.b"}]}), policy({"endpointSelector": {}, "egress": [{"toFQDNs": [{"matchName": "c.d"}]}]}, name="q")), (out({"toFQDNs": [{"matchName": "a.b"}]}), dns({"matchPattern": "*"}))),
    ("P-LINT-001", (OTHER, OTHER), (OTHER, http(GET))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "bad", "good"), TWO)
def test_what_several_policies_show(code: str, bad: tuple[Raw, ...], good: tuple[Raw, ...]) -> None:
    assert code in codes(*bad)
    assert code not in codes(*good)


OLD, NEW = Settings(version=(1, 15)), Settings(version=(1, 20))
REQUIRES = into({"fromEndpoints": [FRONT], "fromRequires": [FRONT]})
KAFKA = into({"fromEndpoints": [FRONT], "toPorts": [port("9092", rules={"kafka": [{"topic": "t"}]})]})
FAR = into({"fromEndpoints": [{"matchExpressions": [{"key": NAMESPACE, "operator": "NotIn", "values": ["x"]}]}]})
LABEL = into({"fromEndpoints": [{"matchLabels": {"reserved:world": ""}}]})
CASCADE = out({"toFQDNs": [{"matchPattern": "**.example.org"}]})
WITH_SETTINGS: list[tuple[str, Raw, Settings, Settings]] = [
    ("P-LINT-021", FAR, OLD, NEW),
    ("P-LINT-022", LABEL, Settings(dual_stack=True), NEW),
    ("P-LINT-033", into({"fromEndpoints": [FRONT], "toPorts": [port(rules={"http": [GET]})]}, enableDefaultDeny={"ingress": False}), Settings(version=(1, 17)), NEW),
    ("P-LINT-090", into({"fromEndpoints": [FRONT]}, log={"value": "x"}), Settings(version=(1, 17)), NEW),
    ("P-LINT-090", into({"toPorts": [{"ports": [{"port": "80", "endPort": 88}]}]}), OLD, NEW),
    ("P-LINT-091", CASCADE, Settings(version=(1, 18)), NEW),
    ("P-LINT-093", KAFKA, NEW, NEW),
]  # fmt: skip


@pytest.mark.parametrize(("code", "raw", "telling", "silent"), WITH_SETTINGS)
def test_what_depends_on_the_version(code: str, raw: Raw, telling: Settings, silent: Settings) -> None:
    assert code in codes(raw, settings=telling)
    assert silent == telling or code not in codes(raw, settings=silent)


def test_requirements_are_told_while_they_still_work() -> None:
    assert "P-LINT-092" in codes(REQUIRES, settings=Settings(version=(1, 18)))


def test_a_query_string_is_told_once_for_each_document() -> None:
    found = [one for one in lint(http({"path": "/a"}, {"path": "/b"})) if one.code == "P-LINT-074"]
    assert len(found) == 1


def test_findings_name_their_place_and_object() -> None:
    (finding,) = [one for one in lint(http({"method": "get", "path": "/.*"})) if one.code == "P-LINT-075"]
    assert finding.where == "f.yaml:20:11"
    assert finding.object == "CiliumNetworkPolicy demo/p"
    assert finding.quick is not None
    assert finding.quick.value == "GET"


def test_a_voided_rule_names_the_one_that_voids_it() -> None:
    (finding,) = [one for one in lint(http(GET), OTHER) if one.code == "P-LINT-080"]
    assert "CiliumNetworkPolicy demo/q spec.ingress[0].toPorts[0]" in finding.text


def test_a_policy_that_lets_nothing_out_need_not_resolve_names() -> None:
    (finding,) = lint(policy({"endpointSelector": {}, "egress": [{}]}))
    assert (finding.code, finding.level.value) == ("P-LINT-040", "warning")


def test_every_code_has_a_sentence() -> None:
    assert all(code.sentence.endswith(".") for code in CODES.values())
