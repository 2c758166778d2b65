"""Offsets of fields of the running kernel's structures, from its BTF."""

from __future__ import annotations

import struct

_EXTRA = {1: 4, 14: 4, 17: 4}
_PER_ITEM = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
_STRUCT, _UNION = 4, 5
_PASSED_THROUGH = (8, 9, 10, 11, 18)
"""Kinds that only name or qualify another type: typedef, volatile, const, restrict, type tag."""


class Btf:
    """Types of one BTF blob.

    Args:
        blob: content of ``/sys/kernel/btf/vmlinux``.
        wanted: names of the structures that will be asked for.

    Raises:
        ValueError: it is no BTF.
    """

    def __init__(self, blob: bytes, wanted: tuple[str, ...]) -> None:
        if len(blob) < 24 or blob[:2] not in (b"\x9f\xeb", b"\xeb\x9f"):
            raise ValueError("not BTF")
        self._order = "<" if blob[:2] == b"\x9f\xeb" else ">"
        header, types, types_length, strings, _ = struct.unpack_from(f"{self._order}IIIII", blob, 4)
        self._blob = blob
        self._strings = header + strings
        self._places: list[int] = [0]
        self._structs: dict[str, int] = {}
        self._index(header + types, header + types + types_length, wanted)

    def _index(self, at: int, end: int, wanted: tuple[str, ...]) -> None:
        names = {name.encode() for name in wanted}
        starts = {self._blob.find(b"\0" + name + b"\0", self._strings) + 1 - self._strings: name for name in names}
        unpack = struct.Struct(f"{self._order}II").unpack_from
        add = self._places.append
        while at < end:
            name, info = unpack(self._blob, at)
            kind, count = (info >> 24) & 0x1F, info & 0xFFFF
            if kind == _STRUCT and count and name in starts:
                self._structs.setdefault(starts[name].decode(), len(self._places))
            add(at)
            at += 12 + _EXTRA.get(kind, 0) + (_PER_ITEM[kind] * count if kind in _PER_ITEM else 12 if kind == 3 else 0)

    def offset(self, path: str) -> int:
        """Return the offset in bytes of a field such as ``sk_buff.dev`` or ``net.ns.inum``.

        Raises:
            KeyError: there is no such field.
        """
        name, *fields = path.split(".")
        kind, total = self._structs[name], 0
        for field in fields:
            found = self._member(kind, field)
            if found is None:
                raise KeyError(path)
            bits, kind = found
            total += bits
        return total // 8

    def _member(self, number: int, wanted: str) -> tuple[int, int] | None:
        """Return offset in bits and type of a member, also of structures without a name inside."""
        at = self._places[self._resolved(number)]
        _, info = struct.unpack_from(f"{self._order}II", self._blob, at)
        if (info >> 24) & 0x1F not in (_STRUCT, _UNION):
            return None
        mask = 0xFFFFFF if info >> 31 else 0xFFFFFFFF
        for index in range(info & 0xFFFF):
            name, kind, offset = struct.unpack_from(f"{self._order}III", self._blob, at + 12 + index * 12)
            if name and self._text(name) == wanted:
                return offset & mask, kind
            inner = None if name else self._member(kind, wanted)
            if inner is not None:
                return (offset & mask) + inner[0], inner[1]
        return None

    def _resolved(self, number: int) -> int:
        while True:
            _, info, target = struct.unpack_from(f"{self._order}III", self._blob, self._places[number])
            if (info >> 24) & 0x1F not in _PASSED_THROUGH:
                return number
            number = target

    def _text(self, at: int) -> str:
        start = self._strings + at
        return self._blob[start : self._blob.index(b"\0", start)].decode()
