"""What explains what: one cause at the top, its consequences below it, strangers beside it."""

from __future__ import annotations

from installer.domain.diagnosis import Cause, Diagnosis, Evidence, Part, Source, diagnose
from installer.domain.diagnosis.objects import object_evidence, problem_causes, problem_evidence, ready_parts, writer_of
from installer.domain.diagnosis.parts import depth, needs, part_of
from installer.domain.diagnosis.texts import check_causes, error_evidence, since_start, text_evidence
from installer.domain.errors import BeeyardError
from installer.domain.preflight.findings import Finding, Level
from installer.domain.readiness import Component, Problem, Snapshot, State

CGROUP = Evidence(Source.K3S, "journal of k3s", "failed to find memory cgroup (v2)")
VXLAN = Evidence(
    Source.AGENT, "log", "setting up vxlan device cilium_vxlan: address already in use", "kube-system/cilium-1"
)
EXPIRED = Evidence(
    Source.RELAY, "log", "x509: certificate has expired or is not yet valid", "kube-system/hubble-relay-1"
)
GATEWAY = Evidence(
    Source.OPERATOR, "log", "Required GatewayAPI resources are not found", "kube-system/cilium-operator-1"
)


def codes(causes: tuple[Cause, ...]) -> list[str]:
    return [one.code for one in causes]


def test_a_fault_below_explains_those_above() -> None:
    found = diagnose([EXPIRED, VXLAN, CGROUP])
    assert codes(found.causes) == ["E-DIA-030"]
    assert [(one.code, one.follows) for one in found.consequences] == [
        ("E-DIA-004", "E-DIA-030"),
        ("E-DIA-022", "E-DIA-030"),
    ]


def test_strangers_stand_beside_each_other_the_deeper_first() -> None:
    found = diagnose([EXPIRED, GATEWAY])
    assert codes(found.causes) == ["E-DIA-026", "E-DIA-022"]
    assert found.consequences == ()


def test_problems_follow_from_the_cause_of_their_part() -> None:
    problems = [
        Problem("E-POD-004", "kube-system/cilium-1 (cilium-agent)", "the container crashes", VXLAN.text, "logs"),
        Problem("E-POD-002", "kube-system/coredns-1", "no node takes the pod"),
        Problem("E-NODE-004", "node/one", "the node is under MemoryPressure", "kubelet has memory pressure"),
    ]
    found = diagnose(problem_evidence(problems), known=problem_causes(problems))
    assert codes(found.causes) == ["E-NODE-004"] or codes(found.causes) == ["E-NODE-004", "E-DIA-004"]
    without = diagnose(problem_evidence(problems[:2]), known=problem_causes(problems[:2]))
    assert codes(without.causes) == ["E-DIA-004"]
    assert codes(without.consequences) == ["E-POD-004", "E-POD-002"]


def test_a_problem_that_nothing_explains_is_its_own_cause() -> None:
    problem = Problem("E-POD-007", "kube-system/hubble-ui-1", "the pod runs and does not become ready", "503", "look")
    found = diagnose(problem_evidence([problem]), known=problem_causes([problem]))
    assert found.cause is not None
    assert (found.cause.code, found.cause.evidence, found.cause.fix) == ("E-POD-007", "503", "look")


def test_checks_of_the_host_come_with_their_mode_and_after_what_is_broken() -> None:
    overlap = Finding("E-PRE-043", Level.ERROR, "pod network", "it overlaps", "route 10.42.0.0/16 dev tun0", "choose")
    swap = Finding("E-PRE-006", Level.WARNING, "swap", "swap is on")
    port = Finding("E-PRE-041", Level.ERROR, "port", "port 6443/tcp is taken", "nginx", "stop it")
    found = diagnose([VXLAN], known=check_causes([overlap, swap, port]))
    assert codes(found.causes) == ["E-DIA-004", "E-PRE-041"]
    assert [(one.code, one.mode) for one in found.consequences] == [("E-PRE-043", 3)]


def test_a_check_explains_nothing_while_its_part_works() -> None:
    link = Finding("E-PRE-042", Level.ERROR, "port 8472/udp", "another VXLAN device", "flannel.1", "delete it")
    found = diagnose([EXPIRED], known=check_causes([link]), ready={Part.AGENT})
    assert codes(found.causes) == ["E-PRE-042", "E-DIA-022"]
    assert codes(diagnose([EXPIRED], known=check_causes([link])).consequences) == ["E-DIA-022"]


def test_a_check_that_a_rule_confirms_is_told_once() -> None:
    link = Finding("E-PRE-042", Level.ERROR, "port 8472/udp", "another VXLAN device", "flannel.1", "delete it")
    found = diagnose([VXLAN], known=check_causes([link]))
    assert codes((*found.causes, *found.consequences)) == ["E-DIA-004"]


def test_the_newest_line_is_the_evidence_and_all_are_counted() -> None:
    lines = list(
        text_evidence(Source.K3S, "log", ["failed to find memory cgroup 1", "x", "failed to find memory cgroup 2"])
    )
    cause = diagnose(lines).cause
    assert cause is not None
    assert (cause.evidence, cause.count) == ("failed to find memory cgroup 2", 2)


