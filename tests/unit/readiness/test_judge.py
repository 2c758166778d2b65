"""Readiness judged from a recording of a healthy cluster and from mutations of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from installer.domain.readiness import Problem, Snapshot, State
from installer.domain.readiness_rules import Expected, Facts, LogSource, expected_cilium, expected_from, judge
from installer.domain.readiness_rules.pods import PORT_GRACE, SCHEDULE_GRACE
from installer.domain.readiness_rules.template import is_current
from installer.domain.readiness_rules.workloads import pods_of
from tests.support.recordings import changed, healthy

EXPECTED = expected_cilium(envoy=False, ui=False, coredns=False)
Object = dict[str, Any]
Change = Callable[[Object], None]


def component(snapshot: Snapshot, name: str) -> Any:
    return next(one for one in snapshot.components if one.name == name)


def pod_down(pod: Object) -> None:
    for one in pod["status"]["conditions"]:
        if one["type"] in ("Ready", "ContainersReady"):
            one["status"] = "False"


def agent_broken(change: Change, facts: Facts | None = None) -> Facts:
    """Return facts in which the agent's pod is not ready, and its DaemonSet says so."""

    def pod(item: Object) -> None:
        pod_down(item)
        change(item)

    facts = changed(
        facts or healthy(), "daemonsets", "cilium", lambda item: item["status"].update(numberReady=0, numberAvailable=0)
    )
    return changed(facts, "pods", "cilium-txdzb", pod)


def operator_broken(change: Change) -> Facts:
    def pod(item: Object) -> None:
        pod_down(item)
        change(item)

    facts = changed(
        healthy(),
        "deployments",
        "cilium-operator",
        lambda item: item["status"].update(readyReplicas=0, availableReplicas=0),
    )
    return changed(facts, "pods", "cilium-operator", pod)


def waiting(reason: str, message: str = "", *, restarts: int = 0, last: Object | None = None) -> Change:
    """Change the first container's state."""

    def change(pod: Object) -> None:
        state = pod["status"]["containerStatuses"][0]
        state.update(ready=False, restartCount=restarts, state={"waiting": {"reason": reason, "message": message}})
        state["lastState"] = {"terminated": last} if last else {}

    return change


def init(number: int, **state: Any) -> Change:
    """Let the init containers before ``number`` be done, that one be in ``state``, and nothing after it have begun."""

    def change(pod: Object) -> None:
        statuses = pod["status"]["initContainerStatuses"]
        for index, one in enumerate(statuses):
            if index >= number:
                one.update(ready=False, restartCount=0, lastState={}, state={"waiting": {"reason": "PodInitializing"}})
        statuses[number].update(state)
        pod["status"]["phase"] = "Pending"
        main = pod["status"]["containerStatuses"][0]
        main.update(ready=False, state={"waiting": {"reason": "PodInitializing"}})

    return change


def only_problem(facts: Facts, expected: Expected = EXPECTED, **options: Any) -> Problem:
    (problem,) = judge(facts, expected, **options).snapshot.problems
    return problem


def test_the_recorded_cluster_is_ready() -> None:
    snapshot = judge(healthy(), EXPECTED).snapshot
    assert snapshot.ready
    assert snapshot.problems == []
    states = {(one.name, one.kind): (str(one.state), one.ready, one.desired) for one in snapshot.components}
    assert states == {
        ("node/vm", "Node"): ("ready", 1, 1),
        ("cilium", "DaemonSet"): ("ready", 1, 1),
        ("cilium-envoy", "DaemonSet"): ("disabled", 0, 0),
        ("cilium-operator", "Deployment"): ("ready", 1, 1),
        ("ciliumnodes", "CiliumNode"): ("ready", 1, 1),
        ("hubble-relay", "Deployment"): ("ready", 1, 1),
        ("hubble-ui", "Deployment"): ("disabled", 0, 0),
        ("coredns", "Deployment"): ("disabled", 0, 0),
    }


def test_what_is_expected_can_be_read_from_the_cluster() -> None:
    expected = expected_from(healthy())
    assert judge(healthy(), expected).snapshot.ready
    assert [one.name for one in expected.workloads if one.enabled] == ["cilium", "cilium-operator", "hubble-relay"]


