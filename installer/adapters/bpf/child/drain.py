"""Empties what the programs gathered into rows. Layouts: ``bpf/*.c``; order of the rows: ``domain/tap/samples.py``."""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from installer.adapters.bpf.child.addresses import address, family_of
from installer.adapters.bpf.child.kernel import Batches
from installer.adapters.bpf.child.program import Loaded

Row = list[Any]

_FLOW = struct.Struct("=QQQIBB2xQQQII16s8x")
_DROP = struct.Struct("=QQQ16s")
_TUPLE = "16s16sHHBBBx"
_FLOW_KEY = struct.Struct(f"=Q{_TUPLE}")
_DROP_KEY = struct.Struct(f"=QIIIB3x{_TUPLE}")
_TCP = struct.Struct(f"=xBBxIQQ{_TUPLE}II16s8x")
_DNS = struct.Struct(f"=4xIQQ{_TUPLE}IHBx")
_ROOM = 8192
_MOST_EVENTS = 20000
_CLOCK_MONOTONIC_COARSE = 6
TICK = round(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * 1e9)
"""Nanoseconds between two ticks of the kernel (1/HZ), in which it tells when a flow had its last packet."""
_GRACE = 100_000_000
_IDLE, _CLOSED_IDLE = 120_000_000_000, 10_000_000_000
_FIN_RST = 5
_INGRESS = 2
_FROM_PEER = (3, 7)
"""Events that the other side began: connections accepted, resets received. The kernel tells them from our side."""


class Flows:
    """Reads what flows grew by.

    Args:
        loaded: the programs.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._batches = Batches(loaded.bpf["tap_flows"].map_fd, _FLOW_KEY.size, _FLOW.size, _ROOM)
        self._before: dict[bytes, tuple[int, int, int]] = {}
        self._scanned = 0
        self._deleted = 0
        self.spaces: set[int] = set()
        self.groups: set[int] = set()
        self.present = 0

    def rows(self, epoch: int) -> Iterator[Row]:
        """Yield a row for every flow that had packets since the last call.

        Args:
            epoch: UNIX nanoseconds of the kernel's clock's zero.
        """
        now = time.monotonic_ns()
        since, self._scanned, self.present = self._scanned - _GRACE, now, 0
        before, idle = self._before, []
        for keys, values in self._batches.read():
            self.present += len(keys) // _FLOW_KEY.size
            for index, value in enumerate(_FLOW.iter_unpack(values)):
                last = last_packet(value[6], value[7], value[3], now)
                if last < since and not (last < now - _CLOSED_IDLE):
                    continue
                key = keys[index * 48 : index * 48 + 48]
                if last < since and key in before:
                    if last < now - _IDLE or value[4] & _FIN_RST:
                        idle.append(key)
                    continue
                packets, size, payload = before.get(key, (0, 0, 0))
                if value[0] <= packets:
                    if value[0] == packets:
                        continue
                    packets = size = payload = 0
                before[key] = value[0], value[1], value[2]
                yield self._row(key, value, (value[0] - packets, value[1] - size, value[2] - payload), last, epoch)
        self._forget(idle)

    def evicted(self, created: int) -> int:
        """Return how many flows the kernel threw out of its full table, of those created before the last scan."""
        return max(0, created - self._deleted - self.present)

    def _row(self, key: bytes, value: tuple[Any, ...], grown: tuple[int, int, int], last: int, epoch: int) -> Row:
        _, source, target, sport, dport, protocol, family, direction = _FLOW_KEY.unpack(key)
        _, _, _, _, flags, reply, first, _, group, space, pid, comm = value
        self.spaces.add(space)
        self.groups.add(group)
        where = [address(source), address(target), sport, dport, protocol, family, direction, space]
        return [*where, group, pid, text(comm), flags, reply, *grown, first + epoch, last + epoch]

    def _forget(self, keys: list[bytes]) -> None:
        if keys:
            self._batches.delete(b"".join(keys))
            self._deleted += len(keys)
            self.present -= len(keys)
            for key in keys:
                self._before.pop(key, None)
        if len(self._before) > 2 * max(self.present, _ROOM):
            self._before.clear()


def last_packet(first: int, began: int, last: int, now: int) -> int:
    """Return when a flow had its last packet, on the kernel's clock.

    Args:
        first: the first packet, in nanoseconds.
        began: the same moment in ticks.
        last: the lower 32 bits of the last packet's ticks; they go round in weeks.
        now: nanoseconds.
    """
    ticks = (last - began) & 0xFFFFFFFF
    rounds = ((now - first) // TICK - ticks + 0x80000000) >> 32
    return first + (ticks + (rounds << 32)) * TICK


class Drops:
    """Reads and empties the table of drops.

    Args:
        loaded: the programs.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._batches = Batches(loaded.bpf["tap_drops"].map_fd, _DROP_KEY.size, _DROP.size, _ROOM)
        self._symbol = lru_cache(maxsize=4096)(lambda place: loaded.bpf.ksym(place).decode(errors="replace"))
        self._reasons = loaded.reasons
        self.spaces: set[int] = set()

    def rows(self, epoch: int) -> Iterator[Row]:
        """Yield a row for every tuple, reason and place that had drops since the last call."""
        for keys, values in self._batches.read(delete=True):
            for key, value in zip(_DROP_KEY.iter_unpack(keys), _DROP.iter_unpack(values)):  # noqa: B905 - Python 3.9
                place, reason, space, index, flags, source, target, sport, dport, protocol, family, direction = key
                packets, size, last, device = value
                self.spaces.add(space)
                word = self._reasons.get(reason, f"REASON_{reason}" if reason else "UNKNOWN")
                where = [address(source), address(target), sport, dport, protocol, family, direction]
                more = [word, self._symbol(place), index, text(device), flags, packets, size, last + epoch]
                yield [*where, space, *more]


