r"""Regular expressions as servers read them (RE2's syntax), run by Python's engine.

A pattern is read token by token and written anew, so that both engines mean the same: ``\d``, ``\w``, ``\s`` and ``\b``
are ASCII, ``$`` and ``\z`` are the very end, POSIX classes and ``\Q…\E`` are spelled out, flags inside the pattern hold
to the end of their group. What RE2 has not (look-around, back references, possessive repeats) is refused as there; what
only RE2 has (``\p{…}``, ``(?U)``) is refused with a word about servers.

RE2 takes linear time, Python backtracks. A repeated group whose turns can be cut in several ways (``(a+)+``,
``(a|a)*``) could take for ever on hostile input and is refused too; a group that begins or ends with a separator
(``(/[^/]+)*``, ``([a-z]+\.)*``) is fine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from installer.domain.flows.filter_error import FilterError

_POSIX: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t\x20",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": r"\x20-~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r\x20",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_CLASSES: Final = {"d": _POSIX["digit"], "w": _POSIX["word"], "s": r"\t\n\f\r\x20"}
_NEGATED: Final = {
    "D": r"\x00-/:-\U0010ffff",
    "W": r"\x00-/:-@\[-\^`{-\U0010ffff",
    "S": r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff",
}
_CONTROL: Final = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_REPEAT: Final = re.compile(r"[*+?]|\{(\d+)(,(\d*))?\}")
_FLAGS: Final = re.compile(r"\?(?P<on>[imsU]*)(-(?P<off>[imsU]+))?(?P<end>[:)])")
_NAME: Final = re.compile(r"\?P?<([A-Za-z0-9_]+)>")
_HEX: Final = re.compile(r"x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
_OCTAL: Final = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}")
_MOST_REPEATS: Final = 1000


class BeyondPythonError(FilterError):
    """RE2 takes the expression, but it cannot be run here."""


@dataclass(slots=True)
class _Atom:
    """One piece of a branch. ``literal``: the one character it stands for; ``chars``: tests what it may match."""

    text: str
    literal: str = ""
    single: bool = True
    endless: bool = False
    optional: bool = False
    nested: bool = False


@dataclass(slots=True)
class _Group:
    """An open group: its branches so far, and the flags switched on inside it."""

    head: str
    multiline: bool
    branches: list[list[_Atom]] = field(default_factory=lambda: [[]])
    flags: str = ""
    risky: bool = False

    @property
    def branch(self) -> list[_Atom]:
        return self.branches[-1]

    def text(self) -> str:
        parts = ("".join(atom.text for atom in branch) + ")" * self._open(branch) for branch in self.branches)
        return self.head + "|".join(parts) + ")"

    @staticmethod
    def _open(branch: list[_Atom]) -> int:
        return sum(1 for atom in branch if atom.text.startswith("(?") and atom.text.endswith(":"))


@lru_cache(maxsize=256)
def compile_re2(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern; ``search`` it, servers do not anchor.

    Raises:
        FilterError: E-FILTER-005.
    """
    try:
        return re.compile(_Translator(pattern).translate())
    except (re.error, OverflowError, RecursionError) as error:
        raise _refused(pattern, str(error)) from error


def _refused(pattern: str, why: str, fix: str = "", kind: type[FilterError] = FilterError) -> FilterError:
    return kind(
        f"error parsing regexp: {why}",
        why=f"the pattern is {pattern}",
        fix=fix or "write it in RE2's syntax: https://github.com/google/re2/wiki/Syntax",
        code="E-FILTER-005",
    )


