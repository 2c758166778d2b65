"""The kernel that runs the tests is tried for real, and so are hosts where that cannot be."""

from __future__ import annotations

import asyncio
import platform
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from installer.adapters.bpf import syscall
from installer.adapters.bpf.proof import COMMAND, prove
from installer.adapters.bpf.proof_lab import CGROUP
from installer.adapters.bpf.proof_worker import main
from installer.adapters.host.processes import LocalProcesses
from installer.domain.kernel.judgement import judge
from installer.domain.kernel.proof import KernelProof, Verdict
from installer.domain.kernel.settings import settings_of
from installer.domain.kernel.table import BY_ID, FEATURES
from installer.domain.spec import ClusterSpec

DEFAULT = settings_of(ClusterSpec())
WORKER = "installer.adapters.bpf.proof_worker"
root = pytest.mark.root


async def proof(code: str = "", *, command: tuple[str, ...] = (), timeout: float = 60.0) -> KernelProof:
    """Prove, in a process that first runs some Python; the worker is ``w``."""
    inner = (sys.executable, "-I", "-c", f"import os, socket, sys, {WORKER} as w\n{code}\nw.main()")
    return await prove(LocalProcesses(), command=command or (inner if code else COMMAND), timeout=timeout)


def verdicts(found: KernelProof) -> dict[str, str]:
    return {feature.id: str(found.outcome(feature.id).verdict) for feature in FEATURES}


@root
async def test_every_feature_gets_an_answer() -> None:
    found = await proof()
    assert found.trouble == ""
    assert set(found.outcomes) == set(BY_ID)
    assert found.release == platform.release()
    untried = {name: found.outcome(name).evidence for name, one in verdicts(found).items() if one == Verdict.UNTRIED}
    assert untried == {}


@root
async def test_trial_and_witness_agree_on_this_kernel() -> None:
    found = await proof()
    rows = judge(found, DEFAULT)
    assert [(row.feature.id, row.evidence, row.testimony) for row in rows if row.disagrees] == []


@root
async def test_what_the_witness_denies_is_found_missing_by_trying() -> None:
    found = await proof()
    if not found.config_source:
        pytest.skip("this kernel's configuration cannot be read")
    denied = {
        "device.wireguard": "WIREGUARD",
        "device.geneve": "GENEVE",
        "device.netkit": "NETKIT",
        "qdisc.fq": "NET_SCH_FQ",
        "xfrm.esp": "INET_ESP",
    }
    for feature, symbol in denied.items():
        expected = Verdict.MISSING if found.config[symbol] == "n" else Verdict.WORKS
        assert found.outcome(feature).verdict is expected, found.outcome(feature)


@root
async def test_a_kernel_of_today_runs_the_default_cilium() -> None:
    found = await proof()
    assert [(row.feature.id, row.evidence) for row in judge(found, DEFAULT) if row.stops] == []


def _host() -> list[str]:
    """Return everything that a proof could leave behind on the host."""
    links = [name for _, name in socket.if_nameindex() if name.startswith("by")]
    kept = subprocess.run(["ip", "rule"], capture_output=True, text=True, check=True).stdout.splitlines()
    rules = [line for line in kept if "2004" in line]
    groups = [str(path) for path in Path("/sys/fs/cgroup").rglob(f"{CGROUP}*")]
    return [*links, *rules, *groups, *_programs()]


def _programs() -> list[str]:
    """Return our programs that the kernel still holds."""
    tool = shutil.which("bpftool") or "/usr/sbin/bpftool"
    if not Path(tool).exists():
        return []
    told = subprocess.run([tool, "prog", "show"], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if "beeyard_proof" in line]


@root
async def test_nothing_is_left_behind() -> None:
    before = _host()
    await asyncio.gather(proof(), proof())
    assert _host() == before


@root
async def test_a_proof_that_is_killed_leaves_nothing_once_the_next_one_ran() -> None:
    dies = "seen = []\nold = w.tell\ndef tell(line):\n  old(line)\n  seen.append(line)\n"
    dies += f"  if len(seen) == 40: os.kill(os.getpid(), {int(signal.SIGKILL)})\nw.tell = tell"
    killed = await proof(dies)
    assert "signal 9" in killed.trouble
    assert len(killed.outcomes) == 39
    assert killed.outcome("crypto.hash").verdict is Verdict.UNTRIED
    assert "signal 9" in killed.outcome("crypto.hash").evidence
    await proof()
    assert _host() == []


