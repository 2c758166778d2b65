"""Properties of the filter language over made flows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.flows.enums import DROP_REASONS, EVENT_TYPES, PROTOCOLS, TCP_FLAGS, VERDICTS
from installer.domain.flows.filter_flags import FlagValue
from installer.domain.flows.filter_match import compile_filters
from installer.domain.flows.flow import Flow
from installer.domain.flows.where import Where, WhereError, compile_where
from installer.domain.flows.where.expression import canonical, from_expression
from installer.domain.flows.where.parser import parse
from installer.domain.flows.where.syntax import (
    And,
    Compare,
    Expression,
    Flags,
    Not,
    Or,
    Word,
    conjunction,
    disjunction,
)
from tests.support.flows import (
    ADDRESSES,
    APPS,
    CODES,
    FQDNS,
    IDENTITIES,
    INTERFACES,
    NAMESPACES,
    PODS,
    PORTS,
    QUERIES,
    TRACE_IDS,
    UUIDS,
    flows,
)

_GLOBS = ("*", "w*", "*b*", "")
_TEXTS = (*NAMESPACES, *_GLOBS)
_OBJECTS = (*PODS, *(f"{ns}/{pod}" for ns in ("shop", "default") for pod in (*PODS, "web*", "*")), *_GLOBS)
_URLS = ("/items", "/items*", "*page=2", "http://web/", "/healthz", "")
_PATTERNS = ("web", "^shop", "a.i", "[0-9]$", "", "(?i)WEB", "x|y", r"\.")
_ADDRESSES = (*filter(None, ADDRESSES), "10.0.0.0/8", "fd00::/8", "0.0.0.0/0", "10.*")

_VALUES: dict[str, tuple[str, ...]] = {
    "ns": _TEXTS,
    "pod": _OBJECTS,
    "svc": (*APPS, "shop/api", "shop/*", "a*", "default/"),
    "workload": (*APPS, "Deployment/web", "Deployment/", "*e*", "DaemonSet/a*"),
    "ip": _ADDRESSES,
    "port": tuple(map(str, PORTS)),
    "name": (*FQDNS, "*.org", "*", "Example.org.", "exa mple"),
    "identity": (*map(str, IDENTITIES), "world", "host"),
    "cluster": ("default", "east", "*"),
    "label": ("app=web", "app in (web, api)", "!app", "k8s:app", "reserved:world", "cidr:10.0.0.0-0"),
    "label.app": ("web", "api", "w*", "", "no value"),
    "label.k8s:app": ("web", "coredns"),
    "node.label.zone": ("a", "*"),
}
_SIDED = ("ns", "pod", "svc", "workload", "ip", "port", "name", "identity", "cluster", "label", "label.app")
_PLAIN: dict[str, tuple[str, ...]] = {
    **{f"{side}.{name}": _VALUES[name] for side in ("src", "dst") for name in _SIDED},
    **_VALUES,
    "verdict": tuple(name.lower() for name in VERDICTS),
    "reason": ("policy_denied", "POLICY DENY", "189", "251", *list(DROP_REASONS)[:2]),
    "type": (*EVENT_TYPES, "trace:to-proxy", "trace:4", "drop:133", "77"),
    "direction": ("ingress", "egress", "unknown"),
    "reply": ("yes", "no", "unknown"),
    "encrypted": ("yes", "no"),
    "protocol": PROTOCOLS,
    "flags": (*TCP_FLAGS, "syn,ack"),
    "ip.version": ("v4", "v6", "none"),
    "snat.ip": _ADDRESSES,
    "node": ("node-a", "node-*", "east/*", "east/", "Ünode"),
    "interface": tuple(item.name for item in INTERFACES),
    "policy": ("allow-web", "shop/*", "deny*"),
    "summary": ("UDP", "TCP*", ""),
    "uuid": (*UUIDS, "*1"),
    "time": ("10:30", "10", "2026-11-20", "2026-11-20T10:05", "10:30:05.25"),
    "time.hour": ("10", "11"),
    "time.minute": ("5", "30"),
    "trace.id": tuple(filter(None, TRACE_IDS)),
    "http.method": ("get", "POST", ""),
    "http.status": (*map(str, CODES), "4+", "50+"),
    "http.path": _URLS,
    "http.url": _URLS,
    "http.header.User-Agent": ("curl/8.5", "*"),
    "dns.query": (*QUERIES, "*.org", "example.org"),
    "dns.rcode": ("nxdomain", "0"),
    "latency": ("4ms", "1us", "0.25s"),
}
_ORDERED = ("port", "src.port", "dst.port", "http.status", "dns.rcode", "latency", "time", "time.minute")
_SEARCHED = (
    "ns",
    "src.pod",
    "dst.svc",
    "workload",
    "name",
    "ip",
    "label.app",
    "node",
    "summary",
    "http.path",
    "http.url",
)


@st.composite
def _comparisons(draw: st.DrawFn) -> Compare:
    operator = draw(st.sampled_from(("=", "=", "!=", "<", "<=", ">", ">=", "~", "!~")))
    if operator in ("~", "!~"):
        return Compare(draw(st.sampled_from((*_SEARCHED, "dns.query"))), operator, (draw(st.sampled_from(_PATTERNS)),))
    if operator not in ("=", "!="):
        field = draw(st.sampled_from(_ORDERED))
        values = tuple(value for value in _PLAIN[field] if "+" not in value and value != "nxdomain")
        return Compare(field, operator, (draw(st.sampled_from(values)),))
    field = draw(st.sampled_from(list(_PLAIN)))
    most = 1 if field in ("flags", "label", "src.label", "dst.label") else 3
    several = draw(st.lists(st.sampled_from(_PLAIN[field]), min_size=1, max_size=most, unique=True))
    return Compare(field, operator, tuple(several))


_FLAG_SETS = (
    (FlagValue("from-pod", "shop/web"), FlagValue("verdict", "DROPPED")),
    (FlagValue("namespace", "shop"), FlagValue("not"), FlagValue("port", "53")),
    (FlagValue("not"), FlagValue("namespace", "shop")),
    (FlagValue("protocol", "dns"), FlagValue("reply", "false")),
    (FlagValue("ipv4", "v4"), FlagValue("label", 'app in (web, "x")'.replace('"', "")), FlagValue("allowlist", "{}")),
)
_LEAVES = st.one_of(
    _comparisons(),
    _comparisons(),
    st.sampled_from(("web", "SHOP/", "and", "reply", "10.0", "syn", "we*a", "(", "-x", "a b", "")).map(Word),
    st.sampled_from(_FLAG_SETS).map(Flags),
)


def _inner(items: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(items, min_size=2, max_size=4)
    return st.one_of(items.map(Not), several.map(conjunction), several.map(disjunction))


expressions: st.SearchStrategy[Expression] = st.recursive(_LEAVES, _inner, max_leaves=8)


@given(expressions, st.lists(flows(), min_size=1, max_size=5))
@settings(max_examples=250)
def test_a_server_lets_through_at_least_what_the_expression_does(item: Expression, some: list[Flow]) -> None:
    where = from_expression(item)
    on_server = compile_filters(where.pushdown())
    for flow in some:
        if where.matches(flow):
            assert on_server(flow)
        elif where.exact_on_server:
            assert not on_server(flow)


@given(expressions)
@settings(max_examples=150)
def test_canonical_text_parses_to_the_same_tree(item: Expression) -> None:
    assert parse(canonical(item)) == item


@given(expressions, flows())
def test_twice_not_changes_nothing(item: Expression, flow: Flow) -> None:
    assert from_expression(Not(Not(item))).matches(flow) == from_expression(item).matches(flow)


@given(st.lists(expressions, min_size=2, max_size=3), flows())
def test_de_morgan(items: list[Expression], flow: Flow) -> None:
    none = from_expression(Not(Or(tuple(items)))).matches(flow)
    assert none == from_expression(And(tuple(Not(item) for item in items))).matches(flow)


@given(expressions, expressions, flows())
def test_and_or_are_what_they_say(first: Expression, second: Expression, flow: Flow) -> None:
    one, other = from_expression(first).matches(flow), from_expression(second).matches(flow)
    assert from_expression(conjunction([first, second])).matches(flow) == (one and other)
    assert from_expression(disjunction([first, second])).matches(flow) == (one or other)


_PIECES = (
    *("and", "or", "not", "in", "(", ")", ",", "=", "!=", "~", "<", ">=", '"', "'", "--", "-n", "--pod", "--not"),
    *("verdict", "port", "label.app", "http.path", "dropped", "80", "[", "(a+)+", "\\", "*", " ", "", "é", "\x00", "|"),
)


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join)))
@settings(max_examples=250)
def test_any_text_compiles_or_is_refused_with_a_place(text: str) -> None:
    outcome = _outcome(text)
    if isinstance(outcome, WhereError):
        assert 0 <= outcome.start <= outcome.end <= len(text) + 1
        assert outcome.what
        assert outcome.code.startswith(("E-WHERE-", "E-FILTER-"))
    else:
        assert compile_where(outcome.text).text == outcome.text


def _outcome(text: str) -> Where | WhereError:
    try:
        return compile_where(text)
    except WhereError as error:
        return error


@pytest.mark.parametrize("text", ["(" * 5000, "not " * 5000, "x" * 30_000])
def test_a_text_too_deep_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(WhereError) as caught:
        compile_where(text)
    assert caught.value.code == "E-WHERE-001"


@pytest.mark.parametrize("text", ["a " * 5000, " or ".join(["a"] * 3000)])
def test_a_long_flat_text_is_fine(text: str) -> None:
    assert not compile_where(text).matches(Flow())
