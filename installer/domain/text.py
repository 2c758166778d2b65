"""Cluster text is hostile: make it safe for a terminal."""

from __future__ import annotations

import unicodedata

_KEEP = "\n\t"
_BIDI = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}


def printable(text: str) -> str:
    r"""Return the text with control codes and bidirectional marks replaced by a visible ``\xNN`` form."""
    return "".join(char if _is_plain(char) else _visible(char) for char in text)


def _is_plain(char: str) -> bool:
    return char in _KEEP or (char not in _BIDI and unicodedata.category(char) not in ("Cc", "Cs", "Co"))


def _visible(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    r"""Return the text as one line whose width can be counted.

    Tabs are four spaces; what is not printable (line ends, escapes, bidirectional marks) has the form ``\xNN``.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "    " if char == "\t" else _visible(char) for char in text)


def human_bytes(count: float) -> str:
    """Return a byte count for people: ``123 B``, ``4.5 MB`` (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def human_seconds(seconds: float) -> str:
    """Return a duration for people: ``0.4 s``, ``12 s``, ``3 min 5 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"
