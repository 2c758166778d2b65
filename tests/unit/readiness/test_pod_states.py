"""Pods and containers in a few words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from installer.domain.readiness import State
from installer.domain.readiness_rules.pod_states import pod_states

RECORDED = Path(__file__).parents[2] / "fixtures/api/kube-system-pods.json"


def pod(name: str = "a", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"nodeName": "one", "initContainers": [{"name": "config"}], "containers": [{"name": "agent"}]},
        "status": {"phase": "Pending", **status},
    }


def test_recorded_pods_are_ready_with_all_their_containers() -> None:
    items = json.loads(RECORDED.read_text())["items"]
    states = pod_states(items)
    assert len(states) == len(items)
    assert {one.state for one in states} == {State.READY}
    agent = next(one for one in states if any(container.name == "cilium-agent" for container in one.containers))
    assert {container.state for container in agent.containers} == {State.READY}
    assert [container.init for container in agent.containers] == sorted(
        (container.init for container in agent.containers), reverse=True
    )


@pytest.mark.parametrize(
    ("container", "state", "detail"),
    [
        ({}, State.UNKNOWN, "waiting"),
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, State.UNKNOWN, "waiting"),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, State.PROGRESSING, "creating"),
        ({"state": {"running": {}}, "started": False}, State.PROGRESSING, "starting"),
        ({"state": {"running": {}}, "started": True}, State.PROGRESSING, "running"),
        ({"state": {"running": {}}, "ready": True}, State.READY, ""),
        ({"state": {"terminated": {"exitCode": 3}}}, State.FAILED, "exit code 3"),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 4}, State.FAILED, "CrashLoopBackOff"),
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, State.FAILED, "ErrImagePull"),
    ],
)
def test_a_container_in_words(container: dict[str, Any], state: State, detail: str) -> None:
    [found] = pod_states([pod(containerStatuses=[{"name": "agent", **container}])])
    assert (found.containers[1].state, found.containers[1].detail) == (state, detail)
    assert found.containers[1].restarts == container.get("restartCount", 0)
    assert found.state is (State.FAILED if state is State.FAILED else State.PROGRESSING)


def test_an_init_container_that_ended_well_is_ready() -> None:
    ended = {"name": "config", "state": {"terminated": {"exitCode": 0}}}
    [found] = pod_states([pod(initContainerStatuses=[ended])])
    assert found.containers[0].state is State.READY


def test_pods_without_a_node_come_last_and_ended_ones_are_left_out() -> None:
    waiting = pod("waiting")
    waiting["spec"].pop("nodeName")
    ending = pod("ending")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    names = [(one.name, one.detail) for one in pod_states([waiting, pod("done", phase="Succeeded"), ending, pod("z")])]
    assert names == [("ending", "ending"), ("z", "init 1/1: config"), ("waiting", "waits for a node")]


def test_a_failed_pod_says_why() -> None:
    [found] = pod_states([pod(phase="Failed", reason="OutOfcpu")])
    assert (found.state, found.detail) == (State.FAILED, "OutOfcpu")
