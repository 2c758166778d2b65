"""Flags, filters and their messages against what hubble 1.19 printed for the same file."""

from __future__ import annotations

import gzip
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.filter_flag_table import EXTENSIONS
from installer.domain.flows.filter_flags import filters_from_flags, parse_arguments
from installer.domain.flows.filter_match import compile_filters
from installer.domain.flows.filter_print import print_raw_filters
from installer.domain.flows.flow import Answer
from installer.domain.flows.flow_filter import FilterSet

HUBBLE = Path("tests/fixtures/hubble")
_SELECTORS = ("--last", "--first", "--since", "--until", "--all")
_EXTENDED = {case for extension in EXTENSIONS for case in extension.golden}


@dataclass(frozen=True)
class Case:
    """One call of hubble."""

    number: str
    file: str
    failed: bool
    arguments: list[str]

    def text(self, kind: str) -> str:
        return (HUBBLE / "golden" / f"{self.number}.{kind}").read_text()


def _cases() -> Iterator[Case]:
    for line in (HUBBLE / "golden/index.tsv").read_text().splitlines():
        number, file, code, arguments = line.split("\t")
        case = Case(number, file, code != "0", shlex.split(arguments))
        if int(number) >= 20 and not any(word in _SELECTORS for word in case.arguments):
            yield case


@lru_cache
def _answers(file: str) -> list[Answer]:
    packed = HUBBLE / f"{file}.gz"
    data = gzip.decompress(packed.read_bytes()) if packed.exists() else (HUBBLE / file).read_bytes()
    return [msgspec.json.decode(line, type=Answer) for line in data.splitlines() if line]


def _filters(case: Case, *, strict: bool) -> FilterSet:
    flags, rest = parse_arguments(case.arguments)
    raw = dict(pairwise(rest))
    lists = {name: [raw[f"--{name}"]] if f"--{name}" in raw else [] for name in ("allowlist", "denylist")}
    return filters_from_flags(flags, strict=strict, allowlist=lists["allowlist"], denylist=lists["denylist"])


def _ids(case: Case) -> str:
    return case.number


@pytest.mark.parametrize("case", [case for case in _cases() if case.failed], ids=_ids)
def test_refuses_in_hubbles_words(case: Case) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filters(_filters(case, strict=True))
    assert caught.value.what == case.text("err").rstrip("\n")


@pytest.mark.parametrize("case", [case for case in _cases() if case.failed], ids=_ids)
def test_accepts_beyond_hubble_only_what_the_table_says(case: Case) -> None:
    if case.number in _EXTENDED:
        compile_filters(_filters(case, strict=False))
        return
    with pytest.raises(FilterError) as caught:
        compile_filters(_filters(case, strict=False))
    assert caught.value.what == case.text("err").rstrip("\n")


_RAW = [case for case in _cases() if "--print-raw-filters" in case.arguments]
_LISTED = [case for case in _cases() if not case.failed and case not in _RAW]


@pytest.mark.parametrize("case", _LISTED, ids=_ids)
@pytest.mark.parametrize("strict", [True, False])
def test_selects_as_many_flows_as_hubble(case: Case, strict: bool) -> None:
    matches = compile_filters(_filters(case, strict=strict))
    hits = [answer for answer in _answers(case.file) if matches(answer.flow)]
    nodes = [hit.node_status for hit in hits if hit.node_status]
    assert len(case.text("out").splitlines()) == len(hits) - len(nodes)
    assert len(case.text("err").splitlines()) == sum(node.state_change != "NODE_CONNECTED" for node in nodes)


@pytest.mark.parametrize("case", _RAW, ids=_ids)
def test_prints_raw_filters_byte_by_byte(case: Case) -> None:
    assert print_raw_filters(_filters(case, strict=True)) == case.text("out")


def test_the_cases_are_there() -> None:
    assert len(_LISTED) > 50
    assert len(_RAW) == 3
