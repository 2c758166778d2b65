"""Flows and maps as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from installer.domain.flows import jsonpb
from installer.domain.flows.flow import Answer
from installer.domain.flows.printing.choice import printer
from installer.domain.flows.printing.options import PrintOptions
from installer.domain.flows.store import FlowStore

FLOW_ENDINGS = {
    "jsonl": "whole records, as hubble -o jsonpb writes and reads them",
    "csv": "a table for spreadsheets",
    "txt": "lines as hubble observe prints them",
}
MAP_ENDINGS = {
    "mmd": "Mermaid, for Markdown",
    "dot": "Graphviz",
    "json": "nodes and edges for programs",
    "txt": "as on the screen",
}
_FORMS = {"csv": "csv", "txt": "compact"}


def answers_of(store: FlowStore, seqs: Iterable[int]) -> Iterator[Answer]:
    """Give the answers of sequence numbers; those that have left meanwhile are left out."""
    for seq in seqs:
        answer = store.answer(seq)
        if answer is not None:
            yield answer


def flow_chunks(store: FlowStore, seqs: Sequence[int], ending: str) -> Iterator[bytes]:
    """Give an export in pieces; ``ending`` is one of ``FLOW_ENDINGS``."""
    if ending == "jsonl":
        for answer in answers_of(store, seqs):
            yield jsonpb.encode(answer) + b"\n"
        return
    form = printer(_FORMS[ending], PrintOptions())
    yield form.begin().encode()
    for answer in answers_of(store, seqs):
        yield form.write(answer).encode(errors="replace")
    yield form.end().encode()
