from __future__ import annotations

import json
from dataclasses import replace

from installer.cli.render_status import WIDTH, render
from installer.domain.readiness_rules import expected_from, judge
from installer.domain.status import AgentStatus, HelmStatus, Notice, RelayStatus, Status
from installer.domain.status_rules.agents import read_agent
from installer.domain.status_rules.objects import read_config, read_nodes, read_workloads
from tests.support.recordings import healthy, load


def recorded() -> Status:
    facts = healthy()
    expected = expected_from(facts)
    snapshot = judge(facts, expected).snapshot
    return Status(
        server="https://127.0.0.1:6443",
        context="default",
        kubernetes="v1.21.3+k3s1",
        namespace="kube-system",
        snapshot=snapshot,
        workloads=read_workloads(facts, expected, snapshot),
        nodes=read_nodes(facts),
        agents=(read_agent("cilium-txdzb", "vm", load("cilium-dbg-status"), load("cilium-dbg-endpoints")),),
        pods=5,
        managed=5,
        config=read_config(load("cilium-config"))[0],
        helm=HelmStatus("cilium", "1.16.1", 1, "deployed"),
        relay=RelayStatus(connected=1, flows=4095, max_flows=4095, rate=9.1, version="1.16.1"),
    )


def broken() -> Status:
    long = "a-very-long-name-of-something-" * 5
    return replace(
        recorded(),
        agents=(AgentStatus("cilium-1", "one", error=f"the command {long} did not end"),),
        errors=(Notice("kube-system/cilium-1", f"image {long} cannot be pulled", "E-POD-003", "Check it."),),
        warnings=(Notice("ciliumnodes", "missing for one"),),
        unread=("Helm release: not allowed to list secrets in kube-system",),
        helm=None,
        relay=RelayStatus(error="out of reach"),
    )


def test_everything_is_there() -> None:
    text = render(recorded())
    for words in (
        "Cilium      ready",
        "Helm chart  1.16.1 (release cilium, revision 1, deployed)",
        "Pods        5/5 managed by Cilium",
        "cilium-operator        ready     1/1    1/1",
        "hubble-ui              disabled",
        "vm  Ready  control-plane,master  v1.21.3+k3s1",
        "KubeProxyReplacement  True",
        "IPv4: 7/254 allocated from 10.42.0.0/24",
        "Controllers           45/45 healthy",
        "Endpoints             7/7 ready",
        "quay.io/cilium/operator-generic:v1.16.1 x1",
        "1/1 reached",
        "Routing mode",
    ):
        assert words in text, words
    assert "Errors" not in text


def test_it_fits_and_holds_no_control_codes() -> None:
    for status in (recorded(), broken()):
        text = render(replace(status, context="\x1b[31mred"))
        long = [line for line in text.splitlines() if len(line) > WIDTH]
        assert all(" " not in line.strip() for line in long), long  # a single word may stick out
        assert "\x1b" not in text


def test_errors_are_words() -> None:
    text = render(broken())
    assert "not ready, 1 error" in text
    assert "[E-POD-003]" in text
    assert "Fix: Check it." in text
    assert "Helm chart  not known" in text
    assert "not allowed to list secrets" in text


def test_the_json_form() -> None:
    found = json.loads(json.dumps(recorded().to_dict()))
    assert found["ready"] is True
    assert found["readiness"]["ready"] is True
    assert found["agents"][0]["endpointsNotReady"] == {}
    assert found["agents"][0]["facts"]["KubeProxyReplacement"] == "True"
    assert found["nodes"][0]["podCidrs"] == ["10.42.0.0/24"]
    assert found["workloads"][0]["images"] == {"quay.io/cilium/cilium:v1.16.1": 1}
    assert json.loads(json.dumps(broken().to_dict()))["ready"] is False
