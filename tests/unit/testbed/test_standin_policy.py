"""The stand-in's policies: who may talk to whom, and what nft is told."""

from typing import Any

import pytest

from tests.testbed.cilium.standin import nft, policy
from tests.testbed.cilium.standin.model import Endpoint, View, endpoint_of, selects

Object = dict[str, Any]


def pod(name: str, ip: str, namespace: str = "demo", app: str = "", ports: list[Object] | None = None) -> Object:
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": {"app": app or name}},
        "spec": {"containers": [{"ports": ports or []}]},
        "status": {"podIP": ip, "phase": "Running"},
    }


def cnp(spec: Object, name: str = "p", namespace: str = "demo") -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.fixture
def view() -> View:
    pods = [
        pod("frontend", "10.42.0.2"),
        pod("backend", "10.42.0.3", ports=[{"name": "http", "containerPort": 8080}]),
        pod("frontend2", "10.42.0.4", namespace="other", app="frontend"),
    ]
    endpoints = [endpoint for item in pods if (endpoint := endpoint_of(item, {}))]
    return View(tuple(endpoints), ("192.0.2.2", "10.42.0.1"), ("192.0.2.2",), "10.42.0.0/24", {"other": {"team": "b"}})


BACKEND = {"matchLabels": {"app": "backend"}}
FROM_FRONTEND = [{"matchLabels": {"app": "frontend"}}]


def ingress(policies: list[Object], view: View, network: list[Object] | None = None) -> list[policy.Rule] | None:
    enforced = policy.compile_all(policies, network or [], view).get("10.42.0.3")
    return enforced.ingress if enforced else None


def test_no_policy_enforces_nothing(view: View) -> None:
    assert policy.compile_all([], [], view) == {}


def test_endpoints_are_those_of_the_policys_namespace(view: View) -> None:
    rules = ingress([cnp({"endpointSelector": BACKEND, "ingress": [{"fromEndpoints": FROM_FRONTEND}]})], view)
    assert rules is not None
    assert rules[0].peers.ips == ("10.42.0.2",)


def test_another_namespace_has_to_be_named(view: View) -> None:
    labels = {"app": "frontend", "k8s:io.kubernetes.pod.namespace": "other"}
    spec = {"endpointSelector": BACKEND, "ingress": [{"fromEndpoints": [{"matchLabels": labels}]}]}
    rules = ingress([cnp(spec)], view)
    assert rules is not None
    assert rules[0].peers.ips == ("10.42.0.4",)


@pytest.mark.parametrize(
    ("spec", "enforced"),
    [
        ({"ingress": []}, False),
        ({"ingress": [{}]}, True),
        ({"ingress": [{"fromEndpoints": []}]}, True),
        ({"ingressDeny": [{"fromEntities": ["world"]}]}, True),
    ],
)
def test_a_direction_is_enforced_when_it_has_rules(view: View, spec: Object, enforced: bool) -> None:
    assert (ingress([cnp({"endpointSelector": BACKEND, **spec})], view) is not None) == enforced


def test_an_empty_rule_lets_everyone_in_and_an_empty_list_no_one(view: View) -> None:
    anyone = ingress([cnp({"endpointSelector": BACKEND, "ingress": [{}]})], view)
    no_one = ingress([cnp({"endpointSelector": BACKEND, "ingress": [{"fromEndpoints": []}]})], view)
    assert anyone
    assert no_one
    assert anyone[0].peers.anyone
    assert no_one[0].peers == policy.Peers()


def test_named_ports_are_the_subjects_own(view: View) -> None:
    to_ports = [{"ports": [{"port": "http", "protocol": "TCP"}]}]
    rules = ingress([cnp({"endpointSelector": BACKEND, "ingress": [{"toPorts": to_ports}]})], view)
    assert rules is not None
    assert rules[0].ports == (policy.Port("tcp", 8080),)


def test_network_policy_with_namespace_selector(view: View) -> None:
    spec = {
        "podSelector": BACKEND,
        "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "b"}}}], "ports": [{"port": 80}]}],
    }
    rules = ingress([], view, [{"metadata": {"name": "n", "namespace": "demo"}, "spec": spec}])
    assert rules is not None
    assert rules[0].peers.ips == ("10.42.0.4",)
    assert rules[0].ports == (policy.Port("tcp", 80),)