@root
async def test_a_cgroup_of_a_killed_proof_is_removed() -> None:
    root_group = next((path for path in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")) if _is_v2(path)), None)
    if root_group is None:
        pytest.skip("cgroup version 2 is not mounted here")
    left = root_group / f"{CGROUP}{2**22 + 1}"  # above every process id
    left.mkdir()
    await proof()
    assert not left.exists()


def _is_v2(path: Path) -> bool:
    return (path / "cgroup.controllers").exists()


@root
async def test_without_root_it_says_so_and_the_witness_remains() -> None:
    found = await proof("os.setgroups([]); os.setgid(65534); os.setuid(65534)")
    assert found.trouble == ""
    assert found.outcome("hook.tc").verdict is Verdict.UNTRIED
    assert found.outcome("device.vxlan").evidence.startswith("root is needed (EPERM")
    assert "sudo" in found.outcome("device.vxlan").fix
    assert Verdict.MISSING not in {found.outcome(name).verdict for name in BY_ID if name.startswith("device.")}


@root
async def test_root_without_powers_names_them() -> None:
    setpriv = ("setpriv", "--bounding-set", "-sys_admin,-net_admin", "--inh-caps", "-all")
    found = await proof(command=(*setpriv, *COMMAND))
    outcome = found.outcome("device.vxlan")
    assert outcome.verdict is Verdict.UNTRIED
    assert outcome.evidence.startswith("root lacks CAP_NET_ADMIN and CAP_SYS_ADMIN")
    assert "privileged container" in outcome.fix


@root
async def test_a_kernel_without_a_readable_configuration_is_tried_all_the_same() -> None:
    hide = "w.config = lambda release, symbols: ('', {})"
    found = await proof(hide)
    assert (found.config_source, found.config) == ("", {})
    assert found.outcome("map.lpm-trie").verdict is Verdict.WORKS
    assert "configuration" not in found.outcome("map.lpm-trie").evidence


@root
async def test_no_libraries_of_bcc_and_no_compiler_are_used() -> None:
    found = await proof("sys.modules['bcc'] = None; os.environ['PATH'] = '/nowhere'")
    assert verdicts(found) == verdicts(await proof())


@root
async def test_ipv6_that_is_switched_off_is_missing() -> None:
    code = "import installer.adapters.bpf.proof_lab as lab\nlab._no_ipv6 = lambda: 'net.ipv6.conf.all.disable_ipv6=1'"
    found = await proof(code)
    assert found.outcome("ipv6").verdict is Verdict.MISSING
    assert "disable_ipv6" in found.outcome("ipv6").evidence


async def test_a_process_that_cannot_start_is_no_error() -> None:
    found = await proof(command=("/nowhere/python",))
    assert "/nowhere/python" in found.trouble
    assert set(verdicts(found).values()) == {"could not be tried"}


async def test_a_process_that_hangs_is_ended_and_what_it_told_counts(tmp_path: Path) -> None:
    line = '{"feature": "bpf.jit", "verdict": "works", "evidence": "", "fix": ""}'
    code = f"print('noise'); print('{line}', flush=True)\nwhile True: __import__('time').sleep(60)"
    found = await proof(command=(sys.executable, "-c", code), timeout=1.0)
    assert found.trouble
    assert found.outcome("bpf.jit").verdict is Verdict.WORKS
    assert found.outcome("bpf.loops").verdict is Verdict.UNTRIED


async def test_our_modules_are_not_taken_from_the_folder_we_stand_in(tmp_path: Path) -> None:
    (tmp_path / "installer").mkdir()
    (tmp_path / "installer/__init__.py").write_text("raise SystemExit(7)")
    done = await asyncio.create_subprocess_exec(
        *COMMAND, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    await done.communicate()
    assert done.returncode == 0


def test_a_machine_whose_numbers_are_not_known_has_no_bpf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(syscall.BpfError, match="not implemented"):
        syscall.call(0, bytes(8))


def test_the_worker_is_what_the_command_runs() -> None:
    assert COMMAND[-1] == WORKER == main.__module__
    assert Path(COMMAND[0]).is_absolute()


NONSENSE = """
from installer.domain.kernel.feature import Feature
from installer.domain.kernel.trials import Attach, Call, Device, Extension, Map, Program, Use, Verify
def feature(name, *trials): return Feature(name, name, "nothing", trials)
w.proof_programs.assembler.BODIES["bad memory"] = lambda: bytes.fromhex("6100000000000000" "9500000000000000")
w.FEATURES = (
    feature("helper", Call("nothing", 99999)),
    feature("map", Use(9999)),
    feature("hook", Attach(Program.SCHED_CLS, 9999)),
    feature("device", Device("nothing")),
    feature("match", Extension("match", "nothing")),
    feature("target", Extension("target", "NOTHING")),
    feature("verifier", Verify("bad memory")),
    feature("ours", Call("fib_lookup", 69, ("ctx",))),
)
Use.__str__ = Attach.__str__ = lambda trial: "use it"
"""


@root
async def test_what_no_kernel_has_is_missing_with_the_kernel_s_words() -> None:
    found = await proof(NONSENSE)
    ours = found.outcomes["ours"]
    assert {name: str(one.verdict) for name, one in found.outcomes.items() if name != "ours"} == dict.fromkeys(
        ("helper", "map", "hook", "device", "match", "target", "verifier"), "missing"
    )
    evidence = {name: one.evidence for name, one in found.outcomes.items()}
    assert "invalid func unknown#99999" in evidence["helper"]
    assert "EINVAL" in evidence["map"]
    assert "ENOENT" in evidence["match"]
    assert "!read_ok" in evidence["verifier"]
    # A program of ours that the verifier does not like says nothing about the kernel.
    assert ours.verdict is Verdict.UNTRIED
    assert "the verifier refuses our program" in ours.evidence
