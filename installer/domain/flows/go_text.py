"""Texts as Go's standard library writes them, where our messages are to be the same."""

from __future__ import annotations

import re
from typing import Final

_SHORT: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}
_NUMBER: Final = {
    0: re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9][0-9]*)\Z"),
    10: re.compile(r"[0-9]+\Z"),
}


def quoted(text: str) -> str:
    """Return the text in double quotes, as ``%q`` does."""
    return '"' + "".join(_SHORT.get(char) or _escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse_uint(text: str, bits: int, base: int = 10) -> int:
    """Return the number, as ``strconv.ParseUint`` reads it (base 0: by prefix).

    Raises:
        ValueError: with Go's words.
    """
    head = f"strconv.ParseUint: parsing {quoted(text)}: "
    if not _NUMBER[base].match(text):
        raise ValueError(head + "invalid syntax")
    octal = base == 0 and len(text) > 1 and text[0] == "0" and text[1].isdigit()
    number = int(text, 8) if octal else int(text, base)
    if number >= 1 << bits:
        raise ValueError(head + "value out of range")
    return number