def test_network_policy_without_rules_denies(view: View) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert ingress([], view, [{"metadata": {"name": "n", "namespace": "demo"}, "spec": spec}]) == []


@pytest.mark.parametrize(
    ("method", "path", "passes"),
    [("GET", "/index", True), ("POST", "/index", False), ("GET", "/admin", False), ("GETX", "/index", False)],
)
def test_http_rules_match_whole_words(view: View, method: str, path: str, passes: bool) -> None:
    rules = [{"method": "GET", "path": "/index.*"}]
    to_ports = [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": rules}}]
    spec = {"endpointSelector": BACKEND, "ingress": [{"fromEndpoints": FROM_FRONTEND, "toPorts": to_ports}]}
    found = ingress([cnp(spec)], view)
    assert found is not None
    assert policy.request_allowed(found, "10.42.0.2", 80, method, path, "backend") == passes


def test_ruleset_orders_denies_then_plain_then_proxied(view: View) -> None:
    http = [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}]
    spec = {
        "endpointSelector": BACKEND,
        "ingress": [{"fromEndpoints": FROM_FRONTEND, "toPorts": http}, {"fromEntities": ["host"]}],
        "ingressDeny": [{"fromCIDR": ["203.0.113.0/24"]}],
    }
    enforced = policy.compile_all([cnp(spec)], [], view)
    text = nft.render(view, nft.Services(), enforced, nft.Options())
    chain = text[text.index("chain ingress_10_42_0_3") :].split("}\nmap")[0]
    positions = [chain.index(tag) for tag in ("deny:i:181", "allow:i", "proxy:i", "deny:i:133")]
    assert positions == sorted(positions)
    assert "proxy:i" not in nft.render(view, nft.Services(), enforced, nft.Options(l7=False))
    assert "deny:i" not in nft.render(view, nft.Services(), enforced, nft.Options(enforce=False))


def test_services_lead_to_ready_backends_only(view: View) -> None:
    service = {
        "metadata": {"name": "s", "namespace": "demo"},
        "spec": {"clusterIP": "10.43.0.5", "ports": [{"name": "w", "port": 80, "nodePort": 30080}]},
    }
    subset = {
        "addresses": [{"ip": "10.42.0.3"}],
        "notReadyAddresses": [{"ip": "10.42.0.2"}],
        "ports": [{"name": "w", "port": 8080}],
    }
    found = nft.services_of([service], [{"metadata": service["metadata"], "subsets": [subset]}], view)
    assert found.backends == {
        ("10.43.0.5", "tcp", 80): [("10.42.0.3", 8080)],
        ("", "tcp", 30080): [("10.42.0.3", 8080)],
    }
    text = nft.render(view, nft.services_of([service], [], view), {}, nft.Options())
    assert "elements = { 10.43.0.5 . tcp . 80 }" in text


@pytest.mark.parametrize("change", [{"hostNetwork": True}, {"phase": "Succeeded"}, {"podIP": ""}])
def test_pods_that_are_no_endpoints(change: Object) -> None:
    item = pod("x", "10.42.0.9")
    item["spec"] |= {key: value for key, value in change.items() if key == "hostNetwork"}
    item["status"] |= {key: value for key, value in change.items() if key != "hostNetwork"}
    assert endpoint_of(item, {}) is None


def test_identity_follows_the_security_labels() -> None:
    one, two = (endpoint_of(pod(name, "10.42.0.9", app="same"), {}) for name in ("a", "b"))
    assert isinstance(one, Endpoint)
    assert isinstance(two, Endpoint)
    assert one.identity == two.identity
    assert 256 <= one.identity <= 65535


def test_selector_expressions() -> None:
    labels = {"app": "x", "tier": "web"}
    yes = [{"key": "app", "operator": "In", "values": ["x"]}, {"key": "any:tier", "operator": "Exists"}]
    no = [{"key": "app", "operator": "NotIn", "values": ["x"]}]
    assert selects({"matchExpressions": yes}, labels)
    assert not selects({"matchExpressions": no}, labels)