def test_nothing_is_not_ready() -> None:
    snapshot = judge(Facts(), EXPECTED).snapshot
    assert not snapshot.ready
    assert component(snapshot, "nodes").detail == "0/1 registered"
    assert component(snapshot, "cilium").detail == "not created yet"
    assert {problem.code for problem in snapshot.problems} == {"E-READY-002"}
    assert not any(problem.fatal for problem in judge(Facts(), EXPECTED, now=1000.0).snapshot.problems)


@pytest.mark.parametrize(
    ("kind", "name", "status", "detail"),
    [
        ("daemonsets", "cilium", {"observedGeneration": 1}, "the change is not rolled out yet"),
        ("daemonsets", "cilium", {"updatedNumberScheduled": 0}, "1/1 ready; 0/1 updated"),
        ("daemonsets", "cilium", {"numberReady": 0}, "0/1 ready; pods are being created"),
        ("daemonsets", "cilium", {"numberAvailable": 0}, "1/1 ready; pods are being created"),
        ("deployments", "cilium-operator", {"observedGeneration": 0}, "the change is not rolled out yet"),
        ("deployments", "cilium-operator", {"updatedReplicas": 0, "replicas": 1}, "1/1 ready; 0/1 updated"),
        ("deployments", "hubble-relay", {"replicas": 2}, "1/1 ready; pods of an older version are left"),
        ("deployments", "hubble-relay", {"availableReplicas": 0}, "1/1 ready; pods are being created"),
    ],
)  # fmt: skip
def test_counts_and_generations_decide(kind: str, name: str, status: Object, detail: str) -> None:
    facts = changed(healthy(), kind, name, lambda item: item["status"].update(status))
    snapshot = judge(facts, EXPECTED).snapshot
    assert not snapshot.ready
    assert component(snapshot, name).state is State.PROGRESSING
    assert component(snapshot, name).detail == detail


def test_a_daemonset_updated_by_hand_need_not_be_updated() -> None:
    def change(item: Object) -> None:
        item["spec"]["updateStrategy"] = {"type": "OnDelete"}
        item["status"]["updatedNumberScheduled"] = 0

    assert judge(changed(healthy(), "daemonsets", "cilium", change), EXPECTED).snapshot.ready


def test_a_daemonset_wanted_nowhere_is_not_ready() -> None:
    counts = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "numberAvailable",
        "updatedNumberScheduled",
    )
    facts = changed(healthy(), "daemonsets", "cilium", lambda item: item["status"].update(dict.fromkeys(counts, 0)))
    first = judge(facts, EXPECTED, now=100.0)
    assert not first.snapshot.ready
    assert [(one.code, one.fatal) for one in first.snapshot.problems] == [("E-READY-003", False)]
    assert first.recheck_at == 115.0
    later = judge(facts, EXPECTED, now=115.0, since=first.since)
    assert [(one.code, one.fatal) for one in later.snapshot.problems] == [("E-READY-003", True)]


def test_an_init_container_that_runs_is_named() -> None:
    facts = agent_broken(init(1, state={"running": {"startedAt": "now"}}))
    snapshot = judge(facts, EXPECTED).snapshot
    assert component(snapshot, "cilium").detail == "init 2/3: clean-cilium-state"
    assert snapshot.problems == []


def test_an_init_container_that_crashed_once_may_still_make_it() -> None:
    facts = agent_broken(init(0, state={"terminated": {"exitCode": 1, "reason": "Error"}}))
    judged = judge(facts, EXPECTED)
    (problem,) = judged.snapshot.problems
    assert (problem.code, problem.fatal) == ("E-POD-004", False)
    assert judged.logs_wanted == (LogSource("kube-system", "cilium-txdzb", "config", False, 0),)


