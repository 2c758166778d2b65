from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.flows import brief, jsonpb
from installer.domain.flows.filter_match import compile_filters
from installer.domain.flows.flow import Answer
from installer.domain.flows.flow_filter import EventTypeFilter, FilterSet, FlowFilter
from installer.domain.flows.printing.choice import printer
from installer.domain.flows.printing.options import PrintOptions
from tests.support.flows import answers
from tests.support.golden import recorded

VALUES: dict[str, tuple[object, ...]] = {
    "source_ip": ("10.0.0.0/8", "fd00::11"),
    "source_pod": ("shop/web", "api", "/web"),
    "source_fqdn": ("*.example.org",),
    "source_service": ("shop/",),
    "source_port": ("80", "41000"),
    "source_identity": (1, 30001),
    "destination_ip": ("10.0.2.22",),
    "destination_pod": ("kube-system/",),
    "destination_fqdn": ("example.org",),
    "destination_service": ("web",),
    "destination_port": ("53",),
    "destination_identity": (2,),
    "traffic_direction": ("EGRESS",),
    "verdict": ("DROPPED", "FORWARDED"),
    "event_type": (EventTypeFilter(4), EventTypeFilter(1, True, 133)),
    "reply": (False,),
    "node_name": ("node-a", "east/*"),
    "ip_version": ("IPv6", "IP_NOT_USED"),
    "uuid": ("00000000-0000-4000-8000-000000000001",),
}


@settings(max_examples=200)
@given(answers())
def test_a_brief_prints_like_the_whole_flow(answer: Answer) -> None:
    line = jsonpb.encode(answer)
    for options in (PrintOptions(), PrintOptions(node_names=True, policy_names=True, colour=True, translate=False)):
        made = printer("compact", options)
        assert made.write(brief.decode(line)) == made.write(jsonpb.decode(line))


def test_values_for_all_fields() -> None:
    assert VALUES.keys() == brief.FILTER_FIELDS


@settings(max_examples=300)
@given(answer=answers(), name=st.sampled_from(sorted(VALUES)))
def test_filters_judge_a_brief_like_the_whole_flow(answer: Answer, name: str) -> None:
    match = compile_filters(FilterSet((FlowFilter(**{name: VALUES[name]}),)))  # type: ignore[arg-type]
    line = jsonpb.encode(answer)
    assert match(brief.decode(line).flow) == match(jsonpb.decode(line).flow)


def test_which_filters_need_the_whole_flow() -> None:
    few = FlowFilter(verdict=("DROPPED",), source_pod=("a",))
    assert brief.suffices(FilterSet((few,), (few,)))
    assert brief.suffices(FilterSet())
    assert not brief.suffices(FilterSet((few, FlowFilter(source_label=("a",)))))
    assert not brief.suffices(FilterSet((), (FlowFilter(http_method=("GET",)),)))


def test_recordings_are_read_briefly() -> None:
    lines = recorded("flows-cilium-1.16.jsonl").splitlines()
    assert {type(brief.decode(line).flow).__name__ for line in lines} == {"Brief"}


@pytest.mark.parametrize(
    "line", [b"x", b'{"flow":', b'{"flow":7}', b'{"flow":{"time":"noon"}}', b'{"flow":{"uuid":"\xff"}}']
)
def test_bad_lines(line: bytes) -> None:
    with pytest.raises(jsonpb.BadLineError):
        brief.decode(line)
