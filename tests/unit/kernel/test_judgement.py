"""Answers of kernels in, findings out."""

from __future__ import annotations

from typing import Any

import pytest

from installer.domain.kernel.judgement import Row, Witness, judge
from installer.domain.kernel.proof import KernelProof, ModuleState
from installer.domain.kernel.settings import settings_of
from installer.domain.preflight import Finding, HostFacts, Wanted
from installer.domain.preflight.kernel import check_features, kernel_rows
from installer.domain.spec import ClusterSpec
from tests.support.kernel import NO_ROOT, kernel, missing, recorded

DEFAULT = settings_of(ClusterSpec())
GONE = dict.fromkeys(("vxlan", "wireguard"), ModuleState.ABSENT)


def found(proof: KernelProof | None, settings: frozenset[str] = DEFAULT, **facts: Any) -> list[Finding]:
    wanted = Wanted(kernel=settings, allow_unsupported=facts.pop("allow_unsupported", False))
    return list(check_features(HostFacts(kernel_proof=proof, **facts), wanted))


def told(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.code, str(one.level), one.subject) for one in findings]


def row(proof: KernelProof, feature: str, distribution: str = "") -> Row:
    return next(
        one for one in judge(proof, DEFAULT | {"wireguard"}, distribution=distribution) if one.feature.id == feature
    )


def test_a_kernel_that_has_all_leaves_nothing_to_say() -> None:
    assert found(kernel()) == []
    assert found(None) == []
    assert kernel_rows(HostFacts(), Wanted(kernel=DEFAULT)) == []


def test_a_recorded_kernel_and_the_defaults() -> None:
    assert told(found(recorded())) == [("E-PRE-051", "info", "crypto.hash")]


def test_a_recorded_kernel_lacks_what_is_chosen() -> None:
    chosen = DEFAULT | {"wireguard", "geneve", "netkit", "bandwidth", "ipsec"}
    errors = [one for one in found(recorded(), chosen) if one.level == "error"]
    assert {one.subject for one in errors} == {
        "device.wireguard", "device.geneve", "device.netkit", "qdisc.fq", "xfrm.esp",
    }  # fmt: skip
    assert {one.code for one in errors} == {"E-PRE-050"}
    wireguard = next(one for one in errors if one.subject == "device.wireguard")
    assert "EOPNOTSUPP" in wireguard.evidence
    assert "CONFIG_WIREGUARD is not set" in wireguard.evidence
    assert wireguard.fix == (
        "use a kernel with CONFIG_WIREGUARD, such as the distribution's own; or change cilium.encryption"
    )


def test_trial_and_witness_of_the_recorded_kernel_agree() -> None:
    assert [one.feature.id for one in judge(recorded(), DEFAULT) if one.disagrees] == []


def test_a_proven_gap_is_a_warning_where_the_user_insists() -> None:
    proof = kernel(outcomes={"bpf.loops": missing()})
    assert told(found(proof)) == [("E-PRE-050", "error", "bpf.loops")]
    assert told(found(proof, allow_unsupported=True)) == [("E-PRE-050", "warning", "bpf.loops")]


def test_what_cilium_can_do_without_is_a_warning_with_the_consequence() -> None:
    finding = found(kernel(outcomes={"iptables.socket": missing()}))[0]
    assert (finding.code, str(finding.level)) == ("E-PRE-051", "warning")
    assert "ip_early_demux" in finding.what


def test_tcx_does_for_tc() -> None:
    assert told(found(kernel(outcomes={"hook.tc": missing()}))) == [("E-PRE-051", "warning", "hook.tc")]
    both = found(kernel(outcomes={"hook.tc": missing(), "hook.tcx": missing()}))
    assert told(both) == [("E-PRE-050", "error", "hook.tc"), ("E-PRE-051", "warning", "hook.tcx")]


def test_without_root_one_note_for_all() -> None:
    proof = kernel(others=NO_ROOT)
    finding = found(proof, uid=1000)
    assert told(finding) == [("E-PRE-053", "info", "kernel")]
    assert finding[0].fix == "run it as root"
    assert told(found(proof, uid=0)) == [("E-PRE-053", "warning", "kernel")]