def test_an_init_container_that_crashed_twice_is_fatal_with_its_last_line() -> None:
    crash = {"exitCode": 1, "reason": "Error"}
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    facts = agent_broken(init(1, restartCount=1, state=state, lastState={"terminated": crash}))
    wanted = judge(facts, EXPECTED).logs_wanted
    problem = only_problem(facts, logs={wanted[0]: "cannot mount /sys/fs/bpf"})
    assert problem.fatal
    assert problem.subject == "kube-system/cilium-txdzb (init clean-cilium-state)"
    assert problem.what == "the init container crashes: exit code 1, 1 restart"
    assert problem.evidence == "cannot mount /sys/fs/bpf"
    assert "-c clean-cilium-state --previous" in problem.fix
    assert (
        component(judge(facts, EXPECTED).snapshot, "cilium").detail == "init 2/3: clean-cilium-state (CrashLoopBackOff)"
    )
    assert component(judge(facts, EXPECTED).snapshot, "cilium").state is State.FAILED


def test_a_termination_message_spares_the_log() -> None:
    crash = {"exitCode": 1, "message": 'level=info msg=start\nlevel=error msg="\x1b[31mno\x1b[0m route"\n\n'}
    facts = agent_broken(init(0, restartCount=1, state={"terminated": crash}))
    judged = judge(facts, EXPECTED)
    assert judged.logs_wanted == ()
    assert judged.snapshot.problems[0].evidence == 'level=error msg=" no route"'


@pytest.mark.parametrize(
    ("reason", "message", "at_once"),
    [
        ("ErrImagePull", 'rpc error: failed to resolve reference "quay.io/x:v9": quay.io/x:v9: not found', True),
        ("ErrImagePull", "pull access denied, repository does not exist or may require authorization", True),
        ("ErrImagePull", "failed to do request: dial tcp: lookup quay.io: no such host", False),
        ("ImagePullBackOff", 'Back-off pulling image "quay.io/x:v9"', False),
        ("ErrImageNeverPull", "image is not present with pull policy of Never", False),
        ("InvalidImageName", "couldn't parse image reference", True),
    ],
)
def test_an_image_that_cannot_be_pulled_is_named_within_15_s(reason: str, message: str, at_once: bool) -> None:
    def change(pod: Object) -> None:
        waiting(reason, message)(pod)
        pod["status"]["containerStatuses"][0]["image"] = "quay.io/x:v9"

    facts = agent_broken(change)
    first = judge(facts, EXPECTED, now=50.0)
    (problem,) = first.snapshot.problems
    assert problem.code == "E-POD-003"
    assert problem.what == "image quay.io/x:v9 cannot be pulled"
    assert problem.evidence == message
    assert problem.fatal is at_once
    backoff = agent_broken(waiting("ImagePullBackOff", "Back-off"))
    assert only_problem(backoff, now=64.0, since=first.since).fatal
    assert component(first.snapshot, "cilium").detail == f"cilium-agent: {reason}"


def test_the_reason_of_a_pull_back_off_comes_from_the_events() -> None:
    facts = agent_broken(waiting("ImagePullBackOff", 'Back-off pulling image "quay.io/x:v9"'))
    event = {
        "metadata": {"name": "e", "namespace": "kube-system"},
        "involvedObject": {"kind": "Pod", "namespace": "kube-system", "name": "cilium-txdzb"},
        "reason": "Failed",
        "message": 'Failed to pull image "quay.io/x:v9": quay.io/x:v9: not found',
        "lastTimestamp": "2026-11-23T08:00:00Z",
    }
    facts = replace(facts, events=(*facts.events, event))
    problem = only_problem(facts)
    assert problem.fatal
    assert problem.evidence.startswith("Failed to pull image")


@pytest.mark.parametrize(
    ("restarts", "fatal"), [(0, False), (1, False), (2, True), (7, True)]
)  # fmt: skip
def test_a_core_container_may_crash_twice(restarts: int, fatal: bool) -> None:
    last = {"exitCode": 137, "reason": "OOMKilled", "message": "killed"}
    problem = only_problem(agent_broken(waiting("CrashLoopBackOff", restarts=restarts, last=last)))
    assert problem.fatal is fatal
    assert problem.what.startswith("the container crashes: exit code 137 (OOMKilled)")
    assert problem.evidence == "killed"


