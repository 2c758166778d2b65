"""The bpf(2) system call through ctypes: programs, maps and links without a compiler, headers or libraries."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
_MAP_CREATE, _LOOKUP, _UPDATE, _PROG_LOAD, _OBJ_PIN = 0, 1, 2, 5, 6
_ATTACH, _DETACH, _TEST_RUN, _INFO, _FREEZE, _LOOKUP_BATCH, _LINK_CREATE = 8, 9, 10, 15, 22, 24, 28
_LOG_BYTES = 1 << 18
_LICENSE = ctypes.create_string_buffer(b"GPL")
_libc = ctypes.CDLL(None, use_errno=True)


class BpfError(OSError):
    """The kernel refused a call.

    Attributes:
        log: what the verifier says; empty where it was not asked.
    """

    def __init__(self, number: int, log: str = ""):
        super().__init__(number, os.strerror(number))
        self.log = log

    @property
    def last_line(self) -> str:
        """The verifier's last line that says something."""
        lines = [line.strip() for line in self.log.splitlines()]
        telling = [line for line in lines if line and not line.startswith(("processed ", "verification time"))]
        return telling[-1] if telling else ""


def call(command: int, attributes: bytes) -> int:
    """Make a bpf(2) call and return its result.

    Raises:
        BpfError: the kernel refused; ``ENOSYS`` where the machine's number of the call is not known.
    """
    return exchange(command, ctypes.create_string_buffer(attributes, len(attributes)))


def exchange(command: int, attributes: ctypes.Array[ctypes.c_char]) -> int:
    """Make a call whose attributes the kernel may also write to, and return its result.

    Raises:
        BpfError: as for ``call``.
    """
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise BpfError(errno.ENOSYS)
    result = int(_libc.syscall(number, command, attributes, len(attributes)))
    if result < 0:
        raise BpfError(ctypes.get_errno())
    return result


@contextmanager
def opened(fd: int) -> Iterator[int]:
    """Close a file descriptor at the end; that is what removes a map, a program, or a link."""
    try:
        yield fd
    finally:
        os.close(fd)


def load(kind: int, code: bytes, hook: int = 0) -> int:
    """Load a program and return its file descriptor.

    Args:
        kind: program type.
        code: instructions, 8 bytes each.
        hook: expected attach type.

    Raises:
        BpfError: refused, with the verifier's log.
    """
    try:
        return _load(kind, code, hook, None)
    except BpfError as error:
        if error.errno in (errno.EPERM, errno.ENOSYS):
            raise
    log = ctypes.create_string_buffer(_LOG_BYTES)
    try:
        return _load(kind, code, hook, log)
    except BpfError as error:
        raise BpfError(error.errno or 0, log.value.decode(errors="replace")) from None


def _load(kind: int, code: bytes, hook: int, log: ctypes.Array[ctypes.c_char] | None) -> int:
    instructions = ctypes.create_string_buffer(code, len(code))
    level, size, address = (1, _LOG_BYTES, ctypes.addressof(log)) if log is not None else (0, 0, 0)
    places = (kind, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(_LICENSE), level, size, address)
    return call(_PROG_LOAD, struct.pack("=IIQQIIQII16sII", *places, 0, 0, b"beeyard_proof", 0, hook))


def create_map(kind: int, key: int, value: int, entries: int, *, flags: int = 0, inner: int = 0) -> int:
    """Create a map and return its file descriptor.

    Args:
        kind: map type.
        key: bytes of a key.
        value: bytes of a value.
        entries: how many at most.
        flags: of the creation.
        inner: file descriptor of a map like those that are to be in it.
    """
    return call(_MAP_CREATE, struct.pack("=IIIIIII16s", kind, key, value, entries, flags, inner, 0, b"beeyard_proof"))


def update(fd: int, key: bytes, value: bytes) -> None:
    """Write an entry of a map."""
    keys, values = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
    call(_UPDATE, struct.pack("=IxxxxQQQ", fd, ctypes.addressof(keys), ctypes.addressof(values), 0))


def look_up(fd: int, key: bytes, size: int) -> bytes:
    """Read an entry of a map, of so many bytes (all CPUs together)."""
    keys, values = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(size)
    call(_LOOKUP, struct.pack("=IxxxxQQQ", fd, ctypes.addressof(keys), ctypes.addressof(values), 0))
    return values.raw


def count_batch(fd: int, key: int, value: int, entries: int) -> int:
    """Read a map in one batch; return how many entries came."""
    position = ctypes.create_string_buffer(8)
    keys, values = ctypes.create_string_buffer(key * entries), ctypes.create_string_buffer(value * entries)
    places = (0, ctypes.addressof(position), ctypes.addressof(keys), ctypes.addressof(values), entries, fd, 0, 0)
    attributes = ctypes.create_string_buffer(struct.pack("=QQQQIIQQ", *places))
    number = _NUMBERS.get(platform.machine(), -1)
    if _libc.syscall(number, _LOOKUP_BATCH, attributes, 56) < 0 and ctypes.get_errno() != errno.ENOENT:
        raise BpfError(ctypes.get_errno())  # ENOENT: the whole map was read
    return int(struct.unpack_from("=I", attributes.raw, 32)[0])


def freeze(fd: int) -> None:
    """Let nobody write a map from outside any more."""
    call(_FREEZE, struct.pack("=I", fd))


def pin(fd: int, path: str) -> None:
    """Give a map or program a name in a BPF file system."""
    name = ctypes.create_string_buffer(path.encode())
    call(_OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), fd, 0))


def run(fd: int, packet: bytes = bytes(64)) -> int:
    """Run a program on a packet and return what it returned."""
    data = ctypes.create_string_buffer(packet, len(packet))
    places = (fd, 0, len(packet), 0, ctypes.addressof(data), 0, 1, 0)
    attributes = ctypes.create_string_buffer(struct.pack("=IIIIQQII", *places))
    number = _NUMBERS.get(platform.machine(), -1)
    if _libc.syscall(number, _TEST_RUN, attributes, 40) < 0:
        raise BpfError(ctypes.get_errno())
    return int(struct.unpack_from("=I", attributes.raw, 4)[0])


def native_size(fd: int) -> int:
    """Return the bytes of a program's machine code; 0 where it is interpreted."""
    info = ctypes.create_string_buffer(32)
    call(_INFO, struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)))
    return int(struct.unpack_from("=I", info.raw, 16)[0])


def link(program: int, target: int, hook: int) -> int:
    """Attach a program by a link, which goes with its file descriptor; return that.

    Args:
        program: file descriptor of the program.
        target: file descriptor of a cgroup, or index of a network device.
        hook: attach type.
    """
    return call(_LINK_CREATE, struct.pack("=IIII", program, target, hook, 0) + bytes(32))


def attach(program: int, target: int, hook: int) -> None:
    """Attach a program to a cgroup the way kernels before 5.7 do."""
    call(_ATTACH, struct.pack("=IIII", target, program, hook, 0))


def detach(program: int, target: int, hook: int) -> None:
    """Detach it."""
    call(_DETACH, struct.pack("=IIII", target, program, hook, 0))