class Events:
    """Takes events out of the ring.

    Args:
        loaded: the programs.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._bpf = loaded.bpf
        self._reasons = loaded.reset_reasons
        self._raw: list[bytes] = []
        self.spaces: set[int] = set()
        loaded.bpf["tap_events"].open_ring_buffer(self._take)

    def _take(self, context: object, data: int, size: int) -> int:
        del context
        self._raw.append(ctypes.string_at(data, size))
        return 0 if len(self._raw) < _MOST_EVENTS else -1

    def wait(self, seconds: float) -> None:
        """Wait for events, not longer than this."""
        self._bpf.ring_buffer_poll(max(1, int(seconds * 1000)))

    def rows(self, epoch: int) -> tuple[list[Row], list[Row]]:
        """Return what came: events of TCP, and messages of DNS."""
        raw, self._raw = self._raw, []
        tcp, dns = [], []
        for event in raw:
            if event[0] == 1:
                tcp.append(self._tcp(event, epoch))
            else:
                dns.append(self._dns(event, epoch))
        return tcp, dns

    def _tcp(self, event: bytes, epoch: int) -> Row:
        what, state, space, when, lasted, *rest = _TCP.unpack_from(event)
        source, target, sport, dport, protocol, family, direction, pid, reason, comm = rest
        self.spaces.add(space)
        if what in _FROM_PEER:
            source, target, sport, dport, direction = target, source, dport, sport, _INGRESS
        family = family_of(source)
        where = [address(source), address(target), sport, dport, protocol, family, direction, space]
        word = self._reasons.get(reason, str(reason)) if reason else ""
        return [*where, what, state, lasted, pid, text(comm), word, when + epoch]

    def _dns(self, event: bytes, epoch: int) -> Row:
        space, when, group, *rest = _DNS.unpack_from(event)
        source, target, sport, dport, protocol, family, direction, pid, length, reply = rest
        self.spaces.add(space)
        where = [address(source), address(target), sport, dport, protocol, family, direction, space]
        return [*where, group, pid, reply, event[_DNS.size : _DNS.size + length].hex(), when + epoch]


def text(raw: bytes) -> str:
    """Return a text of the kernel, which ends at its first zero."""
    return raw.partition(b"\0")[0].decode(errors="replace")
