"""What may come next in an expression: fields, operators, values seen in flows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from installer.domain.flows.filter_flag_table import FLAGS
from installer.domain.flows.where.fields import FIELDS, Field, find_field
from installer.domain.flows.where.kinds import KINDS
from installer.domain.flows.where.syntax import value_text

_MOST: Final = 50
_BEFORE: Final = re.compile(
    r"""(?P<field>[^\s()=!<>~,"'&|]+)\s*(?P<operator>==|!=|!~|<=|>=|=|~|<|>|\s(?:not\s+)?in\s*\()\s*"""
    r"""(?P<earlier>(?:(?:"[^"]*"|[^\s(),"]*)\s*,\s*)*)(?P<prefix>"?[^\s(),"]*)\Z""",
    re.IGNORECASE,
)
_FLAG: Final = re.compile(r"(?P<flag>--?[a-zA-Z0-9-]+)(?:=|\s+)(?P<prefix>\"?[^\s\"]*)\Z")
_WORD: Final = re.compile(r"""[^\s()=!<>~,"'&|]*\Z""")
_FIELD_DONE: Final = re.compile(r"""(?P<field>[^\s()=!<>~,"'&|]+)\s+\Z""")
_JOINS: Final = ("and", "or")
_WANTS_TERM: Final = re.compile(r"(?:(?:\A|[\s()])(?:and|or|not)|[(!]|&&|\|\|)\s*\Z", re.IGNORECASE)
_SHORT: Final = {flag.short: flag.name for flag in FLAGS.values() if flag.short}
_FLAG_FIELDS: Final = {
    "namespace": "ns",
    "service": "svc",
    "fqdn": "name",
    "node-name": "node",
    "drop-reason-desc": "reason",
    "traffic-direction": "direction",
    "tcp-flags": "flags",
    "ip-version": "ip.version",
    "snat-ip": "snat.ip",
    "http-status": "http.status",
    "http-method": "http.method",
    "http-path": "http.path",
    "dns-query": "dns.query",
}


class Vocabulary(Protocol):
    """Values that were seen in flows."""

    def values(self, kind: str) -> Sequence[str]:
        """Return values, the most frequent first.

        Kinds: ``namespace``, ``pod`` and ``service`` and ``policy`` (``namespace/name``), ``workload`` (``Kind/name``),
        ``ip``, ``port``, ``name`` (DNS), ``identity``, ``label`` (``source:key=value``), ``cluster``, ``node``,
        ``interface``, ``path``, ``query``. An unknown kind has none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Completion:
    """Text to put in place of ``[start, end)``, and a word on it."""

    text: str
    start: int
    end: int
    help: str = ""


def complete(text: str, cursor: int, vocabulary: Vocabulary) -> list[Completion]:
    """Return what may stand at the cursor, best first, 50 at most."""
    before = text[: max(0, min(cursor, len(text)))]
    found = list(_completions(before, vocabulary))
    return list({item.text: item for item in found}.values())[:_MOST]


def _completions(before: str, vocabulary: Vocabulary) -> Iterator[Completion]:
    word = _WORD.search(before)
    start = word.start() if word else len(before)
    if (flag := _FLAG.search(before)) and (field := _flag_field(flag["flag"])):
        yield from _values(field, flag["prefix"], len(before), vocabulary)
    elif before[start:].startswith("-"):
        yield from _flags(before[start:], start, len(before))
    elif (match := _BEFORE.search(before)) and (field := find_field(match["field"])):
        yield from _values(field, match["prefix"], len(before), vocabulary)
    elif (match := _FIELD_DONE.search(before)) and (field := find_field(match["field"])) and not _joins(before):
        yield from (Completion(item, len(before), len(before)) for item in (*KINDS[field.kind].operators, "in ("))
    else:
        if before[:start].strip() and not _WANTS_TERM.search(before[:start]):
            yield from _matching(_JOINS, before[start:], start, len(before))
        yield from _names(before[start:], start, len(before), vocabulary)


def _joins(before: str) -> bool:
    """Say whether the last word is a value and no field."""
    return re.search(r"""[=~<>(,]\s*[^\s()=!<>~,"'&|]+\s+\Z""", before) is not None


def _names(prefix: str, start: int, end: int, vocabulary: Vocabulary) -> Iterator[Completion]:
    low = prefix.lower()
    for field in FIELDS.values():
        if field.name.startswith(low) or field.name.split(".")[-1].startswith(low) or not low:
            yield Completion(field.name, start, end, field.help)
    if "label." in low:
        yield from _label_names(prefix, start, end, vocabulary)
    if low and not find_field(prefix):
        seen = (value for kind in ("namespace", "pod", "service", "name") for value in vocabulary.values(kind))
        yield from _matching((value for value in seen if len(low) > 1), prefix, start, end, "word")
    if not start or low:
        yield from _matching(("not",), prefix, start, end)


def _label_names(prefix: str, start: int, end: int, vocabulary: Vocabulary) -> Iterator[Completion]:
    at = prefix.lower().index("label.") + len("label.")
    head, tail = prefix[:at], prefix[at:]
    for label in vocabulary.values("label"):
        key = label.partition("=")[0]
        plain = key.partition(":")[2] or key
        for name in dict.fromkeys((plain, key)):
            if name.startswith(tail):
                yield Completion(head + name, start, end, "label")
                break


def _values(field: Field, prefix: str, end: int, vocabulary: Vocabulary) -> Iterator[Completion]:
    start = end - len(prefix)
    yield from _matching(KINDS[field.kind].words, prefix, start, end)
    yield from _matching(_seen(field, vocabulary), prefix, start, end, "seen")


def _seen(field: Field, vocabulary: Vocabulary) -> Iterable[str]:
    if not field.seen:
        return ()
    values = vocabulary.values(field.seen)
    if not field.key:
        return values
    pairs = (label.partition("=") for label in values)
    return (value for name, _equals, value in pairs if value and field.key in (name, name.partition(":")[2]))


def _matching(values: Iterable[str], prefix: str, start: int, end: int, text: str = "") -> Iterator[Completion]:
    low = prefix.strip('"').lower()
    later = []
    for value in values:
        item = Completion(value if text == "word" else value_text(value), start, end, text)
        if value.lower().startswith(low):
            yield item
        elif low and low in value.lower():
            later.append(item)
    yield from later


def _flags(prefix: str, start: int, end: int) -> Iterator[Completion]:
    for flag in FLAGS.values():
        if f"--{flag.name}".startswith(prefix):
            yield Completion(f"--{flag.name}", start, end)


def _flag_field(text: str) -> Field | None:
    name = text.removeprefix("--") if text.startswith("--") else _SHORT.get(text[1:], "")
    if name not in FLAGS or not FLAGS[name].takes_value:
        return None
    base = name.removeprefix("from-").removeprefix("to-")
    return find_field(_FLAG_FIELDS.get(base, base))
