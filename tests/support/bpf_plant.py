"""Attaches small programs with given names, as Cilium and others do; for tests in namespaces of their own.

Usage: HOOK NAME TARGET [PIN]: hook is ``tc``, ``xdp``, ``tcx``, ``cgroup`` (held by a pinned link) or ``cgroup-old``
(without a link); TARGET is a device or a control group. Prints nothing; what it attached outlives it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import sys

from installer.adapters.bpf import syscall

_RETURN_1 = struct.pack("=BBhi", 0xB7, 0, 0, 1) + struct.pack("=BBhi", 0x95, 0, 0, 0)
_KINDS = {"tc": (3, 0), "tcx": (3, 46), "xdp": (6, 37), "cgroup": (18, 10), "cgroup-old": (18, 11)}
_LICENSE = ctypes.create_string_buffer(b"GPL")


def load(hook: str, name: str) -> int:
    kind, expected = _KINDS[hook]
    code = ctypes.create_string_buffer(_RETURN_1, len(_RETURN_1))
    places = (kind, 2, ctypes.addressof(code), ctypes.addressof(_LICENSE), 0, 0, 0, 0, 0)
    expected = 0 if hook in ("tc", "tcx", "xdp") else expected
    return syscall.call(5, struct.pack("=IIQQIIQII16sII", *places, name[:15].encode(), 0, expected))


def attach(hook: str, name: str, target: str, pin: str) -> None:
    program = load(hook, name)
    if hook in ("tc", "xdp"):
        syscall.pin(program, pin)
        tc = ["tc", "filter", "add", "dev", target, "ingress", "bpf", "da", "pinned", pin]
        xdp = ["ip", "link", "set", "dev", target, "xdpgeneric", "pinned", pin]
        subprocess.run(tc if hook == "tc" else xdp, check=True)
    elif hook == "tcx":
        syscall.pin(syscall.link(program, socket.if_nametoindex(target), _KINDS[hook][1]), pin)
    else:
        group = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        if hook == "cgroup":
            syscall.pin(syscall.link(program, group, _KINDS[hook][1]), pin)
        else:
            syscall.attach(program, group, _KINDS[hook][1])


if __name__ == "__main__":
    attach(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else "")