def test_the_second_witness_speaks_where_nothing_could_be_tried() -> None:
    proof = kernel(others=NO_ROOT, config={"VXLAN": "n"})
    assert told(found(proof, uid=1000)) == [("E-PRE-052", "warning", "device.vxlan"), ("E-PRE-053", "info", "kernel")]
    finding = found(proof)[0]
    assert "CONFIG_VXLAN is not set" in finding.evidence
    assert "root is needed" in finding.evidence


def test_a_proof_that_died_half_way() -> None:
    proof = KernelProof("6.1.0", {}, trouble="the process that tries ended with signal 11")
    assert told(found(proof)) == [("E-PRE-053", "warning", "kernel")]
    assert "signal 11" in found(proof)[0].evidence


@pytest.mark.parametrize(
    ("proof", "distribution", "fix"),
    [
        (kernel("6.8.0-31-generic", outcomes={"device.vxlan": missing()}, modules=GONE), "ubuntu debian",
         "apt install linux-modules-extra-6.8.0-31-generic, then modprobe vxlan"),
        (kernel("5.15.0-1005-raspi", outcomes={"device.vxlan": missing()}, modules=GONE), "ubuntu debian",
         "apt install linux-modules-extra-raspi, then modprobe vxlan"),
        (kernel("6.12.0-55.el10", outcomes={"device.vxlan": missing()}, modules=GONE), "rocky rhel centos fedora",
         "dnf install kernel-modules-extra-6.12.0-55.el10, then modprobe vxlan"),
        (kernel("6.1.0-18-cloud-amd64", outcomes={"device.vxlan": missing()}, modules=GONE), "debian",
         "apt install linux-image-amd64 and reboot into it (the cloud kernel leaves drivers out), then modprobe vxlan"),
        (kernel("6.1.0-18-amd64", outcomes={"device.vxlan": missing()}, modules=GONE), "debian",
         "apt install --reinstall linux-image-6.1.0-18-amd64, then modprobe vxlan"),
        (kernel("6.6.1", outcomes={"device.vxlan": missing()}, modules=GONE), "arch",
         "install the modules of kernel 6.6.1, then modprobe vxlan"),
        (kernel(outcomes={"device.vxlan": missing()}), "debian",
         "modprobe vxlan (a rule in /etc/modprobe.d may forbid it), "
            "or apt install --reinstall linux-image-6.1.0-18-amd64"),
        (kernel(outcomes={"device.vxlan": missing()}, config={"VXLAN": "n"}), "debian",
         "use a kernel with CONFIG_VXLAN, such as the distribution's own"),
    ],
)  # fmt: skip
def test_the_fix_fits_kernel_and_distribution(proof: KernelProof, distribution: str, fix: str) -> None:
    assert row(proof, "device.vxlan", distribution).fix == f"{fix}; or change cilium.values.tunnelProtocol"


def test_without_a_configuration_the_version_is_what_can_be_named() -> None:
    none = {"": ""}
    found = row(kernel("5.4.0", outcomes={"helper.redirect_peer": missing()}, config=none), "helper.redirect_peer")
    assert (found.fix, found.witness) == ("use Linux 5.10 or newer", Witness.SILENT)


def test_a_module_that_is_not_installed_speaks_against_a_feature() -> None:
    assert row(kernel(modules=GONE), "device.vxlan").witness is Witness.AGAINST
    assert row(kernel(), "device.vxlan").witness is Witness.FOR


def test_trial_and_witness_that_contradict_each_other() -> None:
    assert row(kernel(config={"VXLAN": "n"}), "device.vxlan").disagrees
    assert row(kernel(outcomes={"device.vxlan": missing()}), "device.vxlan").disagrees
    assert not row(kernel(others=NO_ROOT), "device.vxlan").disagrees


def test_an_old_kernel_with_features_carried_back_is_not_accused() -> None:
    found = row(kernel("4.18.0-553.el8_10.x86_64", others=NO_ROOT), "helper.redirect_peer")
    assert (found.witness, found.lacking) == (Witness.SILENT, False)
    assert "since Linux 5.10" in found.testimony


def test_json_names_feature_setting_and_verdict() -> None:
    told = row(recorded(), "device.wireguard").to_dict()
    assert told["verdict"] == "missing"
    assert told["neededBy"] == [{"setting": "wireguard", "path": "cilium.encryption"}]
    assert (told["witness"], told["weight"]) == ("against", "required")