def test_words_come_from_any_line() -> None:
    host = Evidence(Source.CONTAINERD, "log", 'msg="trying next host" error="refused" host="mirror:5000"')
    event = Evidence(Source.EVENT, "event", 'Failed to pull image "quay.io/a/b:1": refused', "demo/web")
    cause = diagnose([event, host]).cause
    assert cause is not None
    assert cause.evidence == host.text
    assert cause.what.endswith("quay.io/a/b:1")
    assert diagnose([host]).cause is None, "what containerd once failed to pull is past while nobody waits for it"


def test_what_tells_of_now_comes_before_logs() -> None:
    log = Evidence(Source.K3S, "log", 'plugin type="flannel" failed (add): old')
    event = Evidence(Source.EVENT, "event", 'plugin type="flannel" failed (add): now', "demo/web")
    cause = diagnose([event, log]).cause
    assert cause is not None
    assert cause.where == "event"


def test_json_and_back() -> None:
    found = diagnose([EXPIRED, VXLAN, CGROUP, GATEWAY])
    assert Diagnosis.from_dict(found.to_dict()) == found
    assert Diagnosis.from_dict(Diagnosis().to_dict()) == Diagnosis()


def test_a_secret_in_a_line_is_not_told() -> None:
    line = 'Failed to pull image "x": Get "https://me:s3cr3t-pw@registry/v2/": Authorization: Bearer abcdef0123456789'
    cause = diagnose([Evidence(Source.EVENT, "event", line)]).cause
    assert cause is not None
    assert "s3cr3t-pw" not in cause.evidence
    assert "abcdef0123456789" not in cause.evidence
    assert "me:***@registry" in cause.evidence


def test_hostile_text_is_made_harmless() -> None:
    lines = text_evidence(
        Source.AGENT, "log", ["\x1b]0;owned\x07\x1b[31mvxlan: address already in use\u202e", "\x1b[2J"]
    )
    cause = diagnose(lines).cause
    assert cause is not None
    assert cause.evidence == "vxlan: address already in use"
    braces = Evidence(Source.EVENT, "event", 'Failed to pull image "{subject.__class__}"')
    named = diagnose([braces]).cause
    assert named is not None
    assert named.what.endswith("{subject.__class__}"), "braces of others are words, not places"


def test_errors_speak_for_themselves() -> None:
    why = "first line\nError: another operation (install/upgrade/rollback) is in progress"
    error = BeeyardError("helm failed", why=why, code="E-HELM-011")
    cause = diagnose(error_evidence(error, "cilium")).cause
    assert cause is not None
    assert (cause.code, cause.where) == ("E-DIA-027", "error E-HELM-011 of step cilium")


def test_lines_of_an_earlier_life_do_not_count() -> None:
    lines = ["failed to find memory cgroup", 'msg="Starting k3s v1.36"', "fine"]
    assert since_start(lines) == lines[1:]
    assert since_start(lines[:1]) == lines[:1]


def test_parts() -> None:
    assert Part.K3S in needs(Part.OTHER)
    assert depth(Part.K3S) < depth(Part.AGENT) < depth(Part.PODS) < depth(Part.DNS) < depth(Part.RELAY)
    assert part_of("node/cilium") is Part.K3S
    assert part_of("kube-system/cilium-operator-1") is Part.OPERATOR
    assert part_of("kube-system/cilium-x7k2p (init config)") is Part.AGENT
    assert part_of("cilium-x7k2p on one") is Part.AGENT
    assert part_of("demo/web-1") is Part.OTHER


def test_ready_parts() -> None:
    ready = State.READY
    snapshot = Snapshot(
        (
            Component("node/one", "Node", ready),
            Component("cilium", "DaemonSet", ready),
            Component("cilium-operator", "Deployment", ready),
            Component("hubble-relay", "Deployment", State.PROGRESSING),
            Component("hubble-ui", "Deployment", State.DISABLED),
            Component("coredns", "Deployment", ready),
        )
    )
    found = ready_parts(snapshot)
    assert found >= {Part.K3S, Part.AGENT, Part.OPERATOR, Part.DNS, Part.PODS}
    assert Part.RELAY not in found


def pod(name: str, *, ready: bool, **status: object) -> dict[str, object]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": name, "namespace": "kube-system", "labels": {"k8s-app": "cilium"}},
        "spec": {"initContainers": [{"name": "config"}], "containers": [{"name": "cilium-agent"}]},
        "status": {"conditions": conditions, **status},
    }


def event(name: str, message: str) -> dict[str, object]:
    return {
        "type": "Warning",
        "reason": "Failed",
        "message": message,
        "involvedObject": {"kind": "Pod", "namespace": "kube-system", "name": name},
        "metadata": {"name": f"{name}.1"},
    }


def test_objects_give_evidence_and_what_is_past_does_not() -> None:
    crashed = pod(
        "cilium-1",
        ready=False,
        initContainerStatuses=[
            {"name": "config", "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "first\nlast"}}}
        ],
    )
    pods = [crashed, pod("cilium-2", ready=True)]
    events = [event("cilium-1", "of now"), event("cilium-2", "of a ready one"), event("gone", "of the past")]
    config = {"data": {"kube-proxy-replacement": "true", "secret": "x"}}
    found = list(object_evidence(pods, [], events, config))
    assert [one.text for one in found if one.source is Source.EVENT] == ["of now"]
    assert [one.text for one in found if one.source is Source.INIT] == ["Error", "first", "last"]
    assert [one.text for one in found if one.source is Source.CONFIG] == ["kube-proxy-replacement=true"]
    assert writer_of(crashed, "config") is Source.INIT
    assert writer_of(crashed, "cilium-agent") is Source.AGENT
