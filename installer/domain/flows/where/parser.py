"""Text to tree: recursive descent, with the place of every mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from installer.domain.flows.filter_flag_table import FLAGS
from installer.domain.flows.filter_flags import FlagValue
from installer.domain.flows.where.fault import FieldValueError, WhereError, nearest
from installer.domain.flows.where.fields import ALONE, Field, field_names, find_field
from installer.domain.flows.where.kinds import check_compare
from installer.domain.flows.where.syntax import (
    EVERYTHING,
    KEYWORDS,
    Compare,
    Expression,
    Flags,
    Not,
    Word,
    conjunction,
    disjunction,
)

_WORD: Final = re.compile(r"""[^\s()=!<>~,"'&|]+""")
_OPERATOR: Final = re.compile(r"==|!=|!~|<=|>=|=|~|<|>")
_VALUE: Final = re.compile(r"""[^\s(),]+""")
_SHELL_WORD: Final = re.compile(r"""[^\s()"']+""")
_SHORT_FLAGS: Final = {flag.short: flag.name for flag in FLAGS.values() if flag.short}
_PASTED: Final = re.compile(r"\s*(\$\s+)?((hubble|beeyard|cilium\s+hubble)\s+)?observe(\s+flows)?(?=\s|\Z)")
_OTHER_FLAGS: Final = {
    **dict.fromkeys(("follow", "all", "debug", "print-node-name", "print-policy-names", "numeric"), False),
    **dict.fromkeys(("silent-errors", "tls", "port-forward", "tls-allow-insecure", "ip-translation"), False),
    **dict.fromkeys(("last", "first", "since", "until", "output", "server", "color", "time-format"), True),
    **dict.fromkeys(("input-file", "kube-context", "kubeconfig", "kube-namespace", "timeout"), True),
}
_OTHER_SHORT: Final = {"f": False, "o": True, "D": False, "s": False, "P": False}
_RAW_FLAGS: Final = ("allowlist", "denylist")
_DEEPEST: Final = 60
_LONGEST: Final = 20_000


