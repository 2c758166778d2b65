# ruff: noqa: E501  # objects in one line
"""What a change would cut that people need to mend it."""

from __future__ import annotations

from installer.domain.policy.lockout import Danger, dangers
from installer.domain.policy.model import Settings
from installer.domain.policy.world import World
from tests.policy.clusters import KUBE_DNS, SHOP, Raw, pod, policy, world

RELAY = pod("kube-system", "hubble-relay-1", {"k8s-app": "hubble-relay"}, account="hubble-relay")
UI = pod("kube-system", "hubble-ui-1", {"k8s-app": "hubble-ui"}, account="hubble-ui")
BEEYARD = pod("tools", "beeyard-1", {"app.kubernetes.io/name": "beeyard"}, account="beeyard")
PODS = (*SHOP, RELAY, UI, BEEYARD)
EVERYWHERE: Raw = {"endpointSelector": {}}
FIREWALL = Settings(host_firewall=True)


def clusterwide(**spec: object) -> Raw:
    return policy(spec, kind="CiliumClusterwideNetworkPolicy")


def codes(found: list[Danger]) -> set[str]:
    return {one.code for one in found}


def cluster(*policies: Raw, settings: Settings | None = None) -> World:
    return world(*policies, pods=PODS, settings=settings)


def test_a_harmless_change_is_no_danger() -> None:
    web = policy({"endpointSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"fromEndpoints": [{}]}]})
    assert dangers(cluster(), [web]) == []


def test_closing_all_egress_cuts_nearly_everything() -> None:
    found = dangers(cluster(), [clusterwide(**EVERYWHERE, egress=[{}])])
    assert codes(found) == {"P-LOCK-001", "P-LOCK-002", "P-LOCK-004", "P-LOCK-005"}
    api = next(one for one in found if one.code == "P-LOCK-001")
    assert "kube-system/kube-dns" in api.text
    assert "CiliumClusterwideNetworkPolicy p" in api.why
    assert api.origins[0].name == "p"


def test_a_deny_of_the_apiserver_names_its_rule() -> None:
    deny = clusterwide(
        **EVERYWHERE, enableDefaultDeny={"egress": False}, egressDeny=[{"toEntities": ["kube-apiserver"]}]
    )
    found = dangers(cluster(), [deny])
    assert codes(found) == {"P-LOCK-001", "P-LOCK-005"}
    assert "spec.egressDeny[0]" in found[0].why


def test_one_port_of_the_apiserver_is_enough() -> None:
    allow = clusterwide(
        **EVERYWHERE,
        egress=[
            {"toEntities": ["cluster"], "toPorts": [{"ports": [{"port": "6443", "protocol": "TCP"}]}]},
            {"toEntities": ["cluster"], "toPorts": [{"ports": [{"port": "53"}, {"port": "4244"}, {"port": "4245"}]}]},
        ],
    )
    assert dangers(cluster(), [allow]) == []


def test_what_was_cut_before_is_no_news() -> None:
    closed = clusterwide(**EVERYWHERE, egress=[{}])
    assert dangers(cluster(closed), [{**closed, "metadata": {"name": "again"}}]) == []


def test_probes() -> None:
    deny = policy(
        {"endpointSelector": {}, "ingress": [{"fromEntities": ["all"]}], "ingressDeny": [{"fromEntities": ["host"]}]}
    )
    (found,) = dangers(cluster(), [deny])
    assert found.code == "P-LOCK-003"
    assert "shop/web" in found.text
    assert "port 8080" in found.why


def test_relay_and_its_agents() -> None:
    relay = policy(
        {"endpointSelector": {"matchLabels": {"k8s-app": "hubble-relay"}}, "ingress": [{}], "egress": [{"toEntities": ["kube-apiserver"]}]},
        namespace="kube-system",
    )  # fmt: skip
    texts = [one.text for one in dangers(cluster(), [relay]) if one.code == "P-LOCK-004"]
    assert any("own node" in text for text in texts)
    assert any("hubble-ui" in text and "Relay" in text for text in texts)


def test_a_policy_for_nodes_without_the_ports_they_need() -> None:
    web_only = clusterwide(
        nodeSelector={},
        ingress=[{"fromEntities": ["all"], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}],
        egress=[{"toEntities": ["world"]}],
    )
    found = dangers(cluster(settings=FIREWALL), [web_only])
    assert codes(found) == {"P-LOCK-003", "P-LOCK-004", "P-LOCK-006"}
    texts = " ".join(one.text for one in found)
    for what in ("6443", "10250", "4240", "8472", "4244", "SSH", "NotReady"):
        assert what in texts


def test_a_policy_for_some_nodes_is_judged_on_such_a_node() -> None:
    workers = clusterwide(nodeSelector={"matchLabels": {"role": "worker"}}, ingress=[{"fromEntities": ["health"]}])
    assert "P-LOCK-006" in codes(dangers(cluster(settings=FIREWALL), [workers]))


def test_policies_for_nodes_are_harmless_without_the_host_firewall() -> None:
    assert dangers(cluster(), [clusterwide(nodeSelector={}, ingress=[{}])]) == []


def test_taking_an_allow_away_can_lock_out_too() -> None:
    closed = policy({"endpointSelector": {}, "egress": [{}]}, namespace="kube-system", name="closed")
    opened = policy(
        {"endpointSelector": {}, "egress": [{"toEntities": ["all"]}]}, namespace="kube-system", name="opened"
    )
    assert codes(dangers(cluster(closed, opened), [], removed=[opened])) >= {"P-LOCK-001", "P-LOCK-004"}


def test_a_pod_without_account_of_its_own_is_not_thought_to_need_the_apiserver() -> None:
    front = policy(
        {
            "endpointSelector": {"matchLabels": {"app": "front"}},
            "egress": [{"toEndpoints": [{}, {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"}}]}],
        }
    )
    assert dangers(world(pods=(*SHOP, KUBE_DNS)), [front]) == []
