"""Patterns mean here what they mean to servers, or are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.re2 import compile_re2


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        (r"/page/\d+", ["/page/12"], ["/page/x", "/page/٣"]),
        (r"^a$", ["a"], ["a\n", "ba"]),
        (r"(?m)^a$", ["b\na\nc"], ["ab"]),
        (r"a(?i)b|c", ["aB", "C"], ["AB"]),
        (r"(?i:ab)c", ["ABc"], ["ABC"]),
        (r"(a(?i)b)c", ["aBc"], ["aBC"]),
        (r"\w\s\W", ["a -"], ["é -", "a\v-"]),
        (r"\bweb\b", ["a web b", "éweb"], ["webs"]),
        (r"[[:alpha:]_-]+\z", ["a_b-"], ["a1"]),
        (r"[^\d]", ["a", "\n"], ["1"]),
        (r"[\W]", ["-", "é"], ["a"]),
        (r"[]a]", ["]", "a"], ["b"]),
        (r"[a\-z]", ["-"], ["b"]),
        (r"\Qa.b\Ec", ["a.bc"], ["axbc"]),
        (r"a{,2}", ["a{,2}"], ["aa"]),
        (r"a{2,3}?b", ["aab"], ["ab"]),
        (r"(?P<x>a)(?<y>b)", ["ab"], ["a"]),
        (r"\x41\x{42}\103", ["ABC"], ["abc"]),
        (r"(?s)a.b", ["a\nb"], ["ab"]),
        (r"a.b", ["axb"], ["a\nb"]),
        (r"^*a", ["a"], ["b"]),
        (r"(/[^/]+)*$", ["/a/b"], []),
        (r"^([a-z0-9-]+\.)*example\.com$", ["a.b.example.com"], ["example.org"]),
        (r"^(GET|POST)+$", ["GETPOST"], ["PUT"]),
        ("é+", ["éé"], ["e"]),
        ("", ["", "x"], []),
    ],
)
def test_means_the_same(pattern: str, hits: list[str], misses: list[str]) -> None:
    found = compile_re2(pattern).search
    assert all(found(text) for text in hits)
    assert not any(found(text) for text in misses)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?>a)", "invalid or unsupported Perl syntax"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*+", "invalid nested repetition operator: `*+`"),
        ("a{2}{3}", "invalid nested repetition operator"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:nope:]]", "invalid character class range: `[:nope:]`"),
        ("\\", "trailing backslash at end of expression"),
        (r"\pL", "understood by servers only"),
        ("(?U)a+", "understood by servers only"),
    ],
)
def test_refuses_what_servers_refuse_or_only_they_have(pattern: str, why: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_re2(pattern)
    assert why in caught.value.what
    assert caught.value.code == "E-FILTER-005"


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*",
        "(a|a)*$",
        "(a|ab)+",
        "(a?)*",
        "((a+))+",
        "([a-z]+[0-9]*)*",
        "(.*)*x",
        "(a{1,50}){1,50}",
        r"(\w+\s?)*$",
    ],
)
def test_refuses_what_could_take_for_ever(pattern: str) -> None:
    with pytest.raises(FilterError, match="takes too long"):
        compile_re2(pattern)


_PIECES = ("a", "b", ".", "*", "+", "?", "(", ")", "[", "]", "|", "^", "$", "\\", "d", "{2}", "(?i)", "(?:", "-", "é")


@given(st.lists(st.sampled_from(_PIECES), max_size=10).map("".join) | st.text(max_size=20))
def test_any_pattern_compiles_or_is_refused(pattern: str) -> None:
    try:
        compile_re2(pattern).search("abba")
    except FilterError as error:
        refused = error
    else:
        return
    assert refused.code == "E-FILTER-005"


@given(st.text(min_size=1, max_size=20))
def test_quoted_text_finds_itself(text: str) -> None:
    if r"\E" not in text and not text.endswith("\\"):
        assert compile_re2(rf"^\Q{text}\E$").search(text)
