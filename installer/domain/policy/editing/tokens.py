"""One line of YAML as coloured parts; made for highlighting, so that broken text is fine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple


class Token(NamedTuple):
    """A part of a line.

    Attributes:
        start: its first character.
        end: the character after its last.
        kind: ``key``, ``mark`` (dashes, colons, brackets), ``string``, ``number``, ``word`` (true ...), ``comment``,
            ``document`` (``---``) or ``tab`` (which YAML does not take as indentation).
    """

    start: int
    end: int
    kind: str


_INDENT_TAB = re.compile(r"^ *(\t+)")
_DOCUMENT = re.compile(r"^(---|\.\.\.)(?=\s|$)")
_DASH = re.compile(r" *(-)(?= |$)")
_KEY = re.compile(
    r""" *("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#\[\]{},'"&*!|>%@-][^#\[\]{},]*?|-[^\s#][^#]*?)\s*(:)(?= |$)"""
)
_SCALAR = re.compile(
    r"""(?P<comment>(?:(?<=\s)|^)\#.*)|(?P<string>"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?)|(?P<mark>[\[\]{},:](?=\s|$|[\[\]{},"'\w]))"""
    r"""|(?P<word>[&*][\w-]+|\b(?:true|false|null|yes|no|on|off)\b(?=[\s,\]}]|$))|(?P<number>(?<![\w.-])-?\d+(?:\.\d+)?(?=[\s,\]}]|$))"""
    r"""|(?P<plain>[^\s\[\]{},"'\#]+)|(?P<other>\S)"""
)


@lru_cache(maxsize=4096)
def tokens(line: str) -> tuple[Token, ...]:
    """Return the parts of a line that have a colour, in order."""
    return tuple(_tokens(line))


def _tokens(line: str) -> Iterator[Token]:
    at = 0
    if found := _INDENT_TAB.match(line):
        yield Token(found.start(1), found.end(1), "tab")
        at = found.end()
    if found := _DOCUMENT.match(line):
        yield Token(0, 3, "document")
        at = 3
    while found := _DASH.match(line, at):
        yield Token(found.start(1), found.end(1), "mark")
        at = found.end()
    if found := _KEY.match(line, at):
        yield Token(found.start(1), found.end(1), "key")
        yield Token(found.start(2), found.end(2), "mark")
        at = found.end()
    for found in _SCALAR.finditer(line, at):
        kind = found.lastgroup or "plain"
        if kind == "plain":
            kind = "string"
        if kind != "other":
            yield Token(found.start(), found.end(), kind)
