"""System calls that Python and bcc lack: bpf(2), perf events for tracepoints, mount namespaces."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct
from collections.abc import Iterator

_NUMBERS = {
    "x86_64": (321, 298),
    "aarch64": (280, 241),
    "riscv64": (280, 241),
    "ppc64le": (361, 319),
    "s390x": (351, 331),
}
_PROG_LOAD, _LINK_CREATE, _LOOKUP_BATCH, _LOOKUP_AND_DELETE_BATCH, _DELETE_BATCH = 5, 28, 24, 25, 27
_PERF_TRACEPOINT, _SET_BPF, _ENABLE = 2, 0x40042408, 0x2400
CGROUP_SKB, CGROUP_INGRESS, CGROUP_EGRESS = 8, 0, 1
NOTHING = [(0xB7, 0, 0, 1), (0x95, 0, 0, 0)]
"""Instructions of a program that only returns 1."""
_NEW_MOUNTS = 0x20000
_REC, _SLAVE = 0x4000, 0x80000

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes.ljust(144, b"\0"), 144)
    return _checked(_libc.syscall(_NUMBERS[platform.machine()][0], command, buffer, 144))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def takes_helper(kind: int, helper: int, *, stack: bool = False) -> bool:
    """Tell whether programs of a kind may call a helper, by loading one that does.

    Args:
        kind: number of the program type.
        helper: number of the helper.
        stack: pass 16 bytes of the stack instead of the context.
    """
    code = []
    if stack:
        code += [
            (0x7A, 0x0A, -16, 0),
            (0x7A, 0x0A, -8, 0),
            (0xBF, 0xA1, 0, 0),
            (0x07, 0x01, 0, -16),
            (0xB7, 0x02, 0, 16),
        ]
    code += [(0x85, 0, 0, helper), *NOTHING]
    try:
        os.close(load_program(kind, code))
    except OSError:
        return False
    return True


def load_program(kind: int, code: list[tuple[int, int, int, int]]) -> int:
    """Load a program of instructions (operation, registers, offset, value) and return its descriptor."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("=BBhi", *one) for one in code))
    license_text = ctypes.create_string_buffer(b"GPL")
    where = ctypes.addressof(program), ctypes.addressof(license_text)
    return _bpf(_PROG_LOAD, struct.pack("=IIQQIIQII", kind, len(code), *where, 0, 0, 0, 0, 0))


def attach_cgroup(program: int, cgroup: int, kind: int) -> int:
    """Return a link that holds a program at a control group until it is closed, by the kernel if need be."""
    return _bpf(_LINK_CREATE, struct.pack("=IIII", program, cgroup, kind, 0))


def attach_tracepoint(program: int, tracepoint: int) -> int:
    """Return a perf event that runs a program at a tracepoint (by id) until it is closed."""
    attributes = struct.pack("=IIQQQQ", _PERF_TRACEPOINT, 112, tracepoint, 1, 0x400, 0).ljust(112, b"\0")
    buffer = ctypes.create_string_buffer(attributes, 112)
    fd = _checked(_libc.syscall(_NUMBERS[platform.machine()][1], buffer, -1, 0, -1, 8))
    fcntl.ioctl(fd, _SET_BPF, program)
    fcntl.ioctl(fd, _ENABLE, 0)
    return fd


class Batches:
    """Reads a hash map in large pieces.

    Args:
        fd: the map.
        key_size: bytes of a key.
        value_size: bytes of a value.
        room: most entries that a piece has.
    """

    def __init__(self, fd: int, key_size: int, value_size: int, room: int) -> None:
        self._fd = fd
        self._room = room
        self._sizes = key_size, value_size
        self._keys = ctypes.create_string_buffer(key_size * room)
        self._values = ctypes.create_string_buffer(value_size * room)
        self._cursor = ctypes.create_string_buffer(8)

    def read(self, *, delete: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys and values of a piece, each in one string."""
        first = True
        while True:
            count = ctypes.c_uint32(self._room)
            more = self._call(_LOOKUP_AND_DELETE_BATCH if delete else _LOOKUP_BATCH, count, first=first)
            if count.value:
                key_size, value_size = self._sizes
                yield self._keys.raw[: count.value * key_size], self._values.raw[: count.value * value_size]
            if not more:
                return
            first = False

    def _call(self, command: int, count: ctypes.c_uint32, *, first: bool) -> bool:
        cursor = ctypes.addressof(self._cursor)
        attributes = struct.pack(
            "=QQQQIIQQ",
            0 if first else cursor,
            cursor,
            ctypes.addressof(self._keys),
            ctypes.addressof(self._values),
            count.value,
            self._fd,
            0,
            0,
        )
        buffer = ctypes.create_string_buffer(attributes.ljust(144, b"\0"), 144)
        result = _libc.syscall(_NUMBERS[platform.machine()][0], command, buffer, 144)
        count.value = struct.unpack_from("=I", buffer.raw, 32)[0]
        if result == 0:
            return True
        if ctypes.get_errno() == 2:
            return False
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def delete(self, keys: bytes) -> None:
        """Delete entries; those that are gone already do not matter."""
        size = self._sizes[0]
        for start in range(0, len(keys), size * self._room):
            part = keys[start : start + size * self._room]
            while part:
                buffer = ctypes.create_string_buffer(part, len(part))
                packed = struct.pack("=QQQQIIQQ", 0, 0, ctypes.addressof(buffer), 0, len(part) // size, self._fd, 0, 0)
                attributes = ctypes.create_string_buffer(packed.ljust(144, b"\0"), 144)
                if _libc.syscall(_NUMBERS[platform.machine()][0], _DELETE_BATCH, attributes, 144) == 0:
                    break
                done = int(struct.unpack_from("=I", attributes.raw, 32)[0])
                part = part[(done + 1) * size :]


class PrivateMounts:
    """A mount namespace of this thread: what is mounted in it nobody else sees, and it ends with the process."""

    def __init__(self) -> None:
        self._outer = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
        _checked(_libc.unshare(_NEW_MOUNTS))
        _checked(_libc.mount(b"none", b"/", None, _REC | _SLAVE, None))

    def mount(self, kind: str, where: str) -> None:
        """Mount a file system without a device."""
        _checked(_libc.mount(b"none", where.encode(), kind.encode(), 0, None))

    def leave(self) -> None:
        """Go back to the mounts of everyone."""
        _checked(_libc.setns(self._outer, _NEW_MOUNTS))
        os.close(self._outer)


def die_with_parent() -> None:
    """Let the kernel end this process when its parent ends."""
    _libc.prctl(1, 9, 0, 0, 0)
