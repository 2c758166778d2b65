"""Policies drawn from flows: they allow what was seen, and say no more than they must."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.flows.flow import IP, TCP, UDP, Answer, Endpoint, Flow, Layer4
from installer.domain.policy.documents import read_documents
from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.lint import linter
from installer.domain.policy.model import Decision, Direction, Peer, Traffic, entity, pod
from installer.domain.policy.replay import Replay
from installer.domain.policy.suggest import Suggestion, Wish, suggest
from installer.domain.policy.validation import validate

APPS, SPACES = ("web", "api", "db"), ("shop", "ops")
DNS = pod("kube-system", {"k8s-app": "kube-dns"}, name="kube-system/coredns-1")


def workloads(tiers: Sequence[str]) -> list[Peer]:
    """Return pods of three apps in two namespaces, told apart by one more label."""
    return [
        pod(space, {"app": app, **({"tier": tier} if tier else {})}, name=f"{space}/{app}-{tier or 'x'}-1")
        for space in SPACES
        for app in APPS
        for tier in tiers
    ]


def endpoint(peer: Peer) -> Endpoint:
    namespace = peer.set.namespace
    return Endpoint(
        identity=1000 if namespace else 2,
        labels=peer.labels,
        namespace=namespace,
        pod_name=peer.name.partition("/")[2] if namespace else "",
        cluster_name="default" if namespace else "",
    )


def flow(
    source: Peer, dest: Peer, port: int, *, udp: bool = False, verdict: str = "FORWARDED", names: Any = ()
) -> Answer:
    l4 = Layer4(udp=UDP(40000, port)) if udp else Layer4(tcp=TCP(40000, port))
    return Answer(
        flow=Flow(
            time="2026-01-01T00:00:00Z",
            verdict=verdict,
            ip=IP(source=source.ip or "10.0.0.1", destination=dest.ip or "10.0.0.2"),
            l4=l4,
            source=endpoint(source),
            destination=endpoint(dest),
            destination_names=tuple(names),
            type="L3_L4",
            is_reply=False,
        )
    )


OUTSIDE = [
    (Peer(("reserved:world",), ip="203.0.113.7"), ("api.example.org",)),
    (Peer(("reserved:world",), ip="198.51.100.9"), ()),
]


@st.composite
def recordings(draw: st.DrawFn) -> list[Answer]:
    pods = workloads(draw(st.sampled_from((("",), ("a", "b")))))
    count = draw(st.integers(1, 12))
    found: list[Answer] = []
    for _ in range(count):
        source = draw(st.sampled_from(pods))
        kind = draw(st.sampled_from(("pod", "pod", "dns", "world", "entity", "in")))
        port = draw(st.sampled_from((80, 443, 5432)))
        if kind == "pod":
            found.append(flow(source, draw(st.sampled_from(pods)), port))
        elif kind == "dns":
            found.append(flow(source, DNS, 53, udp=True))
        elif kind == "world":
            dest, names = draw(st.sampled_from(OUTSIDE))
            found.append(flow(source, dest, 443, names=names))
        elif kind == "entity":
            found.append(flow(source, entity(draw(st.sampled_from(("kube-apiserver", "host", "remote-node")))), 6443))
        else:
            found.append(flow(draw(st.sampled_from((entity("ingress"), OUTSIDE[1][0]))), source, port))
    return found


TIMES = settings(max_examples=40, deadline=None)


def drafts(result: Suggestion) -> list[dict[str, Any]]:
    return [draft.policy for draft in result.drafts]


@TIMES
@given(
    recordings(), st.sampled_from((frozenset(Direction), frozenset({Direction.INGRESS}), frozenset({Direction.EGRESS})))
)
def test_all_that_was_seen_stays_allowed(answers: list[Answer], directions: frozenset[Direction]) -> None:
    result = suggest(answers, Wish(directions=directions))
    assert result.refused == []
    judge = Engine(compile_policies(drafts(result)))
    replay = Replay()
    for answer in answers:
        assert answer.flow is not None
        traffic = replay.traffic(answer.flow)
        assert traffic is not None
        verdict = judge.verdict(traffic)
        assert verdict.decision is Decision.ALLOW, (traffic, drafts(result))


@TIMES
@given(recordings())
def test_drafts_are_valid_and_clean(answers: list[Answer]) -> None:
    text = "---\n".join(yaml.safe_dump(one) for one in drafts(suggest(answers)))
    found = validate(read_documents(text, "f"), KNOWN_CRDS, lint=linter()).findings
    known = {"P-LINT-040"}  # a pod that was never seen asking gets no DNS
    assert not [one for one in found if one.level.value != "info" and one.code not in known], (text, found)


def _selectors(raw: Any) -> Iterator[dict[str, Any]]:
    if isinstance(raw, dict):
        for key, value in raw.items():
            if key == "matchLabels":
                yield value
            yield from _selectors(value)
    elif isinstance(raw, list):
        for one in raw:
            yield from _selectors(one)


@TIMES
@given(recordings())
def test_pods_are_named_by_labels_never_by_address(answers: list[Answer]) -> None:
    for one in drafts(suggest(answers)):
        assert "10.0.0." not in str(one)
        for labels in _selectors(one):
            assert {key for key in labels if not key.startswith("k8s:io.")} <= {"app", "tier", "k8s-app"}
        for rule in one["spec"].get("egress", ()):
            assert "world" not in rule.get("toEntities", ())
            assert rule.get("toEndpoints") != []


@TIMES
@given(recordings(), st.randoms(use_true_random=False))
def test_the_order_of_flows_does_not_matter(answers: list[Answer], random: Any) -> None:
    mixed = list(answers)
    random.shuffle(mixed)
    assert drafts(suggest(mixed)) == drafts(suggest(answers))


@TIMES
@given(recordings())
def test_other_workloads_get_no_more_than_was_seen(answers: list[Answer]) -> None:
    result = suggest(answers)
    judge = Engine(compile_policies(drafts(result)))
    seen = set()
    replay = Replay()
    for answer in answers:
        assert answer.flow is not None
        traffic = replay.traffic(answer.flow)
        assert traffic is not None
        seen.add(
            (
                traffic.source.set.namespace,
                _app(traffic.source),
                traffic.dest.set.namespace,
                _app(traffic.dest),
                traffic.port,
            )
        )
    pods = workloads(("",))
    for source in pods:
        for dest in pods:
            side = judge.side(Direction.INGRESS, Traffic(source, dest, 80))
            if side.decision is Decision.ALLOW and side.reason == "rule":
                key = (source.set.namespace, _app(source), dest.set.namespace, _app(dest), 80)
                assert key in seen


def _app(peer: Peer) -> str:
    return next(iter(peer.set.values("k8s", "app")), "")


def test_names_bring_a_rule_that_shows_them() -> None:
    web = workloads(("",))[0]
    outside, names = OUTSIDE[0]
    (draft,) = drafts(
        suggest(
            [flow(web, outside, 443, names=names), flow(web, DNS, 53, udp=True)], Wish(namespaces=frozenset({"shop"}))
        )
    )
    text = str(draft)
    assert "'toFQDNs': [{'matchName': 'api.example.org'}]" in text
    assert "'dns': [{'matchName': 'api.example.org'}]" in text


def test_names_bring_it_also_where_nobody_was_seen_asking() -> None:
    web = workloads(("",))[0]
    outside, names = OUTSIDE[0]
    result = suggest([flow(web, outside, 443, names=names)])
    assert "'dns': [{'matchName': 'api.example.org'}]" in str(drafts(result))
    assert any("nobody was seen asking DNS" in note for note in result.notes)


def test_denied_flows_count_only_when_asked_for() -> None:
    web, api = workloads(("",))[:2]
    answers = [flow(web, api, 80, verdict="DROPPED")]
    assert drafts(suggest(answers)) == []
    assert len(drafts(suggest(answers, Wish(include_denied=True)))) == 2


def test_rare_high_ports_are_left_out_and_told() -> None:
    web, api = workloads(("",))[:2]
    result = suggest([flow(web, api, 50000)])
    assert drafts(result) == []
    assert "left out" in result.notes[0]
