"""What the filter bar offers at the cursor."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.flows.where import compile_where, complete
from installer.domain.flows.where.fields import FIELDS

SEEN = {
    "namespace": ["shop", "kube-system", "shipping"],
    "pod": ["shop/web-0", "shop/api-1", "kube-system/coredns-5"],
    "label": ["k8s:app=web", "k8s:app=api", "k8s:tier=front", "reserved:world"],
    "port": ["443", "53", "8080"],
    "workload": ["Deployment/web"],
    "name": ["www.example.org"],
    "node": ["node a"],
}


class Seen:
    """A vocabulary with few values."""

    def values(self, kind: str) -> Sequence[str]:
        return SEEN.get(kind, [])


def _offers(text: str, cursor: int | None = None) -> list[str]:
    return [item.text for item in complete(text, len(text) if cursor is None else cursor, Seen())]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", ["ns", "src.ns"]),
        ("ver", ["verdict"]),
        ("verdict=dr", ["dropped"]),
        ("verdict in (dropped, au", ["audit"]),
        ("verdict not in (au", ["audit"]),
        ("ns=", ["shop", "kube-system", "shipping"]),
        ("dst.ns=sh", ["shop", "shipping"]),
        ("dst.ns = sh", ["shop", "shipping"]),
        ("ns=system", ["kube-system"]),
        ("pod=shop/", ["shop/web-0", "shop/api-1"]),
        ("pod=core", ["kube-system/coredns-5"]),
        ("port=4", ["443"]),
        ("label.app=", ["web", "api"]),
        ("dst.label.k8s:app=a", ["api"]),
        ("src.label.t", ["src.label.tier"]),
        ("node=n", ['"node a"']),
        ("type=trace:to-p", ["trace:to-proxy"]),
        ("ns=shop and verd", ["verdict"]),
        ("ns=shop a", []),
        ("not ver", ["verdict"]),
        ("(ver", ["verdict"]),
        ("verdict ", ["=", "!=", "in ("]),
        ("kube", ["kube-system"]),
        ("--verd", ["--verdict"]),
        ("--verdict ", ["verdict_unknown", "forwarded"]),
        ("--to-namespace sh", ["shop", "shipping"]),
        ("-n sh", ["shop", "shipping"]),
        ("--port=8", ["8080"]),
        ("reply=", ["yes", "no", "unknown"]),
    ],
)
def test_offers_first(text: str, first: list[str]) -> None:
    assert _offers(text)[: len(first)] == first


def test_joins_follow_a_comparison() -> None:
    assert {"and", "or"} <= set(_offers("ns=shop "))
    assert "and" in _offers("ns=shop a")
    assert "and" not in _offers("ns=shop and ")
    assert "and" not in _offers("")


def test_replaces_the_word_at_the_cursor() -> None:
    text = "dst.ns=sh and verdict=dropped"
    (first, *_rest) = complete(text, 9, Seen())
    assert text[: first.start] + first.text + text[first.end :] == "dst.ns=shop and verdict=dropped"


def test_fields_come_with_help() -> None:
    offers = complete("", 0, Seen())
    assert all(item.help for item in offers if item.text in FIELDS)


@given(st.text(alphabet="ns=dpot.,()<>!~ '\"-andlabel", max_size=25), st.integers(-2, 30))
def test_any_text_and_cursor_get_an_answer(text: str, cursor: int) -> None:
    offers = complete(text, cursor, Seen())
    assert len(offers) <= 50
    assert all(0 <= item.start <= item.end <= len(text) for item in offers)


@given(st.sampled_from(["ns", "pod", "label.app", "node", "verdict", "type", "protocol", "identity", "flags"]))
def test_offered_values_compile(field: str) -> None:
    for offer in _offers(f"{field}="):
        compile_where(f"{field}={offer}")
