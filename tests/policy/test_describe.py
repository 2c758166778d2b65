# ruff: noqa: E501  # a table of cases, a line each
"""Policies in sentences."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from installer.domain.policy.describe import describe
from installer.domain.policy.engine import compile_policies
from installer.domain.policy.model import Settings
from tests.policy.clusters import NAMESPACE, Raw, policy
from tests.policy.test_reference import FOLDER


def texts(raw: Raw, settings: Settings | None = None) -> list[str]:
    return [sentence.text for sentence in describe(compile_policies([raw], settings)[0])]


def rule(section: str, item: Raw) -> str:
    return texts(policy({"endpointSelector": {}, section: [item]}))[-1]


RULES: list[tuple[str, Raw, str]] = [
    ("ingress", {"fromEndpoints": [{"matchLabels": {"app": "web"}}]}, "From: pods with app=web in shop may connect."),
    ("ingress", {"fromEndpoints": [{}]}, "From: every pod in shop may connect."),
    ("ingress", {"fromEndpoints": [{"matchLabels": {NAMESPACE: "ops"}}]}, "From: every pod in ops may connect."),
    ("ingress", {"fromEndpoints": [{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": "a"}}]}, "From: every pod in namespaces with team=a may connect."),
    ("ingress", {"fromEndpoints": [{"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "bot"}}]}, "From: every pod of service account bot in shop may connect."),
    ("ingress", {"fromEntities": ["host", "remote-node"]}, "From: the own node or other nodes may connect."),
    ("ingress", {"fromEndpoints": []}, "From: nobody (the list is empty) may connect."),
    ("ingressDeny", {"fromEntities": ["world"]}, "From: anything outside the cluster must not connect."),
    ("egress", {"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]}, "To: they may connect to 10.0.0.0/8 except 10.1.0.0/16."),
    ("egress", {"toFQDNs": [{"matchName": "a.b"}, {"matchPattern": "*.c"}]}, "To: they may connect to the addresses of a.b or *.c."),
    ("egress", {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}, {"port": "90", "endPort": 95}]}]}, "To: they may connect to anyone on port 80/TCP or ports 90-95."),
    ("egress", {"toPorts": [{"ports": [{"port": "0", "protocol": "UDP"}, {"port": "http", "protocol": "TCP"}]}]}, "To: they may connect to anyone on every UDP port or port http/TCP."),
    ("egress", {"icmps": [{"fields": [{"type": 8}]}]}, "To: they may connect to anyone by ICMPv4 type 8."),
    ("ingress", {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET", "path": "/a", "headers": ["X: y"]}, {}]}}]}, "From: anyone may connect on port 80/TCP, only requests GET /a with header x: y or of any method."),
    ("egress", {"toPorts": [{"ports": [{"port": "53"}], "rules": {"dns": [{"matchPattern": "*.d"}]}}]}, "To: they may connect to anyone on port 53, only asking for *.d."),
    ("egress", {"toPorts": [{"ports": [{"port": "443"}], "serverNames": ["a.b"]}]}, "To: they may connect to anyone on port 443, only with server name a.b."),
    ("egress", {"toPorts": [{}]}, "To: they may connect to anyone on no port at all."),
    ("ingress", {"fromEndpoints": [{}], "authentication": {"mode": "required"}}, "From: every pod in shop may connect, with mutual authentication."),
]  # fmt: skip


@pytest.mark.parametrize(("section", "item", "text"), RULES)
def test_rules(section: str, item: Raw, text: str) -> None:
    assert rule(section, item) == text


def test_subject_and_isolation() -> None:
    raw = policy(
        {
            "endpointSelector": {"matchLabels": {"app": "web"}},
            "enableDefaultDeny": {"egress": False},
            "ingress": [{}],
            "egress": [{}],
        }
    )
    assert texts(raw) == [
        "It applies to pods with app=web in shop.",
        "It isolates them for ingress: what no policy allows is dropped.",
        "It does not isolate them for egress.",
    ]


def test_nodes() -> None:
    raw = policy(
        {"nodeSelector": {"matchLabels": {"role": "worker"}}, "ingress": [{}]}, kind="CiliumClusterwideNetworkPolicy"
    )
    assert texts(raw)[0] == "It applies to nodes with role=worker."


def test_requirements() -> None:
    raw = policy({"endpointSelector": {}, "ingress": [{"fromRequires": [{"matchLabels": {"env": "prod"}}]}]})
    assert (
        texts(raw, Settings(version=(1, 18)))[-1] == "From: peers that any rule names by label must also have env=prod."
    )


def test_what_agents_ignore() -> None:
    (text,) = texts(policy({"ingress": [{}]}))
    assert text.startswith("Agents ignore this policy: ")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_policy_of_the_cases_has_sentences(path: Any) -> None:
    for case in yaml.load(path.read_text(), Loader=yaml.CSafeLoader):
        for raw in case["policies"]:
            found = texts(raw, Settings(node_selector_labels=True))
            assert found
            assert all(text.endswith(".") and "None" not in text for text in found)