def test_crashes_of_relay_count_only_once_cilium_is_ready() -> None:
    def broken(facts: Facts) -> Facts:
        facts = changed(
            facts,
            "deployments",
            "hubble-relay",
            lambda item: item["status"].update(readyReplicas=0, availableReplicas=0),
        )

        def pod(item: Object) -> None:
            pod_down(item)
            waiting("CrashLoopBackOff", restarts=4, last={"exitCode": 1, "message": "no peers"})(item)

        return changed(facts, "pods", "hubble-relay", pod)

    assert only_problem(broken(healthy())).fatal
    starting = agent_broken(lambda pod: pod["status"]["containerStatuses"][0].update(ready=False, started=False))
    crashes = [one for one in judge(broken(starting), EXPECTED).snapshot.problems if one.code == "E-POD-004"]
    assert [one.fatal for one in crashes] == [False]


def test_a_container_that_was_restarted_and_runs_is_told_not_fatal() -> None:
    def change(pod: Object) -> None:
        state = pod["status"]["containerStatuses"][0]
        state.update(ready=False, restartCount=5, started=True, state={"running": {}})
        state["lastState"] = {"terminated": {"exitCode": 1}}

    judged = judge(agent_broken(change), EXPECTED)
    assert [one.fatal for one in judged.snapshot.problems] == [False]
    assert judged.logs_wanted[0].previous
    assert component(judged.snapshot, "cilium").detail == "cilium-agent: running, not ready"


def unscheduled(message: str) -> Change:
    def change(pod: Object) -> None:
        pod["status"] = {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}],
        }
        pod["spec"].pop("nodeName", None)

    return change


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ("0/1 nodes are available: 1 node(s) didn't match pod affinity/anti-affinity rules.", "operator.replicas"),
        ("0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.", "operator.replicas"),
        ("0/1 nodes are available: 1 Insufficient cpu.", "resource requests"),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", "nodeSelector"),
        ("0/1 nodes are available: 1 node(s) had taint {dedicated: gpu}, that the pod didn't tolerate.", "toleration"),
        ("0/1 nodes are available: 1 node(s) were unschedulable.", "describe pod"),
    ],
)
def test_a_pod_that_no_node_takes_is_fatal_after_its_grace(message: str, fix: str) -> None:
    facts = operator_broken(unscheduled(message))
    first = judge(facts, EXPECTED, now=10.0)
    (problem,) = first.snapshot.problems
    assert (problem.code, problem.fatal, problem.evidence) == ("E-POD-002", False, message)
    assert fix in problem.fix
    end = 10.0 + (PORT_GRACE if "free ports" in message else SCHEDULE_GRACE)
    assert first.recheck_at == end
    assert not only_problem(facts, now=end - 0.1, since=first.since).fatal
    assert only_problem(facts, now=end, since=first.since).fatal


@pytest.mark.parametrize(("kind", "what"), [("disk", "disk space"), ("memory", "memory"), ("pid", "processes")])
def test_a_node_under_pressure_is_waited_for(kind: str, what: str) -> None:
    message = f"0/1 nodes are available: 1 node(s) had taint {{node.kubernetes.io/{kind}-pressure: }}, that the pod"
    judged = judge(operator_broken(unscheduled(message)), EXPECTED, now=1000.0)
    assert judged.recheck_at is None
    (problem,) = judged.snapshot.problems
    assert (problem.code, problem.fatal) == ("E-POD-002", False)
    assert f"Free {what} on the node" in problem.fix


def test_a_finding_that_went_away_starts_anew() -> None:
    facts = operator_broken(unscheduled("0/1 nodes are available: 1 Insufficient cpu."))
    first = judge(facts, EXPECTED, now=10.0)
    between = judge(healthy(), EXPECTED, now=15.0, since=first.since)
    assert between.since == {}
    assert not only_problem(facts, now=21.0, since=between.since).fatal


