"""Notes beside the questions they concern."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml

from installer.adapters.store.assets import asset
from installer.domain.preflight import FoundK3s, HostFacts, Level, Listener, Route
from installer.domain.releases import parse_releases
from installer.domain.setup.form import Form
from installer.domain.setup.judgement import Found, Judgement, Look, judge
from installer.domain.setup.note import Note
from installer.domain.setup.question import Answer
from installer.domain.spec import ClusterSpec

TABLE = parse_releases(yaml.safe_load(asset("charts/cilium/releases.yaml").read_text()))
HEALTHY = HostFacts(
    kernel="6.1.0-18-amd64",
    os_id="debian",
    os_version="12",
    memory_bytes=8 * 1024**3,
    cgroup="v2",
    controllers=("cpu", "memory"),
    root_shared=True,
    bpffs=True,
    routes=(Route("0.0.0.0/0", "eth0", "192.0.2.1"),),
    inotify_instances=8192,
    inotify_watches=524288,
    hostname="node-1",
    service_manager="systemd",
    time=1_800_000_000.0,
    unknown={"capabilities": "not looked at"},
)


def verdict(facts: dict[str, Any] | None = None, found: Found | None = None, **answers: Answer) -> Judgement:
    form = Form.over(ClusterSpec(), tuple((minor, minor + ".0") for minor in TABLE.supported))
    for key, answer in answers.items():
        form = form.with_answer(key.replace("__", "."), answer)
    look = None if facts is None else Look(dataclasses.replace(HEALTHY, **{"unknown": {}, "uid": 0, **facts}))
    return judge(form, TABLE, look, found)


def codes(judgement: Judgement) -> dict[str, list[str]]:
    return {key: [note.code for note in notes] for key, notes in judgement.notes.items()}


POWERS = "SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE MKNOD SYS_RESOURCE IPC_LOCK SYS_CHROOT BPF PERFMON"
CAPABLE: dict[str, Any] = {"capabilities": frozenset(f"CAP_{name}" for name in POWERS.split())}


def test_a_good_host_and_the_defaults_leave_nothing_to_say() -> None:
    judgement = verdict(CAPABLE)
    assert codes(judgement) == {}
    assert judgement.valid
    assert (judgement.errors, judgement.warnings) == (0, 0)


def test_before_anything_is_known_only_the_answers_are_judged() -> None:
    assert codes(verdict()) == {}


@pytest.mark.parametrize(
    ("facts", "answers", "key", "code"),
    [
        ({"uid": 1000}, {}, "host", "E-PRE-001"),
        ({"routes": (*HEALTHY.routes, Route("10.42.1.0/24", "eth1"))}, {}, "k3s.pods", "E-PRE-043"),
        ({"routes": (*HEALTHY.routes, Route("10.43.0.0/24", "eth1"))}, {}, "k3s.services", "E-PRE-043"),
        ({"listeners": (Listener("tcp", "::", 6443, 7, "nginx"),)}, {}, "k3s.port", "E-PRE-041"),
        ({"listeners": (Listener("tcp", "::", 7444, 7, "x"),)}, {"k3s__port": "7443"}, "k3s.port", "E-PRE-041"),
        ({"listeners": (Listener("tcp", "::", 10250, 7, "kubelet"),)}, {}, "host", "E-PRE-041"),
        ({"listeners": (Listener("tcp", "::", 9878, 7, "x"),)}, {}, "cilium.l7", "E-PRE-041"),
        ({"kernel": "5.4.0"}, {"cilium__wireguard": True}, "cilium.wireguard", "E-PRE-004"),
        ({"hostname": "Örk"}, {}, "k3s.name", "E-PRE-021"),
        ({"cgroup": "v1"}, {}, "k3s.release", "E-PRE-008"),
        ({"cgroup": "v1"}, {"k3s__release": "exact", "k3s__exact": "v1.36.4+k3s1"}, "k3s.exact", "E-PRE-008"),
        ({"kubeconfigs": ("/root/.kube/config",)}, {}, "k3s.merge", "E-PRE-035"),
        ({"k3s": FoundK3s("/usr/local/bin/k3s", "v1.30.1+k3s1", "k3s-agent")}, {}, "host", "E-PRE-032"),
    ],
)
def test_a_finding_stands_beside_its_question(
    facts: dict[str, Any], answers: dict[str, Any], key: str, code: str
) -> None:
    assert code in codes(verdict({**CAPABLE, **facts}, **answers)).get(key, [])


def test_a_finding_whose_question_is_hidden_stands_with_the_host() -> None:
    listener = Listener("tcp", "::", 9878, 7, "x")
    told = verdict({**CAPABLE, "cgroup": "v1", "listeners": (listener,)}, source="bundle", bundle="/b")
    assert "E-PRE-008" in codes(told)["host"]


def test_a_node_name_of_ones_own_makes_the_hosts_name_good_enough() -> None:
    assert codes(verdict({**CAPABLE, "hostname": "localhost"}, k3s__name="bee")) == {}


def test_a_taken_network_comes_with_a_free_one() -> None:
    facts = {**CAPABLE, "routes": (*HEALTHY.routes, Route("10.42.1.0/24", "eth1"))}
    (note,) = verdict(facts).of("k3s.pods")
    assert note.level is Level.ERROR
    assert "10.42.1.0/24" in note.evidence
    assert verdict(facts, k3s__pods=note.value).notes == {}


@pytest.mark.parametrize("pods", ["10.43.0.0/16", "10.0.0.0/8", "10.43.128.0/17"])
def test_overlapping_networks_come_with_a_way_out(pods: str) -> None:
    (note,) = verdict(CAPABLE, k3s__pods=pods).of("k3s.services")
    assert note.code == "E-CONFIG-002"
    assert verdict(CAPABLE, k3s__pods=pods, k3s__services=note.value).of("k3s.services") == ()


def test_networks_of_different_families_contradict_each_other() -> None:
    judgement = verdict(CAPABLE, k3s__pods="fd00:42::/56")
    assert "different IP versions" in judgement.of("k3s.services")[0].what
    assert not judgement.valid


def test_gateway_api_says_what_it_needs() -> None:
    told = verdict(CAPABLE, cilium__gateway=True, cilium__kpr=False, cilium__l7=False).of("cilium.gateway")
    assert [note.what for note in told] == ["it needs the kube-proxy replacement", "it needs the L7 proxy"]


def test_a_version_outside_the_table_is_refused_beside_its_question() -> None:
    judgement = verdict(CAPABLE, cilium__version="exact", cilium__exact="1.9.3")
    assert codes(judgement) == {"cilium.exact": ["E-CILIUM-001"]}
    assert judgement.valid  # it is a specification, only not one that we support


@pytest.mark.parametrize(("k3s", "level"), [("v1.20.4+k3s1", Level.ERROR), ("v1.25.4+k3s1", Level.WARNING)])
def test_k3s_and_cilium_are_judged_together(k3s: str, level: Level) -> None:
    (note,) = verdict(CAPABLE, k3s__release="exact", k3s__exact=k3s).of("cilium.version")
    assert note.level is level
    assert note.fix


def test_what_the_sources_say_stands_beside_them_errors_first() -> None:
    warning, error = Note(Level.WARNING, "slow"), Note(Level.ERROR, "gone", code="E-WEB-001")
    found = Found("v1.36.4+k3s1", "1.20.0", {"mirror.k3s": (warning, error)})
    told = verdict(CAPABLE, found, source="mirror", mirror__k3s="https://m")
    assert told.of("mirror.k3s") == (error, warning)
    assert (told.errors, told.warnings) == (1, 1)
    assert verdict(CAPABLE, found).of("host") == (error, warning)


def test_a_running_k3s_of_ours_is_no_obstacle() -> None:
    facts = dataclasses.replace(
        HEALTHY,
        unknown={},
        k3s=FoundK3s("/usr/local/bin/k3s", "v1.36.4+k3s1", "k3s", 7, flannel=("flannel.1",)),
        listeners=(Listener("tcp", "::", 6443, 7, "k3s-server", in_cluster=True),),
        **CAPABLE,
    )
    form = Form.over(ClusterSpec(), (("1.20", "1.20.0"),), "cluster.yaml")
    assert judge(form, TABLE, Look(facts, ours=True, k3s_version="v1.36.4+k3s1")).errors == 0


def test_unsupported_versions_can_be_allowed() -> None:
    answers: dict[str, Answer] = {"cilium__version": "exact", "cilium__exact": "1.21.0"}
    refused = verdict(CAPABLE, None, **answers)
    (note,) = refused.of("cilium.exact")
    assert (note.code, note.level) == ("E-CILIUM-001", Level.ERROR)
    assert "“Allow unsupported versions” (Cluster, More)" in note.fix
    allowed = verdict(CAPABLE, None, unsupported=True, **answers)
    assert codes(allowed) == {}
    assert (allowed.goal, refused.goal) == ((allowed.spec, True), (allowed.spec, False))


def test_an_old_kernel_can_be_allowed() -> None:
    old = {**CAPABLE, "kernel": "5.4.0"}
    assert [note.level for note in verdict(old).of("host")] == [Level.ERROR]
    assert [note.level for note in verdict(old, unsupported=True).of("host")] == [Level.WARNING]


def test_a_note_says_that_it_can_be_fixed() -> None:
    (note,) = verdict({**CAPABLE, "inotify_instances": 128}).of("host")
    assert note.fix.endswith("(sudo beeyard preflight --fix does it)")
