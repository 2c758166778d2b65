from __future__ import annotations

from installer.domain.status import AgentStatus
from installer.domain.status_rules.agents import agent_errors, agent_warnings, read_agent
from tests.support.recordings import load


def recorded() -> AgentStatus:
    return read_agent("cilium-txdzb", "vm", load("cilium-dbg-status"), load("cilium-dbg-endpoints"))


def test_the_recorded_agent() -> None:
    agent = recorded()
    assert {part.name: (part.state, part.text) for part in agent.parts} == {
        "Cilium": ("Ok", "(v-)"),
        "Cluster health": ("Ok", ""),
        "Hubble": ("Ok", "4095/4095 flows"),
        "Kubernetes": ("Ok", "1.21 (v1.21.3+k3s1) [linux/amd64]"),
        "KVStore": ("Ok", "Disabled"),
        "CNI config file": (
            "Ok",
            "successfully wrote CNI configuration file to /host/etc/cni/net.d/05-cilium.conflist",
        ),
        "Auth certificates": ("Disabled", ""),
    }
    assert agent.facts == {
        "IPAM": "IPv4: 7/254 allocated from 10.42.0.0/24",
        "KubeProxyReplacement": "True",
        "Encryption": "Disabled",
        "Host firewall": "Disabled",
        "CNI chaining": "none",
        "Attach mode": "tcx",
        "Datapath": "veth",
        "Clock source for BPF": "ktime",
        "Routing": "Tunnel vxlan",
        "Masquerading": "BPF (ipv4)",
        "Devices": "eth0",
    }
    assert (agent.controllers, agent.failing) == (45, {})
    assert (agent.endpoints, agent.endpoints_not_ready) == (7, {})
    assert agent.bpf_maps["Endpoint policy"] == 65535
    assert list(agent_errors(agent)) == []
    assert list(agent_warnings(agent)) == []


def test_what_is_broken_is_told() -> None:
    status = load("cilium-dbg-status")
    status["kvstore"] = {"state": "Failure", "msg": "etcd \x1b[31mgone"}
    status["controllers"][0]["status"].update({"consecutive-failure-count": 4, "last-failure-msg": "timed out\nx"})
    endpoints = load("cilium-dbg-endpoints")
    endpoints[1]["status"]["state"] = "not-ready"
    agent = read_agent("cilium-1", "one", status, endpoints)
    name = status["controllers"][0]["name"]
    assert [(notice.code, notice.text) for notice in agent_errors(agent)] == [
        ("E-STATUS-002", "KVStore: Failure etcd gone"),
        ("E-STATUS-003", f"controller {name} fails: timed out x (failed 4 times in a row)"),
    ]
    (warning,) = agent_warnings(agent)
    assert warning.text == "endpoint demo/backend-684cc96cbd-hz6pz is not-ready"


def test_an_agent_of_another_version_may_say_less() -> None:
    agent = read_agent("cilium-1", "one", {"cilium": {"state": "Ok"}, "masquerading": {"enabled": False}}, [])
    assert [part.name for part in agent.parts] == ["Cilium"]
    assert agent.facts == {"Masquerading": "Disabled"}


def test_an_agent_that_cannot_be_asked_is_an_error() -> None:
    (notice,) = agent_errors(AgentStatus("cilium-1", "one", error="no answer"))
    assert (notice.code, notice.text) == ("E-STATUS-001", "cannot be asked: no answer")
