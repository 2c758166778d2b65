"""Why something was refused, told from what this process may do; and what the second witness reads."""

from __future__ import annotations

import errno
import gzip
from pathlib import Path

import pytest

from installer.adapters.bpf import proof_lab
from installer.adapters.bpf.proof_witness import config, modules

EPERM = OSError(errno.EPERM, "Operation not permitted")


def rights(monkeypatch: pytest.MonkeyPatch, *, uid: int = 0, lacking: int = -1, lockdown: str = "") -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr(proof_lab, "has", lambda bit: uid == 0 and bit != lacking)
    monkeypatch.setattr(proof_lab, "_lockdown", lambda: lockdown)


def test_no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    rights(monkeypatch, uid=1000, lockdown="confidentiality")
    refused = proof_lab.refused(EPERM)
    assert str(refused) == "root is needed (EPERM: Operation not permitted)"
    assert "sudo" in refused.fix


def test_a_container_that_lacks_a_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    rights(monkeypatch, lacking=12)
    refused = proof_lab.refused(EPERM, "no network namespace can be made")
    assert str(refused).startswith("root lacks CAP_NET_ADMIN (EPERM")
    assert "privileged container" in refused.fix


def test_lockdown(monkeypatch: pytest.MonkeyPatch) -> None:
    rights(monkeypatch, lockdown="confidentiality")
    refused = proof_lab.refused(EPERM)
    assert "locked down: confidentiality" in str(refused)
    assert "lockdown=confidentiality" in refused.fix


def test_a_filter_of_system_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    rights(monkeypatch)
    assert "filter of system calls" in str(proof_lab.refused(EPERM))


def test_another_refusal_is_no_matter_of_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    rights(monkeypatch)
    refused = proof_lab.refused(OSError(errno.ENOMEM, "Cannot allocate memory"), "no network namespace can be made")
    assert str(refused) == "ENOMEM: Cannot allocate memory (no network namespace can be made)"


CONFIG = "CONFIG_VXLAN=m\n# CONFIG_GENEVE is not set\nCONFIG_BPF_JIT=y\n"
WANTED = ("VXLAN", "GENEVE", "BPF_JIT")
READ = {"VXLAN": "m", "GENEVE": "n", "BPF_JIT": "y"}


def test_a_configuration_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "config-6.1").write_text(CONFIG)
    (tmp_path / "config.gz").write_bytes(gzip.compress(CONFIG.encode()))
    for name in ("config-6.1", "config.gz"):
        assert config("6.1", WANTED, (str(tmp_path / name),)) == (str(tmp_path / name), READ)


def test_the_first_configuration_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b\x08 not gzip")
    (tmp_path / "config-6.1").write_text(CONFIG)
    places = (f"{tmp_path}/none", f"{tmp_path}/broken.gz", f"{tmp_path}/config-{{}}")
    assert config("6.1", WANTED, places) == (f"{tmp_path}/config-6.1", READ)
    assert config("6.1", WANTED, places[:2]) == ("", {})


def test_where_modules_are(tmp_path: Path) -> None:
    folder = tmp_path / "6.1"
    folder.mkdir()
    (folder / "modules.dep").write_text("kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/udp_tunnel.ko.xz\n")
    (folder / "modules.builtin").write_text("kernel/net/sched/cls_bpf.ko\n")
    found = modules("6.1", ("vxlan", "cls_bpf", "geneve"), (str(tmp_path),))
    assert found["cls_bpf"] == "built in"
    assert found["vxlan"] in ("installed", "loaded")
    assert found["geneve"] in ("absent", "loaded")
    assert modules("6.1", ("no-such",), (f"{tmp_path}/none",)) == {"no-such": ""}
