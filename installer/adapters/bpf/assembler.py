"""Small BPF programs, put together instruction by instruction."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from installer.domain.kernel.trials import Stack

R0, R1, R2, R3, R6, R10 = 0, 1, 2, 3, 6, 10
_MAP_FD, _MAP_VALUE, _FUNCTION = 1, 2, 1


def _one(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    value &= 0xFFFFFFFF
    return struct.pack("=BBhI", code, target | source << 4, offset, value)


def move(target: int, value: int) -> bytes:
    """Put a number into a register."""
    return _one(0xB7, target, value=value)


def copy(target: int, source: int) -> bytes:
    """Copy a register."""
    return _one(0xBF, target, source)


def add(target: int, value: int) -> bytes:
    """Add a number to a register."""
    return _one(0x07, target, value=value)


def store(offset: int, value: int = 0) -> bytes:
    """Write 8 bytes of the stack."""
    return _one(0x7A, R10, offset=offset, value=value)


def read(target: int, source: int, offset: int = 0) -> bytes:
    """Read 4 bytes of memory into a register."""
    return _one(0x61, target, source, offset)


def call(helper: int) -> bytes:
    """Call a helper."""
    return _one(0x85, value=helper)


def map_fd(target: int, fd: int) -> bytes:
    """Put a map into a register."""
    return _one(0x18, target, _MAP_FD, value=fd) + _one(0)


def map_value(target: int, fd: int) -> bytes:
    """Put the address of an array's first value into a register."""
    return _one(0x18, target, _MAP_VALUE, value=fd) + _one(0)


LEAVE = _one(0x95)
PASS = move(R0, 1) + LEAVE
"""A program that returns 1: let it pass."""


def calls(helper: int, arguments: Sequence[str | int | Stack], result: int) -> bytes:
    """Return a program that calls a helper and returns a number."""
    code, depth = copy(R6, R1), 0
    setting = b""
    for register, argument in enumerate(arguments, 1):
        if isinstance(argument, Stack):
            words = (argument.size + 7) // 8
            code += b"".join(store(-depth - 8 * (word + 1)) for word in range(words))
            depth += 8 * words
            setting += copy(register, R10) + add(register, -depth)
        else:
            setting += copy(register, R6) if argument == "ctx" else move(register, int(argument))
    return code + setting + call(helper) + move(R0, result) + LEAVE


def _bounded_loop() -> bytes:
    # r1 counts down from 10: the verifier must see that the jump back ends.
    return move(R1, 10) + add(R1, -1) + _one(0x55, R1, offset=-2) + PASS


def _long() -> bytes:
    return move(R0, 1) * 4999 + LEAVE


def _short_jumps() -> bytes:
    return move(R0, 1) + _one(0x16, R0, offset=1, value=1) + move(R0, 0) + LEAVE


def _dead_code() -> bytes:
    # The branch that is never taken reads from address 0.
    return move(R0, 1) + _one(0x55, R0, offset=1, value=0) + read(R0, R0) + LEAVE


def _function() -> bytes:
    return _one(0x85, source=_FUNCTION, value=1) + LEAVE + PASS


def _look_up_socket(helper: int) -> bytes:
    """Look up a connection of nobody; what it returns is in r0, the context in r6."""
    tuple_ = store(-8) + store(-16)
    arguments = copy(R2, R10) + add(R2, -16) + move(R3, 12) + move(4, -1) + move(5, 0)
    return copy(R6, R1) + tuple_ + arguments + call(helper)


def _release() -> bytes:
    return copy(R1, 7) + call(86) + PASS


def _socket_lookup() -> bytes:
    found = copy(7, R0) + _release()
    return _look_up_socket(84) + _one(0x55, R0, offset=2, value=0) + PASS + found


def _assign() -> bytes:
    found = copy(7, R0) + copy(R1, R6) + copy(R2, 7) + move(R3, 0) + call(124) + _release()
    return _look_up_socket(99) + _one(0x55, R0, offset=2, value=0) + PASS + found


BODIES: dict[str, Callable[[], bytes]] = {
    "a bounded loop": _bounded_loop,
    "5000 instructions": _long,
    "32-bit jumps": _short_jumps,
    "dead code": _dead_code,
    "a function": _function,
    "a socket lookup": _socket_lookup,
    "sk_assign": _assign,
}
"""Program by name; each is for traffic control and returns 1."""


def tail_call(programs: int) -> bytes:
    """Return a program that goes on with the first program of a map, and returns 7 if it cannot."""
    return map_fd(R2, programs) + move(R3, 0) + call(12) + move(R0, 7) + LEAVE


def returns(number: int) -> bytes:
    """Return a program that returns a number."""
    return move(R0, number) + LEAVE


def reads_array(array: int) -> bytes:
    """Return a program that returns the first four bytes of an array's first value."""
    return map_value(R1, array) + read(R0, R1) + LEAVE