@pytest.mark.parametrize(
    "message",
    [
        "0/1 nodes are available: 1 node(s) had taint {node.kubernetes.io/not-ready: }, that the pod didn't tolerate.",
        "0/1 nodes are available: 1 node(s) had untolerated taint {node.cilium.io/agent-not-ready: }.",
        "no nodes available to schedule pods",
    ],
)
def test_waiting_for_the_network_is_no_problem(message: str) -> None:
    judged = judge(operator_broken(unscheduled(message)), EXPECTED, now=1000.0)
    assert judged.snapshot.problems == []
    assert component(judged.snapshot, "cilium-operator").detail == "waits for a node"


def test_a_pod_may_wait_for_the_one_it_replaces() -> None:
    facts = operator_broken(unscheduled("0/1 nodes are available: 1 node(s) didn't have free ports."))
    old = dict(next(pod for pod in healthy().pods if pod["metadata"]["name"].startswith("cilium-operator")))
    old["metadata"] = {**old["metadata"], "name": "cilium-operator-old", "deletionTimestamp": "2026-11-23T08:00:00Z"}
    facts = replace(facts, pods=(*facts.pods, old))
    assert judge(facts, EXPECTED).recheck_at is None


@pytest.mark.parametrize("reason", ["Evicted", "NodeAffinity", "Shutdown", "Preempting", "UnexpectedAdmissionError"])
def test_evicted_pods_are_left_aside(reason: str) -> None:
    old = dict(next(pod for pod in healthy().pods if pod["metadata"]["name"].startswith("hubble-relay")))
    old["metadata"] = {**old["metadata"], "name": "hubble-relay-old"}
    old["status"] = {"phase": "Failed", "reason": reason}
    facts = healthy()
    facts = replace(facts, pods=(*facts.pods, old))
    facts = changed(facts, "deployments", "hubble-relay", lambda item: item["status"].update(availableReplicas=0))
    assert judge(facts, EXPECTED).snapshot.problems == []


def test_a_pod_that_failed_otherwise_is_told() -> None:
    def change(pod: Object) -> None:
        pod["status"] = {"phase": "Failed", "reason": "DeadlineExceeded", "message": "too long"}

    problem = only_problem(operator_broken(change))
    assert (problem.code, problem.evidence) == ("E-POD-001", "too long")


def test_events_tell_why_a_pod_does_not_start() -> None:
    facts = agent_broken(waiting("ContainerCreating"))
    event = {
        "metadata": {"name": "e", "namespace": "kube-system"},
        "involvedObject": {"kind": "Pod", "namespace": "kube-system", "name": "cilium-txdzb"},
        "reason": "FailedCreatePodSandBox",
        "message": "Failed to create pod sandbox: cilium.sock: no such file",
        "series": {"lastObservedTime": "2026-11-23T09:00:00.000000Z"},
    }
    facts = replace(facts, events=(event,))
    problem = only_problem(facts)
    assert (problem.code, problem.fatal) == ("E-POD-006", False)
    assert "cilium.sock" in problem.evidence


def test_a_pod_that_runs_and_is_not_ready_shows_its_probe() -> None:
    def change(pod: Object) -> None:
        pod["status"]["containerStatuses"][0].update(ready=False, started=True, state={"running": {}})

    facts = operator_broken(change)
    problem = only_problem(facts)
    assert problem.code == "E-POD-007"
    assert problem.evidence.startswith("Readiness probe failed")


