# ruff: noqa: E501  # tables of cases, a line each
"""The lint with a cluster around the files."""

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
from installer.domain.policy.world import World
from tests.policy import test_lint as alone
from tests.policy.clusters import DNS_SERVICE, NAMESPACE, SERVICES, SHOP, Raw, pod, policy, service, world

WEB, FRONT = {"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "front"}}
TO_DNS = {"toEndpoints": [{"matchLabels": {NAMESPACE: "kube-system", "k8s-app": "kube-dns"}}]}


def lint(cluster: World, *objects: Raw) -> list[Finding]:
    text = "---\n".join(yaml.safe_dump(one, sort_keys=False) for one in objects)
    found = validate(read_documents(text, "f.yaml"), KNOWN_CRDS, cluster.settings, linter(cluster)).findings
    assert not [one for one in found if not one.code.startswith("P-LINT")], found
    return list(found)


def one(cluster: World, code: str, *objects: Raw) -> Finding:
    found = [finding for finding in lint(cluster, *objects) if finding.code == code]
    assert len(found) == 1, found
    return found[0]


def into(*rules: Raw, subject: Raw | None = None, **more: Any) -> Raw:
    return policy({"endpointSelector": WEB if subject is None else subject, "ingress": list(rules), **more})


def out(*rules: Raw, **more: Any) -> Raw:
    return policy({"endpointSelector": FRONT, "egress": [TO_DNS, *rules], **more})


def ports(number: str) -> Raw:
    return {"toPorts": [{"ports": [{"port": number, "protocol": "TCP"}]}]}


DENY_HOST: Raw = {"ingressDeny": [{"fromEntities": ["host"]}]}
LOAD_BALANCER = service("shop", "public", {"app": "web"}, 80, 8080, type="LoadBalancer")
OPEN = world(services=[*SERVICES, LOAD_BALANCER])
CASES: list[tuple[str, World, Raw, Raw]] = [
    ("P-LINT-010", world(), into({}, subject={"matchLabels": {"app": "wbe"}}), into({})),
    ("P-LINT-010", world(), into({}, subject={"matchLabels": {"ap": "web"}}), into({})),
    ("P-LINT-011", world(), into({"fromEndpoints": [{"matchLabels": {"app": "frnt"}}]}), into({"fromEndpoints": [FRONT]})),
    ("P-LINT-011", world(), into({"fromEndpoints": [{"matchLabels": {"app": "prom"}}]}), into({"fromEndpoints": [{"matchLabels": {"app": "prom", NAMESPACE: "ops"}}]})),
    ("P-LINT-011", world(), into({"fromEndpoints": [{"matchLabels": {NAMESPACE: "opps"}}]}), into({"fromEndpoints": [{"matchLabels": {"reserved:host": ""}}]})),
    ("P-LINT-011", world(), policy({"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}]}, kind="NetworkPolicy"), policy({"podSelector": {}, "ingress": [{"from": [{"podSelector": WEB}]}]}, kind="NetworkPolicy")),
    ("P-LINT-012", world(), into({}, subject={"matchLabels": {"app": "job"}}), into({})),
    ("P-LINT-025", world(), into({"fromEndpoints": [{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.taem": "b"}}]}), into({"fromEndpoints": [{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": "b"}}]})),
    ("P-LINT-025", world(), into({"fromEndpoints": [{"matchLabels": {"team": "b"}}]}), into({"fromEndpoints": [FRONT]})),
    ("P-LINT-031", world(), into({"fromEndpoints": [FRONT]}), into({"fromEndpoints": [FRONT]}, enableDefaultDeny={"ingress": False})),
    ("P-LINT-040", world(), policy({"endpointSelector": FRONT, "egress": [{"toEndpoints": [WEB]}]}), out({"toEndpoints": [WEB]})),
    ("P-LINT-045", world(), out({"toCIDR": ["10.42.0.0/16"]}), out({"toCIDR": ["10.41.0.0/16"]})),
    ("P-LINT-045", world(), out({"toCIDR": ["10.43.0.9/32"]}), out({"toCIDRSet": [{"cidr": "10.43.0.0/16", "except": ["10.43.0.9/32"]}]})),
    ("P-LINT-045", world(), out({"toCIDR": ["192.168.0.4/32"]}), out({"toCIDR": ["192.168.0.5/32"]})),
    ("P-LINT-048", world(), into({"fromEntities": ["world"]}), into({"fromEntities": ["cluster"]})),
    ("P-LINT-048", world(), into({"fromEntities": ["world"]}), into({"fromEntities": ["host"]})),
    ("P-LINT-049", OPEN, into({"fromEndpoints": [FRONT]}), into({"fromEntities": ["world"]})),
    ("P-LINT-050", world(), into({"fromEndpoints": [FRONT]}, **DENY_HOST), into({"fromEndpoints": [FRONT]})),
    ("P-LINT-053", world(), policy({"nodeSelector": {}, "ingress": [{"fromEntities": ["all"]}]}, kind="CiliumClusterwideNetworkPolicy"), into({})),
    ("P-LINT-060", world(), out({"toEndpoints": [WEB], **ports("80")}), out({"toEndpoints": [WEB], **ports("8080")})),
    ("P-LINT-060", world(), into({"fromEndpoints": [FRONT], **ports("80")}), into({"fromEndpoints": [FRONT], **ports("9999")})),
    ("P-LINT-061", world(), into({"fromEndpoints": [FRONT], **ports("metrics")}), into({"fromEndpoints": [FRONT], **ports("http")})),
    ("P-LINT-067", world(), out({"toServices": [{"k8sService": {"serviceName": "wbe", "namespace": "shop"}}], **ports("80")}), out({"toServices": [{"k8sService": {"serviceName": "web", "namespace": "shop"}}], **ports("8080")})),
    ("P-LINT-094", world(), into({"fromEndpoints": [{"matchLabels": {"io.cilium.k8s.policy.cluster": "blue"}}]}), into({"fromEndpoints": [{"matchLabels": {"io.cilium.k8s.policy.cluster": "default"}}]})),
]  # fmt: skip


@pytest.mark.parametrize(("code", "cluster", "bad", "good"), CASES)
def test_what_the_cluster_shows(code: str, cluster: World, bad: Raw, good: Raw) -> None:
    assert code in {finding.code for finding in lint(cluster, bad)}
    assert code not in {finding.code for finding in lint(cluster, good)}


def test_a_typo_in_a_value_names_the_key_and_is_mended() -> None:
    finding = one(world(), "P-LINT-010", into({}, subject={"matchLabels": {"app": "frnt"}}))
    assert finding.path == ("spec", "endpointSelector", "matchLabels", "app")
    assert "app=frnt" in finding.text
    assert finding.quick is not None
    assert finding.quick.value == "front"


def test_a_typo_in_a_key_is_mended_by_its_name() -> None:
    finding = one(world(), "P-LINT-010", into({}, subject={"matchLabels": {"appp": "web"}}))
    assert finding.quick is not None
    assert finding.quick.rename == "app"


def test_labels_that_are_there_but_not_together_are_told_as_such() -> None:
    finding = one(
        world(),
        "P-LINT-010",
        into(
            {},
            subject={
                "matchLabels": {"app": "web", NAMESPACE: "shop"},
                "matchExpressions": [{"key": "app", "operator": "In", "values": ["front"]}],
            },
        ),
    )
    assert "no pod" in finding.text


def test_the_service_port_is_mended_by_that_of_the_pods() -> None:
    finding = one(world(), "P-LINT-060", out({"toEndpoints": [WEB], **ports("80")}))
    assert finding.quick is not None
    assert finding.quick.value == "8080"
    assert "shop/web" in finding.text


def test_the_pods_that_become_isolated_are_named() -> None:
    finding = one(world(), "P-LINT-031", into({"fromEndpoints": [FRONT]}))
    assert "shop/web" in finding.text
    assert finding.path == ("spec", "ingress")


def test_pods_that_are_isolated_already_are_not_told_again() -> None:
    applied = policy({"endpointSelector": {}, "ingress": [{}]}, name="default-deny")
    assert "P-LINT-031" not in {finding.code for finding in lint(world(applied), into({"fromEndpoints": [FRONT]}))}


def test_dns_that_another_applied_policy_allows_is_no_matter() -> None:
    applied = policy({"endpointSelector": {}, "egress": [TO_DNS]}, name="dns")
    changed = policy({"endpointSelector": FRONT, "egress": [{"toEndpoints": [WEB]}]})
    assert "P-LINT-040" not in {finding.code for finding in lint(world(applied), changed)}


def test_dns_is_asked_on_the_port_of_the_pods() -> None:
    openshift = world(services=[service("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, 53, 5353)])
    fifty_three = {**TO_DNS, "toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}]}]}
    finding = one(openshift, "P-LINT-040", policy({"endpointSelector": FRONT, "egress": [fifty_three]}))
    assert "5353" in finding.text


def test_node_local_dns_is_reached_on_the_host() -> None:
    upstream = service("kube-system", "kube-dns-upstream", {"k8s-app": "kube-dns"}, 53, 53)
    local = world(services=[DNS_SERVICE, upstream])
    host = policy({"endpointSelector": FRONT, "egress": [{"toEntities": ["host"]}]})
    assert "P-LINT-040" not in {finding.code for finding in lint(local, host)}


def test_a_probe_that_is_cut_names_port_and_pod() -> None:
    finding = one(world(), "P-LINT-050", into({"fromEndpoints": [FRONT]}, **DENY_HOST))
    assert "8080" in finding.text
    assert "shop/web" in finding.text
    assert finding.path == ("spec", "ingressDeny", 0)


def test_probes_are_cut_too_where_localhost_needs_a_policy() -> None:
    strict = world(settings=Settings(allow_localhost="policy"))
    assert "P-LINT-050" in {finding.code for finding in lint(strict, into({"fromEndpoints": [FRONT]}))}


def test_rules_of_applied_policies_void_those_of_files() -> None:
    plain = policy({"endpointSelector": WEB, "ingress": [{"fromEndpoints": [FRONT]}]}, name="plain")
    http = into(
        {
            "fromEndpoints": [FRONT],
            "toPorts": [{"ports": [{"port": "8080", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}],
        }
    )
    assert "shop/plain" in one(world(plain), "P-LINT-080", http).text


def test_a_wrong_name_of_a_port_lists_the_right_ones() -> None:
    assert one(world(), "P-LINT-061", into({"fromEndpoints": [FRONT], **ports("htp")})).fix == "There are: http."


def test_the_lint_of_a_cluster_without_pods_says_nothing_of_selectors() -> None:
    assert lint(world(pods=[]), into({"fromEndpoints": [FRONT]})) == []


def test_labels_that_this_cluster_keeps_are_no_matter() -> None:
    kept = world(pods=[*SHOP, pod("shop", "web-2", {"app": "web", "k8s.io/zone": "a"})])
    chosen = into({"fromEndpoints": [{"matchLabels": {"k8s.io/zone": "a"}}]})
    assert "P-LINT-013" in {finding.code for finding in lint(kept, chosen)}  # the default filter leaves it out


def test_every_code_is_provoked_somewhere() -> None:
    tables: list[Any] = [CASES, alone.ONE, alone.TWO, alone.WITH_SETTINGS]
    provoked = {row[0] for table in tables for row in table} | {"P-LINT-074", "P-LINT-092"}
    assert provoked == set(CODES)
