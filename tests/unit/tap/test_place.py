"""Which headers are taken, and what a host lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.adapters.bpf.child.place import check_lockdown, check_rights, find_cgroup, find_headers
from installer.adapters.bpf.child.refusal import Refusal
from installer.adapters.bpf.child.tracepoints import find_tracepoint


def headers(modules: Path, release: str) -> None:
    for part in ("build/include/generated/autoconf.h", "source/include/linux/kconfig.h"):
        path = modules / release / part
        path.parent.mkdir(parents=True)
        path.touch()


def test_the_running_kernels_headers_come_first(tmp_path: Path) -> None:
    headers(tmp_path, "6.1.0-1")
    headers(tmp_path, "6.8.0-1")
    found = find_headers("6.8.0-1", tmp_path, tmp_path / "src", None)
    assert (found.native, found.release) == (True, "6.8.0-1")


@pytest.mark.skipif(Path("/sys/kernel/kheaders.tar.xz").exists(), reason="this kernel carries its headers")
def test_else_the_nearest(tmp_path: Path) -> None:
    for release in ("5.10.0-9", "6.1.0-1", "6.12.1"):
        headers(tmp_path, release)
    found = find_headers("6.18.44", tmp_path, tmp_path / "src", None)
    assert (found.native, found.release) == (False, "6.12.1")
    with pytest.raises(Refusal) as caught:
        find_headers("6.18.44", tmp_path / "src", tmp_path / "src", None)
    assert caught.value.code == "E-BPF-004"


def test_headers_that_were_chosen() -> None:
    assert find_headers("6.8", Path("/x"), Path("/x"), "/usr/src/mine").source == "/usr/src/mine"


@pytest.mark.parametrize("capabilities", ["000001ffffffffff", "0000000000200000", "000000c000001000"])
def test_rights_that_suffice(capabilities: str) -> None:
    check_rights(f"Name:\tx\nCapEff:\t{capabilities}\n")


def test_rights_that_do_not() -> None:
    with pytest.raises(Refusal) as caught:
        check_rights("CapEff:\t0000008000001000\n")
    assert caught.value.why == "This process lacks CAP_PERFMON."


def test_lockdown(tmp_path: Path) -> None:
    (tmp_path / "lockdown").write_text("none [integrity] confidentiality\n")
    check_lockdown(tmp_path / "lockdown")
    check_lockdown(tmp_path / "absent")


def test_where_cgroup2_is() -> None:
    mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/my\\040one cgroup2 rw 0 0\n"
    assert find_cgroup(mounts) == "/sys/fs/cgroup/my one"
    with pytest.raises(Refusal) as caught:
        find_cgroup("proc /proc proc rw 0 0\n")
    assert caught.value.code == "E-BPF-006"


def test_tracepoints(tmp_path: Path) -> None:
    folder = tmp_path / "events/skb/kfree_skb"
    folder.mkdir(parents=True)
    (folder / "id").write_text("7\n")
    (folder / "format").write_text(
        "\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;\n"
        "\tfield:__u8 saddr[28];\toffset:32;\tsize:28;\tsigned:0;\n"
        'print fmt: "%s", __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 0x10000, "MAC80211" })\n'
    )
    point = find_tracepoint(tmp_path, "skb/kfree_skb")
    assert point is not None
    assert point.id == 7
    assert point.fields == {"skbaddr": (8, 8), "saddr": (32, 28)}
    assert point.words == {2: "NOT_SPECIFIED", 65536: "MAC80211"}
    assert find_tracepoint(tmp_path, "tcp/none") is None
