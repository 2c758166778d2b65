"""Every failure mode has recorded evidence, and the cause read from it is the right one."""

from __future__ import annotations

import pytest

from installer.domain.diagnosis import Diagnosis, Evidence, Part, Source, diagnose
from installer.domain.diagnosis.failure_modes import MODES
from installer.domain.diagnosis.table import RULES
from tests.unit.diagnosis.recorded import RECORDED, Recorded


@pytest.mark.parametrize("recorded", RECORDED, ids=[one.name for one in RECORDED])
def test_the_cause_is_read(recorded: Recorded) -> None:
    found = diagnose(recorded.evidence)
    assert found.cause is not None
    assert found.cause.code == recorded.expect
    assert found.cause.mode == (recorded.number if recorded.number <= len(MODES) else 0)
    assert found.cause.evidence in {line.text for line in recorded.evidence}
    assert found.cause.where
    assert len(found.cause.fix) > 10
    assert "{" not in found.cause.what
    assert [one.code for one in found.causes] == [recorded.expect], "nothing else is blamed"


def test_no_mode_is_left_uncovered() -> None:
    assert [mode.number for mode in MODES] == list(range(1, 31))
    recorded = {one.expect for one in RECORDED}
    for mode in MODES:
        assert mode.causes, f"no rule recognizes mode {mode.number}"
        assert set(mode.causes) <= recorded, f"mode {mode.number} has no evidence"
        assert {one.number for one in RECORDED if one.expect in mode.causes} == {mode.number}


def test_rules_and_modes_agree() -> None:
    by_code = {rule.code: rule.mode for rule in RULES}
    assert len(by_code) == len(RULES), "codes are unique"
    for mode in MODES:
        assert {code for code, number in by_code.items() if number == mode.number} == set(mode.causes)


@pytest.mark.parametrize("recorded", RECORDED, ids=[one.name for one in RECORDED])
def test_noise_changes_nothing(recorded: Recorded) -> None:
    """Lines that a healthy cluster writes all the time, before and after."""
    noise = (
        Evidence(Source.K3S, "journal of k3s", 'level=info msg="Waiting for cloud-controller-manager privileges"'),
        Evidence(Source.AGENT, "log", 'level=info msg="Regenerating endpoints" subsys=daemon'),
        Evidence(Source.KERNEL, "dmesg", "IPv6: ADDRCONF(NETDEV_CHANGE): lxc4f1a: link becomes ready"),
        Evidence(Source.CONTAINERD, "containerd.log", 'level=info msg="StartContainer returns successfully"'),
    )
    found = diagnose((*noise, *recorded.evidence, *noise))
    assert found.cause is not None
    assert found.cause.code == recorded.expect


def test_what_is_said_on_the_way_up_is_no_fault() -> None:
    """Lines of parts that are not ready yet, because they have only begun."""
    lines = (
        (Source.INIT, 'level=info msg="Establishing connection to apiserver" host="https://127.0.0.1:6444"'),
        (Source.AGENT, 'level=info msg="Probe: netkit: operation not supported" subsys=probes'),
        (Source.AGENT, 'level=debug msg="module xt_socket is not found in directory /lib/modules"'),
        (
            Source.EVENT,
            'Readiness probe failed: Get "http://127.0.0.1:8080/": dial tcp 127.0.0.1:8080: connection refused',
        ),
        (Source.K3S, 'level=info msg="Waiting for API server to become available"'),
        (Source.K3S, 'E1 kubelet.go "Container runtime network not ready" err="cni plugin not initialized"'),
        (Source.CONDITION, "Ready: KubeletNotReady: cni plugin not initialized"),
    )
    found = diagnose([Evidence(source, "place", text, "demo/web") for source, text in lines])
    assert found == Diagnosis()


def test_a_timeout_of_the_past_is_no_firewall() -> None:
    wall = Evidence(Source.HOST, "ufw status", "ufw is active")
    one = Evidence(Source.RELAY, "log", "dial tcp 192.0.2.1:4244: i/o timeout")
    ready = set(Part)
    assert diagnose([wall, one], ready=ready) == Diagnosis()
    assert diagnose([wall, one]).cause is not None
    many = [Evidence(Source.RELAY, "log", f"dial tcp 192.0.2.{number}:4244: i/o timeout") for number in range(3)]
    assert diagnose([wall, *many], ready=ready).cause is not None


def test_nothing_is_made_of_nothing() -> None:
    assert diagnose(()) == Diagnosis()


def test_what_a_part_that_works_said_is_past() -> None:
    recorded = next(one for one in RECORDED if one.expect == "E-DIA-006")
    assert diagnose(recorded.evidence, ready={Part.AGENT, Part.K3S, Part.PODS, Part.DNS}) == Diagnosis()
    lasting = next(one for one in RECORDED if one.expect == "E-DIA-015")
    assert diagnose(lasting.evidence, ready=set(Part)).cause is not None
