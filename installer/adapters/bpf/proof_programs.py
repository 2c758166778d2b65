"""Trials of programs, maps and hooks."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from installer.adapters.bpf import assembler, syscall
from installer.adapters.bpf.netlink import ROUTE, Netlink
from installer.adapters.bpf.proof_lab import Lab, MissingError, UntriedError, refused, said
from installer.adapters.bpf.proof_network import LOOPBACK, add_filter, add_netkit, delete_device
from installer.adapters.bpf.syscall import BpfError
from installer.domain.kernel.trials import Attach, Call, Hook, Map, Program, Use, Verify

_FORBIDDEN = (errno.EPERM, errno.EACCES)
_ABSENT = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.E2BIG, errno.ENODEV)
_UNKNOWN_HELPER = ("unknown func", "invalid func", "cannot use helper", "program of this type")
_PASSES = {Program.XDP: 2}
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241, "riscv64": 241}
_CGROUP_HOOKS = frozenset(hook for hook in Hook if hook.name.startswith("CGROUP_"))


@contextmanager
def judged() -> Iterator[None]:
    """Turn the kernel's refusal of a plain call into our verdict."""
    try:
        yield
    except BpfError as error:
        if error.errno in _FORBIDDEN and not error.log:
            raise refused(error) from error
        if error.errno in _ABSENT or error.log:
            raise MissingError(said(error, error.last_line)) from error
        raise UntriedError(said(error)) from error


def verify(lab: Lab, trial: Verify) -> None:
    """Load one of our programs."""
    del lab
    with judged():
        os.close(syscall.load(Program.SCHED_CLS, assembler.BODIES[trial.body]()))


def call(lab: Lab, trial: Call) -> None:
    """Load a program that calls a helper; only a helper that is not known counts as missing."""
    del lab
    code = assembler.calls(trial.number, trial.arguments, _PASSES.get(trial.program, 1))
    with judged():
        try:
            os.close(syscall.load(trial.program, code, trial.hook))
        except BpfError as error:
            if error.log and not any(words in error.log for words in _UNKNOWN_HELPER):
                raise UntriedError(f"the verifier refuses our program: {error.last_line}") from error
            raise


def use(lab: Lab, trial: Use) -> None:
    """Create a map, write and read."""
    del lab
    with judged():
        if trial.map in (Map.ARRAY_OF_MAPS, Map.HASH_OF_MAPS):
            _use_outer(trial.map)
            return
        key, value, entries = {Map.RINGBUF: (0, 0, 4096), Map.LPM_TRIE: (8, 4, 8)}.get(trial.map, (4, 8, 8))
        with syscall.opened(syscall.create_map(trial.map, key, value, entries, flags=trial.flags)) as fd:
            _write_and_read(fd, trial.map)


def _use_outer(kind: Map) -> None:
    with (
        syscall.opened(syscall.create_map(Map.ARRAY, 4, 4, 1)) as inner,
        syscall.opened(syscall.create_map(kind, 4, 4, 1, inner=inner)) as fd,
    ):
        syscall.update(fd, bytes(4), struct.pack("=I", inner))


