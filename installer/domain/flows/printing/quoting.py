"""Go's ``%q``."""

from __future__ import annotations

_SHORT = {'"': '\\"', "\\": "\\\\"} | dict(zip("\a\b\f\n\r\t\v", ("\\" + letter for letter in "abfnrtv"), strict=True))


def quote(text: str) -> str:
    """Return the text in double quotes, with everything that does not print escaped."""
    return '"' + "".join(_SHORT.get(char) or (char if char.isprintable() else _code(char)) for char in text) + '"'


def _code(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