def test_pods_the_api_refuses_to_create() -> None:
    def change(item: Object) -> None:
        item["status"].update(readyReplicas=0, availableReplicas=0, replicas=0, updatedReplicas=0)
        item["status"]["conditions"].append(
            {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: q"}
        )

    facts = changed(healthy(), "deployments", "hubble-relay", change)
    facts = replace(facts, pods=facts.pods[:2])
    problem = only_problem(facts)
    assert (problem.code, problem.evidence, problem.fatal) == ("E-READY-004", "exceeded quota: q", False)


def not_ready(status: str, reason: str, message: str) -> Change:
    def change(node: Object) -> None:
        for one in node["status"]["conditions"]:
            if one["type"] == "Ready":
                one.update(status=status, reason=reason, message=message)

    return change


NO_CNI = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


def test_a_node_without_cni_is_expected_before_cilium() -> None:
    facts = changed(
        agent_broken(waiting("ContainerCreating")), "nodes", "vm", not_ready("False", "KubeletNotReady", NO_CNI)
    )
    snapshot = judge(facts, EXPECTED).snapshot
    assert component(snapshot, "node/vm").state is State.PROGRESSING
    assert component(snapshot, "node/vm").detail == "waits for Cilium to set up the pod network"
    assert [one for one in snapshot.problems if one.code.startswith("E-NODE")] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (not_ready("False", "KubeletNotReady", NO_CNI), "E-NODE-002"),
        (not_ready("False", "KubeletNotReady", "PLEG is not healthy"), "E-NODE-001"),
        (not_ready("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."), "E-NODE-003"),
        (lambda node: node["status"]["conditions"][2].update(status="True", message="disk"), "E-NODE-004"),
        (lambda node: node["spec"].update(taints=[{"key": "node.cilium.io/agent-not-ready"}]), "E-NODE-005"),
    ],
)
def test_nodes_tell_what_is_wrong(change: Change, code: str) -> None:
    assert only_problem(changed(healthy(), "nodes", "vm", change)).code == code


def test_a_left_over_taint_keeps_from_ready_and_a_cordon_does_not() -> None:
    tainted = changed(
        healthy(), "nodes", "vm", lambda node: node["spec"].update(taints=[{"key": "node.kubernetes.io/not-ready"}])
    )
    assert not judge(tainted, EXPECTED).snapshot.ready
    cordoned = changed(healthy(), "nodes", "vm", lambda node: node["spec"].update(unschedulable=True))
    assert component(judge(cordoned, EXPECTED).snapshot, "node/vm").detail == "Ready (cordoned)"


def test_more_nodes_may_be_expected() -> None:
    snapshot = judge(healthy(), expected_cilium(nodes=3, envoy=False, ui=False, coredns=False)).snapshot
    assert component(snapshot, "nodes").detail == "1/3 registered"


@pytest.mark.parametrize("ciliumnodes", [(), ({"metadata": {"name": "vm"}, "spec": {}},)])
def test_every_node_needs_its_ciliumnode(ciliumnodes: tuple[Object, ...]) -> None:
    facts = healthy()
    facts = replace(facts, ciliumnodes=ciliumnodes)
    snapshot = judge(facts, EXPECTED).snapshot
    assert component(snapshot, "ciliumnodes").detail == "missing for vm"
    assert not snapshot.ready


def test_fatal_problems_come_first_and_all_is_json() -> None:
    facts = agent_broken(waiting("InvalidImageName"))
    facts = changed(facts, "nodes", "vm", not_ready("Unknown", "NodeStatusUnknown", "stopped"))
    snapshot = judge(facts, EXPECTED).snapshot
    assert [problem.code for problem in snapshot.problems] == ["E-POD-003", "E-NODE-003"]
    assert snapshot.to_dict()["ready"] is False


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item["spec"]["template"]["spec"]["containers"][0].update(image="quay.io/cilium/cilium:v2"),
        lambda item: item["spec"]["template"]["spec"]["containers"][0].update(args=["--other"]),
        lambda item: item["spec"]["template"]["spec"].update(nodeSelector={"only": "here"}),
        lambda item: item["spec"]["template"]["metadata"].setdefault("annotations", {}).update(checksum="new"),
        lambda item: item["metadata"].update(generation=3),
    ],
)
def test_faults_of_an_older_template_are_told_and_not_fatal(change: Change) -> None:
    broken = agent_broken(waiting("InvalidImageName"))
    assert only_problem(broken).fatal
    problem = only_problem(changed(broken, "daemonsets", "cilium", change), now=1000.0)
    assert (problem.code, problem.fatal) == ("E-POD-003", False)


@pytest.mark.parametrize("name", ["cilium", "cilium-operator", "hubble-relay"])
def test_recorded_pods_are_of_their_present_template(name: str) -> None:
    facts = healthy()
    item = next(one for one in (*facts.daemonsets, *facts.deployments) if one["metadata"]["name"] == name)
    assert [is_current(pod, item) for pod in pods_of(facts, item)] == [True]