def _write_and_read(fd: int, kind: Map) -> None:
    if kind is Map.RINGBUF:
        return
    if kind is Map.LPM_TRIE:
        syscall.update(fd, struct.pack("=I4B", 8, 10, 0, 0, 0), b"wide")
        syscall.update(fd, struct.pack("=I4B", 16, 10, 42, 0, 0), b"near")
        _expect(syscall.look_up(fd, struct.pack("=I4B", 32, 10, 42, 0, 9), 4), b"near")
        return
    size = 8 * (_possible_cpus() if kind in (Map.PERCPU_ARRAY, Map.PERCPU_HASH) else 1)
    syscall.update(fd, bytes(4), b"8 bytes." * (size // 8))
    _expect(syscall.look_up(fd, bytes(4), size), b"8 bytes." * (size // 8))


def _possible_cpus() -> int:
    last = re.split("[-,]", Path("/sys/devices/system/cpu/possible").read_text().strip())[-1]
    return int(last) + 1


def _expect(got: object, wanted: object) -> None:
    if got != wanted:
        raise MissingError(f"it gives back {got!r} instead of {wanted!r}")


def attach(lab: Lab, trial: Attach) -> None:
    """Attach a program that lets everything pass."""
    with judged(), syscall.opened(_passing(trial)) as program:
        if trial.hook in _CGROUP_HOOKS:
            with lab.cgroup() as cgroup:
                _to_cgroup(program, cgroup, trial.hook)
            return
        lab.need_network()
        if trial.hook is Hook.NETKIT_PRIMARY:
            _to_netkit(lab, program)
            return
        os.close(syscall.link(program, LOOPBACK, trial.hook))


def _passing(trial: Attach) -> int:
    code = assembler.returns(_PASSES.get(trial.program, 1))
    # Hooks of devices are chosen when attaching; cgroup hooks, when loading.
    return syscall.load(trial.program, code, trial.hook if trial.hook in _CGROUP_HOOKS else 0)


def _to_cgroup(program: int, cgroup: int, hook: int) -> None:
    try:
        os.close(syscall.link(program, cgroup, hook))
    except BpfError as error:
        if error.errno != errno.EINVAL:
            raise
        syscall.attach(program, cgroup, hook)
        syscall.detach(program, cgroup, hook)


def _to_netkit(lab: Lab, program: int) -> None:
    with Netlink(ROUTE) as route:
        index, name = add_netkit(route, lab)
        try:
            os.close(syscall.link(program, index, Hook.NETKIT_PRIMARY))
        finally:
            delete_device(route, name)


def jit(lab: Lab) -> None:
    """Look for the machine code of a program."""
    del lab
    with judged(), syscall.opened(syscall.load(Program.SCHED_CLS, assembler.PASS)) as program:
        if not syscall.native_size(program):
            raise MissingError("the program has no machine code; net.core.bpf_jit_enable may be 0")


def global_data(lab: Lab) -> None:
    """Freeze an array and let a program read it."""
    del lab
    with judged(), syscall.opened(syscall.create_map(Map.ARRAY, 4, 4, 1, flags=1 << 7)) as array:
        syscall.update(array, bytes(4), struct.pack("=I", 42))
        syscall.freeze(array)
        with syscall.opened(syscall.load(Program.SCHED_CLS, assembler.reads_array(array))) as program:
            _expect(syscall.run(program), 42)


def btf(lab: Lab) -> None:
    """Look at the head of the kernel's description of itself."""
    del lab
    try:
        with Path("/sys/kernel/btf/vmlinux").open("rb") as file:
            _expect(file.read(2), struct.pack("=H", 0xEB9F))
    except FileNotFoundError as error:
        raise MissingError(said(error)) from error


def tail_call(lab: Lab) -> None:
    """Run a program that goes on with another."""
    del lab
    with (
        judged(),
        syscall.opened(syscall.create_map(Map.PROG_ARRAY, 4, 4, 1)) as programs,
        syscall.opened(syscall.load(Program.SCHED_CLS, assembler.tail_call(programs))) as first,
        syscall.opened(syscall.load(Program.SCHED_CLS, assembler.returns(42))) as second,
    ):
        syscall.update(programs, bytes(4), struct.pack("=I", second))
        _expect(syscall.run(first), 42)


def batch(lab: Lab) -> None:
    """Read a map in one batch."""
    del lab
    with judged(), syscall.opened(syscall.create_map(Map.HASH, 4, 4, 8)) as fd:
        for key in range(3):
            syscall.update(fd, struct.pack("=I", key), bytes(4))
        _expect(syscall.count_batch(fd, 4, 4, 8), 3)


def pin(lab: Lab) -> None:
    """Pin a map in a BPF file system of our own."""
    with judged(), syscall.opened(syscall.create_map(Map.ARRAY, 4, 4, 1)) as fd:
        try:
            with lab.mounted("bpf") as place:
                syscall.pin(fd, str(place / "map"))
                (place / "map").unlink()
        except BpfError:
            raise
        except OSError as error:
            raise mount_verdict(error) from error


def cgroup2(lab: Lab) -> None:
    """Mount cgroup version 2."""
    try:
        with lab.mounted("cgroup2"):
            return
    except OSError as error:
        raise mount_verdict(error) from error


def mount_verdict(error: OSError) -> MissingError | UntriedError:
    """Return what a refused mount means."""
    if error.errno == errno.ENODEV:
        return MissingError(said(error))
    return refused(error) if error.errno in _FORBIDDEN else UntriedError(said(error))


def perf(lab: Lab) -> None:
    """Open a perf buffer for output of programs and put it into a map."""
    del lab
    number = _PERF_EVENT_OPEN.get(platform.machine())
    if number is None:
        raise UntriedError(f"the number of perf_event_open on {platform.machine()} is not known")
    # perf_event_attr: a software event (1), its size, bpf-output (10), raw samples, wake up at each.
    wanted = ctypes.create_string_buffer(struct.pack("=IIQQQQQII", 1, 112, 10, 0, 1 << 10, 0, 0, 1, 0) + bytes(56))
    cpu = min(os.sched_getaffinity(0))
    event = int(ctypes.CDLL(None, use_errno=True).syscall(number, wanted, -1, cpu, -1, 8))
    with judged():
        if event < 0:
            raise BpfError(ctypes.get_errno())
        with syscall.opened(event):
            entries = _possible_cpus()
            with syscall.opened(syscall.create_map(Map.PERF_EVENT_ARRAY, 4, 4, entries)) as fd:
                syscall.update(fd, struct.pack("=I", cpu), struct.pack("=I", event))


def tc(lab: Lab) -> None:
    """Add clsact and a bpf filter to the loopback device of the scratch namespace."""
    lab.need_network()
    with judged(), syscall.opened(syscall.load(Program.SCHED_CLS, assembler.PASS)) as program:
        add_filter(program)
