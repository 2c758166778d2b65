"""The kernel's, Hubble's and the policies' word in one explanation."""

from __future__ import annotations

from typing import Any

import pytest

from installer.domain.flows.flow import IP, TCP, Endpoint, EventType, Flow, Layer4
from installer.domain.policy.model import pod
from installer.domain.policy.world import Pod, World
from installer.domain.tap.convert import EMITTER
from installer.domain.tap.doctor import Doctor

POLICY: dict[str, Any] = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "api", "namespace": "shop"},
    "spec": {
        "endpointSelector": {"matchLabels": {"app": "api"}},
        "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "web"}}]}],
    },
}


def world(*objects: dict[str, Any]) -> World:
    pods = [
        Pod(pod("shop", {"app": name}), "shop", name, addresses=(address,))
        for name, address in (("web", "10.42.0.1"), ("api", "10.42.0.2"), ("other", "10.42.0.3"))
    ]
    return World(objects=objects, pods=tuple(pods))


def drop(reason: str, source: str = "10.42.0.3") -> Flow:
    return Flow(
        verdict="DROPPED",
        emitter=EMITTER,
        ip=IP(source, "", "10.42.0.2", "IPv4"),
        l4=Layer4(tcp=TCP(40000, 80)),
        drop_reason_desc=reason,
        event_type=EventType(1),
    )


def hubble() -> Flow:
    return Flow(
        verdict="DROPPED",
        ip=IP("10.42.0.3", "", "10.42.0.2", "IPv4"),
        l4=Layer4(tcp=TCP(40000, 80)),
        source=Endpoint(namespace="shop", pod_name="other", labels=("k8s:app=other",)),
        destination=Endpoint(namespace="shop", pod_name="api", labels=("k8s:app=api",)),
        drop_reason_desc="POLICY_DENIED",
        event_type=EventType(1, 133),
        traffic_direction="INGRESS",
    )


@pytest.fixture
def doctor() -> Doctor:
    made = Doctor()
    made.learn_world(world(POLICY))
    return made


def test_hubbles_reason_and_the_policies_remedy(doctor: Doctor) -> None:
    doctor.learn_flow(hubble())
    lines = doctor.explain(drop("TC_INGRESS"))
    assert lines[0] == "why: a program at the interface's entrance (tc) dropped it (TC_INGRESS)"
    assert lines[1] == "hubble: why: Policy denied (POLICY_DENIED, 133)"
    assert any(
        line.startswith("policies: shop/app=other to shop/app=api") and "deny at ingress" in line for line in lines
    )
    assert any(line.startswith("fix: ") for line in lines)


def test_a_program_that_is_not_ciliums(doctor: Doctor) -> None:
    assert "hubble: not heard; whether the program is Cilium's is not known" in doctor.explain(drop("TC_INGRESS"))
    doctor.learn_flow(Flow(verdict="FORWARDED"))
    assert any("tells no such drop" in line for line in doctor.explain(drop("TC_INGRESS")))


def test_a_drop_that_policies_allow(doctor: Doctor) -> None:
    lines = doctor.explain(drop("NETFILTER_DROP", "10.42.0.1"))
    assert lines[0] == "why: a rule of nftables or iptables dropped it (NETFILTER_DROP)"
    assert lines[-1].endswith("look elsewhere than in policies")


def test_what_is_not_known_is_not_said() -> None:
    assert Doctor().explain(drop("NO_SOCKET")) == [
        "why: nobody listens on this port (NO_SOCKET)",
        "fix: Start the server, or correct the port or address it listens on.",
    ]
    assert Doctor().explain(Flow(verdict="FORWARDED")) == []
    assert Doctor().explain(drop("SOMETHING_NEW")) == ["why: the kernel says SOMETHING_NEW"]