def parse(text: str) -> Expression:
    """Return the expression; an empty text lets everything through.

    Raises:
        WhereError: E-WHERE-001 to 004.
    """
    if len(text) > _LONGEST:
        raise WhereError("the expression is too long", text[:60], 0, 60, code="E-WHERE-001")
    return _Parser(text).parse()


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        pasted = _PASTED.match(text)
        self._at = pasted.end() if pasted and pasted.end() < len(text.rstrip()) else 0
        self._depth = 0

    def parse(self) -> Expression:
        self._space()
        if self._at >= len(self._text):
            return EVERYTHING
        item = self._or()
        if self._at < len(self._text):
            raise self._fault(f"unexpected {self._text[self._at]}", self._at, self._at + 1)
        return item

    # Operators.

    def _or(self) -> Expression:
        items = [self._and()]
        while self._keyword("or", "||"):
            items.append(self._and())
        return disjunction(items)

    def _and(self) -> Expression:
        items = [self._not()]
        while self._keyword("and", "&&") or self._starts_term():
            items.append(self._not())
        return conjunction(items)

    def _not(self) -> Expression:
        start = self._at
        if not self._keyword("not", "!"):
            return self._term()
        with self._deeper(start):
            return Not(self._not())

    def _deeper(self, start: int) -> _Depth:
        if self._depth >= _DEEPEST:
            raise self._fault("the expression is nested too deeply", start, start + 1)
        return _Depth(self._change_depth)

    def _change_depth(self, by: int) -> None:
        self._depth += by

    def _starts_term(self) -> bool:
        self._space()
        if self._at >= len(self._text) or self._text[self._at] in "),|&":
            return False
        word = _WORD.match(self._text, self._at)
        return word is None or word[0].lower() != "or"

    # Terms.

    def _term(self) -> Expression:
        self._space()
        start = self._at
        char = self._text[start : start + 1]
        if char == "(":
            return self._parenthesis()
        if char in ('"', "'") and char:
            return Word(self._quoted())
        if char == "-":
            return self._flags()
        word = _WORD.match(self._text, start)
        if word is None:
            raise self._fault(f"unexpected {char}" if char else "something is missing", start, start + 1)
        if word[0].lower() in KEYWORDS:
            raise self._fault(f"unexpected {word[0]}", start, word.end(), 'quote it to look for the word: "and"')
        self._at = word.end()
        return self._comparison(word[0], start)

    def _parenthesis(self) -> Expression:
        start = self._at
        with self._deeper(start):
            self._at += 1
            item = self._or()
            self._space()
            if not self._text.startswith(")", self._at):
                raise self._fault("the parenthesis is not closed", start, start + 1, "add )")
            self._at += 1
            return item

    def _comparison(self, word: str, start: int) -> Expression:
        self._space()
        after = self._at
        operator = _OPERATOR.match(self._text, after)
        if operator:
            self._at = operator.end()
            field = self._field(word, start)
            return self._checked(field, operator[0].replace("==", "="), self._some_values(field, operator[0]), after)
        if (listed := self._in_list(word)) is not None:
            return self._checked(self._field(word, start), listed, self._list_of_values(), after)
        if word in ALONE:
            return Compare(word, "=", ("yes",))
        return Word(word)

    def _in_list(self, word: str) -> str | None:
        """Read ``in`` or ``not in`` after a field; a word before it that is none stays a word."""
        start = self._at
        negated = self._keyword("not")
        if self._keyword("in") and (find_field(word) or self._text[self._at :].lstrip().startswith("(")):
            return "!=" if negated else "="
        self._at = start
        return None

    def _field(self, word: str, start: int) -> Field:
        field = find_field(word)
        if field is None:
            fix = nearest(word, field_names()) or "fields are listed in docs/observe-filters.md"
            raise WhereError(f"unknown field {word}", self._text, start, start + len(word), fix=fix, code="E-WHERE-002")
        return field

    def _checked(self, field: Field, operator: str, values: tuple[str, ...], start: int) -> Compare:
        item = Compare(field.name, operator, values)
        try:
            check_compare(field, item)
        except FieldValueError as fault:
            raise WhereError(
                fault.what, self._text, start, self._at, fix=fault.fix or f"as in {field.example}", code=fault.code
            ) from fault
        return item

    # Values.

    def _some_values(self, field: Field, operator: str) -> tuple[str, ...]:
        self._space()
        if operator in ("~", "!~"):
            return (self._pattern(),)
        if self._text.startswith("(", self._at):
            return self._list_of_values()
        values = [self._value()]
        while self._text.startswith(",", self._at):
            self._at += 1
            values.append(self._value())
        return (",".join(values),) if field.joins else tuple(values)

    def _list_of_values(self) -> tuple[str, ...]:
        self._space()
        start = self._at
        if not self._text.startswith("(", start):
            return (self._value(),)
        self._at += 1
        values = [self._value()]
        while not self._text.startswith(")", self._at):
            if not self._text.startswith(",", self._at):
                raise self._fault("the list is not closed", start, start + 1, "separate values by commas and add )")
            self._at += 1
            values.append(self._value())
        self._at += 1
        return tuple(values)

    def _value(self) -> str:
        self._space()
        if self._text[self._at : self._at + 1] in ('"', "'") and self._at < len(self._text):
            value = self._quoted()
        elif match := _VALUE.match(self._text, self._at):
            self._at = match.end()
            value = match[0]
        else:
            raise self._fault("a value is missing", self._at, self._at + 1, 'write "" for an empty value')
        if self._at < len(self._text) and self._text[self._at] not in "),":
            end = self._at
            self._space()
            if not self._text.startswith((",", ")"), self._at):
                self._at = end
        return value

    def _pattern(self) -> str:
        """Read a regular expression: quoted, or up to a space or a closing parenthesis that it did not open."""
        if self._text[self._at : self._at + 1] in ('"', "'"):
            return self._value()
        start, depth = self._at, 0
        while self._at < len(self._text) and not self._text[self._at].isspace():
            char = self._text[self._at]
            depth += (char == "(") - (char == ")")
            if depth < 0:
                break
            self._at += 2 if char == "\\" else 1
        self._at = min(self._at, len(self._text))
        if self._at == start:
            raise self._fault("a pattern is missing", start, start + 1)
        return self._text[start : self._at]

    def _quoted(self) -> str:
        start, mark = self._at, self._text[self._at]
        out, at = [], start + 1
        while at < len(self._text) and self._text[at] != mark:
            if self._text[at] == "\\" and mark == '"' and self._text[at + 1 : at + 2] in ('"', "\\"):
                at += 1
            out.append(self._text[at])
            at += 1
        if at >= len(self._text):
            raise self._fault("the quotation is not closed", start, start + 1, f"add {mark}")
        self._at = at + 1
        return "".join(out)

    # Flags.

    def _flags(self) -> Expression:
        found: list[FlagValue] = []
        while self._text.startswith("-", self._at):
            found.extend(self._flag())
            self._space()
        return Flags(tuple(found)) if found else EVERYTHING

    def _flag(self) -> list[FlagValue]:
        start = self._at
        word = self._shell_word()
        name, has_value, value = self._split_flag(word)
        takes_value = _takes_value(name)
        if takes_value is None:
            fix = nearest(name, FLAGS) or "see beeyard observe --help"
            raise WhereError(f"unknown flag {word}", self._text, start, self._at, fix=fix, code="E-WHERE-002")
        if takes_value and not has_value:
            self._space()
            value = self._shell_word()
        if name in FLAGS and not takes_value and not has_value:
            value = {"ipv4": "v4", "ipv6": "v6"}.get(name, "true")
        return [FlagValue(name, value)] if name in FLAGS or name in _RAW_FLAGS else []

    @staticmethod
    def _split_flag(word: str) -> tuple[str, bool, str]:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            return name, bool(equals), value
        letter, value = word[1:2], word[2:]
        return _SHORT_FLAGS.get(letter, letter), bool(value), value.removeprefix("=")

    def _shell_word(self) -> str:
        start, parts = self._at, []
        while self._at < len(self._text):
            if self._text[self._at] in "\"'":
                parts.append(self._quoted())
            elif match := _SHELL_WORD.match(self._text, self._at):
                parts.append(match[0])
                self._at = match.end()
            else:
                break
        if self._at == start:
            raise self._fault("a value is missing", start, start + 1)
        return "".join(parts)

    # Characters.

    def _space(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _keyword(self, word: str, sign: str = "") -> bool:
        self._space()
        if sign and self._text.startswith(sign, self._at):
            self._at += len(sign)
            return True
        match = _WORD.match(self._text, self._at)
        if match is None or match[0].lower() != word:
            return False
        self._at = match.end()
        return True

    def _fault(self, what: str, start: int, end: int, fix: str = "") -> WhereError:
        fix = fix or "as in verdict=dropped and dst.ns=prod"
        return WhereError(what, self._text, start, end, fix=fix, code="E-WHERE-001")


class _Depth:
    """Counts nesting while a block is open."""

    def __init__(self, change: Callable[[int], None]) -> None:
        self._change = change

    def __enter__(self) -> None:
        self._change(1)

    def __exit__(self, *_error: object) -> None:
        self._change(-1)


def _takes_value(name: str) -> bool | None:
    if name in FLAGS:
        return FLAGS[name].takes_value
    if name in _RAW_FLAGS:
        return True
    return _OTHER_FLAGS.get(name, _OTHER_SHORT.get(name))
