from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from installer.domain.errors import ConnectError
from installer.domain.flows.feed import Connected, Flows, Told
from installer.domain.flows.flow import Answer
from installer.domain.flows.flow_filter import FilterSet, FlowFilter
from installer.domain.flows.times import from_ns
from installer.ports.flows import FlowRequest
from installer.services.flow_feed import FeedChoice, FeedRequest
from installer.services.replay import replay
from installer.wiring.flow_feeds import BAD_LINE, open_feed
from tests.support.flow_feeds import MADE


class Times:
    """A source of answers at given seconds, and a clock that moves only while somebody waits."""

    name = "a recording"

    def __init__(self, *seconds: float) -> None:
        self.answers = [Answer(time=from_ns(int((1_800_000_000 + second) * 1e9))) for second in seconds]
        self.now = 100.0
        self.pauses: list[float] = []

    async def batches(self, request: FlowRequest) -> AsyncGenerator[Sequence[Answer], None]:
        del request
        yield self.answers[:3]
        yield self.answers[3:]

    async def pause(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 3))
        self.now += seconds

    async def told(self, speed: float) -> list[Told]:
        telling = replay(self, FlowRequest(), speed=speed, now=lambda: self.now, pause=self.pause)
        return [told async for told in telling]


def sizes(told: list[Told]) -> list[int]:
    return [len(item.answers) for item in told if isinstance(item, Flows)]


async def test_distances_in_time_are_kept_and_shortened_by_the_speed() -> None:
    for speed, pauses in ((1.0, [1.0, 3.0]), (10.0, [0.1, 0.3])):
        source = Times(0, 0.001, 1, 1.002, 4)
        told = await source.told(speed)
        assert isinstance(told[0], Connected)
        assert source.pauses == pauses
        assert sizes(told) == [2, 1, 1, 1]


async def test_at_once_waits_for_nothing() -> None:
    source = Times(0, 100, 200, 300)
    assert sizes(await source.told(0.0)) == [3, 1]
    assert source.pauses == []


async def test_times_out_of_order_or_missing_do_not_stop_it() -> None:
    source = Times(5, 1, 6, 2)
    source.answers.append(Answer(time="nonsense"))
    assert sum(sizes(await source.told(1.0))) == 5
    assert source.pauses == [1.0]


async def test_a_file_is_opened_filtered_and_its_bad_lines_are_told(tmp_path: Path) -> None:
    path = str(tmp_path / "x.jsonl")
    Path(path).write_bytes(MADE.read_bytes() + b"{broken\n")
    filters = FilterSet((FlowFilter(verdict=("DROPPED",)),))
    told = [item async for item in open_feed(FeedRequest(FeedChoice("file", path), filters), None)]
    flows = [answer.flow for item in told if isinstance(item, Flows) for answer in item.answers if answer.flow]
    assert len(flows) == 4
    (bad,) = [item for item in told if getattr(item, "code", "") == BAD_LINE]
    assert "line 31" in bad.text  # type: ignore[union-attr]


async def test_no_cluster_is_told() -> None:
    with pytest.raises(ConnectError) as caught:
        open_feed(FeedRequest(), None)
    assert caught.value.code == "E-FLOW-063"