class _Translator:
    """Reads one pattern once from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._groups = [_Group("(?:", multiline=False)]

    def translate(self) -> str:
        while self._at < len(self._pattern):
            self._step()
        if len(self._groups) > 1:
            raise self._error("missing closing ): `%s`", self._pattern)
        return self._groups[0].text()

    def _step(self) -> None:
        char = self._pattern[self._at]
        reader = _READERS.get(char)
        if reader is not None:
            reader(self)
        elif _REPEAT.match(self._pattern, self._at):
            self._repeat()
        else:
            self._at += 1
            self._literal(char)

    # Pieces.

    def _literal(self, char: str) -> None:
        self._add(_Atom(_plain(char), literal=char))

    def _add(self, atom: _Atom) -> None:
        self._groups[-1].branch.append(atom)

    def read_dot(self) -> None:
        self._at += 1
        self._add(_Atom("."))

    def read_caret(self) -> None:
        self._at += 1
        self._add(_Atom("^", single=False))

    def read_dollar(self) -> None:
        self._at += 1
        self._add(_Atom("$" if self._groups[-1].multiline else r"\Z", single=False))

    def read_bar(self) -> None:
        self._at += 1
        group = self._groups[-1]
        group.branches.append([_Atom(f"(?{group.flags}:", single=False)] if group.flags else [])

    # Repeats.

    def _repeat(self) -> None:
        match = _REPEAT.match(self._pattern, self._at)
        assert match is not None
        start, self._at = self._at, match.end()
        self._check_counts(match)
        lazy = self._pattern.startswith("?", self._at)
        self._at += lazy
        if _REPEAT.match(self._pattern, self._at):
            raise self._error("invalid nested repetition operator: `%s`", self._pattern[start : self._at + 1])
        branch = self._groups[-1].branch
        if not branch or branch[-1].text.endswith(":"):
            raise self._error("missing argument to repetition operator: `%s`", match[0])
        self._repeat_atom(branch[-1], match[0], "?" if lazy else "")

    def _check_counts(self, match: re.Match[str]) -> None:
        low, high = match[1], match[3]
        if low and (int(low) > _MOST_REPEATS or (high and (int(high) > _MOST_REPEATS or int(high) < int(low)))):
            raise self._error("invalid repeat count: `%s`", match[0])

    def _repeat_atom(self, atom: _Atom, times: str, lazy: str) -> None:
        many = times not in ("?", "{0}", "{1}", "{0,1}", "{,1}")
        if many and atom.nested:
            raise _refused(
                self._pattern,
                "a repeated group that can match one text in many ways takes too long here",
                "begin or end the group with a separator, as in (/[^/]+)*, or leave the inner repeat out",
                BeyondPythonError,
            )
        if atom.text in ("^", "$", r"\Z") or not atom.single:
            atom.text = f"(?:{atom.text})"
        atom.endless = atom.endless or times in ("*", "+") or times.endswith(",}") or (many and times[0] == "{")
        atom.optional = times in ("*", "?") or times.startswith(("{0", "{,"))
        atom.literal = "" if many or atom.optional else atom.literal
        atom.text += times + lazy

    # Groups.

    def read_open(self) -> None:
        self._at += 1
        named, flags = _NAME.match(self._pattern, self._at), _FLAGS.match(self._pattern, self._at)
        multiline = self._groups[-1].multiline
        if named:
            self._at = named.end()
        elif flags:
            self._flags(flags)
            return
        elif self._pattern.startswith("?", self._at):
            raise self._error("invalid or unsupported Perl syntax: `(%s`", self._pattern[self._at : self._at + 2])
        self._groups.append(_Group("(?:", multiline))

    def _flags(self, match: re.Match[str]) -> None:
        on, off = match["on"], match["off"] or ""
        if "U" in on + off:
            raise self._beyond("(?U) is understood by servers only: `%s`", self._pattern)
        if match["end"] == ")" and not on and not off:
            raise self._error("missing argument to repetition operator: `%s`", "?")
        self._at = match.end()
        spec = "".join(sorted(set(on))) + ("-" + "".join(sorted(set(off))) if off else "")
        multiline = (self._groups[-1].multiline or "m" in on) and "m" not in off
        if match["end"] == ":":
            self._groups.append(_Group(f"(?{spec}:", multiline))
            return
        group = self._groups[-1]
        group.multiline = multiline
        group.flags = _joined(group.flags, on, off)
        self._add(_Atom(f"(?{spec}:", single=False))

    def read_close(self) -> None:
        self._at += 1
        if len(self._groups) == 1:
            raise self._error("unexpected ): `%s`", self._pattern)
        group = self._groups.pop()
        atom = _Atom(group.text(), nested=_ambiguous(group))
        atom.endless = any(inner.endless for branch in group.branches for inner in branch)
        atom.optional = any(all(inner.optional for inner in branch) for branch in group.branches)
        self._add(atom)

    # Escapes and classes.

    def read_escape(self) -> None:
        if self._at + 1 >= len(self._pattern):
            raise self._error("trailing backslash at end of expression: `%s`", "")
        char = self._pattern[self._at + 1]
        if char in "AzbB":
            self._at += 2
            self._add(_Atom({"A": r"\A", "z": r"\Z", "b": r"(?a:\b)", "B": r"(?a:\B)"}[char], single=False))
        elif char == "Q":
            end = self._pattern.find(r"\E", self._at + 2)
            text = self._pattern[self._at + 2 : end if end >= 0 else None]
            self._at = end + 2 if end >= 0 else len(self._pattern)
            for letter in text:
                self._literal(letter)
        elif inside := self._shorthand():
            self._add(_Atom(f"[{inside}]"))
        else:
            self._literal(self._escaped_char())

    def _shorthand(self) -> str:
        r"""Read ``\d`` and its like; return what stands for it inside brackets."""
        char = self._pattern[self._at + 1 : self._at + 2]
        inside = _CLASSES.get(char) or _NEGATED.get(char) or ""
        if char in ("p", "P"):
            raise self._beyond("Unicode classes are understood by servers only: `%s`", self._pattern[self._at :][:3])
        self._at += 2 if inside else 0
        return inside

    def _escaped_char(self) -> str:
        rest = self._pattern[self._at + 1 :]
        if match := _HEX.match(rest):
            code, size = int(match[1] or match[2], 16), match.end()
        elif match := _OCTAL.match(rest):
            code, size = int(match[0], 8), match.end()
        elif rest[:1] in _CONTROL:
            code, size = ord(_CONTROL[rest[0]]), 1
        elif rest[:1] and rest[0].isascii() and not rest[0].isalnum():
            code, size = ord(rest[0]), 1
        else:
            raise self._error("invalid escape sequence: `%s`", "\\" + rest[:1])
        if code > 0x10FFFF:
            raise self._error("invalid escape sequence: `%s`", "\\" + rest[:size])
        self._at += 1 + size
        return chr(code)

    def read_class(self) -> None:
        start = self._at
        self._at += 1
        negated = self._pattern.startswith("^", self._at)
        self._at += negated
        parts: list[str] = []
        while not parts or not self._pattern.startswith("]", self._at):
            if self._at >= len(self._pattern):
                raise self._error("missing closing ]: `%s`", self._pattern[start:])
            parts.append(self._class_part())
        self._at += 1
        self._add(_Atom(f"[{'^' if negated else ''}{''.join(parts)}]"))

    def _class_part(self) -> str:
        if self._pattern.startswith("[:", self._at) and ":]" in self._pattern[self._at :]:
            return self._posix()
        if self._pattern[self._at] == "\\" and (inside := self._shorthand()):
            return inside
        low = self._class_char()
        if not self._pattern.startswith("-", self._at) or self._pattern.startswith("-]", self._at):
            return _in_class(low)
        self._at += 1
        high = self._class_char()
        if high < low:
            raise self._error("invalid character class range: `%s`", f"{low}-{high}")
        return f"{_in_class(low)}-{_in_class(high)}"

    def _class_char(self) -> str:
        if self._at >= len(self._pattern):
            raise self._error("missing closing ]: `%s`", self._pattern)
        char = self._pattern[self._at]
        if char == "\\":
            return self._escaped_char()
        self._at += 1
        return char

    def _posix(self) -> str:
        end = self._pattern.index(":]", self._at)
        name = self._pattern[self._at + 2 : end]
        if name.removeprefix("^") not in _POSIX:
            raise self._error("invalid character class range: `%s`", f"[:{name}:]")
        if name.startswith("^"):
            raise self._beyond("negated POSIX classes are understood by servers only: `%s`", f"[:{name}:]")
        self._at = end + 2
        return _POSIX[name]

    def _error(self, why: str, piece: str) -> FilterError:
        return _refused(self._pattern, why % piece)

    def _beyond(self, why: str, piece: str) -> FilterError:
        return _refused(self._pattern, why % piece, kind=BeyondPythonError)


_READERS: Final[dict[str, Callable[[_Translator], None]]] = {
    "(": _Translator.read_open,
    ")": _Translator.read_close,
    "|": _Translator.read_bar,
    "[": _Translator.read_class,
    "\\": _Translator.read_escape,
    ".": _Translator.read_dot,
    "^": _Translator.read_caret,
    "$": _Translator.read_dollar,
}


def _plain(char: str) -> str:
    return re.escape(char) if char.isascii() else char


def _in_class(char: str) -> str:
    return f"\\{char}" if char.isascii() and not char.isalnum() and char.isprintable() else _coded(char)


def _coded(char: str) -> str:
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _joined(flags: str, on: str, off: str) -> str:
    return "".join(sorted((set(flags) | set(on)) - set(off)))


def _ambiguous(group: _Group) -> bool:
    """Say whether turns of this group, repeated, could be cut in several ways."""
    branches = [[atom for atom in branch if atom.single] for branch in group.branches]
    if any(atom.nested for branch in branches for atom in branch):
        return True
    if len(branches) > 1:
        starts = [branch[0].literal if branch else "" for branch in branches]
        if "" in starts or len(set(starts)) < len(starts):
            return True
    return any(_loose(branch) for branch in branches)


def _loose(branch: list[_Atom]) -> bool:
    endless = [atom for atom in branch if atom.endless]
    if not endless:
        return any(atom.optional for atom in branch)
    return not any(
        edge.literal and not any(_may_match(atom, edge.literal) for atom in endless) for edge in (branch[0], branch[-1])
    )


def _may_match(atom: _Atom, char: str) -> bool:
    if not atom.text.startswith("[") and len(atom.text) > 3:
        return True
    return re.match(atom.text, char, re.IGNORECASE | re.DOTALL) is not None and bool(
        re.fullmatch(f"(?:{atom.text})", char, re.IGNORECASE | re.DOTALL)
    )
