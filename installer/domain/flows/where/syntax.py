"""Expressions as a tree, and their canonical text, which parses to the same tree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from installer.domain.flows.filter_flag_table import FLAGS
from installer.domain.flows.filter_flags import FlagValue

KEYWORDS: Final = frozenset({"and", "or", "not", "in"})
_BARE_VALUE: Final = re.compile(r"[A-Za-z0-9_./:*+@%=-]+\Z")
_BARE_WORD: Final = re.compile(r"[A-Za-z0-9_./:*+@%][A-Za-z0-9_./:*+@%-]*\Z")


@dataclass(frozen=True, slots=True)
class Compare:
    """A field against values: ``=`` and ``!=`` with any number of them, ``~ !~ < <= > >=`` with one."""

    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A word looked for in names, addresses and summary."""

    text: str


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags of ``hubble observe``."""

    flags: tuple[FlagValue, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    item: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more. ``And(())`` lets everything through: the empty text."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more."""

    items: tuple[Expression, ...]


Expression = Compare | Word | Flags | Not | And | Or
EVERYTHING: Final = And(())


def conjunction(items: Iterable[Expression]) -> Expression:
    """Join by ``and``, flat."""
    flat = tuple(part for item in items for part in (item.items if isinstance(item, And) else (item,)))
    return flat[0] if len(flat) == 1 else And(flat)


def disjunction(items: Iterable[Expression]) -> Expression:
    """Join by ``or``, flat."""
    flat = tuple(part for item in items for part in (item.items if isinstance(item, Or) else (item,)))
    return flat[0] if len(flat) == 1 else Or(flat)


def text_of(item: Expression, bare: frozenset[str] = frozenset()) -> str:
    """Return the canonical text.

    Args:
        item: an expression.
        bare: names of fields that stand alone; words of these names are quoted.
    """
    match item:
        case Compare():
            return _compare(item)
        case Word(text):
            plain = _BARE_WORD.match(text) and text.lower() not in KEYWORDS and text not in bare
            return text if plain else quote(text)
        case Flags(flags):
            return " ".join(_flag(flag) for flag in flags)
        case Not(inner):
            return f"not {_inside(inner, bare, And, Or)}"
        case And(items):
            return " and ".join(_inside(part, bare, Or) for part in items)
        case Or(items):
            return " or ".join(_inside(part, bare) for part in items)


def _inside(item: Expression, bare: frozenset[str], *wider: type) -> str:
    text = text_of(item, bare)
    return f"({text})" if isinstance(item, wider) else text


def _compare(item: Compare) -> str:
    if len(item.values) == 1:
        return f"{item.field}{item.operator}{value_text(item.values[0])}"
    listed = ", ".join(value_text(value) for value in item.values)
    return f"{item.field} {'not in' if item.operator == '!=' else 'in'} ({listed})"


def _flag(flag: FlagValue) -> str:
    known = FLAGS.get(flag.name)
    if known is None or known.takes_value:
        return f"--{flag.name} {value_text(flag.value)}"
    default = {"ipv4": "v4", "ipv6": "v6"}.get(flag.name, "true")
    return f"--{flag.name}" if flag.value == default else f"--{flag.name}={value_text(flag.value)}"


def value_text(value: str) -> str:
    """Return a value as it is written: quoted where it must be."""
    return value if _BARE_VALUE.match(value) else quote(value)


def quote(text: str) -> str:
    """Return the text in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
