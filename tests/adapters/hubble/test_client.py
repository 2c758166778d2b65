"""The client against a real gRPC server in the same process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.hubble._proto import observer_pb2
from installer.adapters.hubble.client import GrpcHubble, GrpcHubbles
from installer.domain.errors import UsageError
from installer.ports.hubble import Hubble, Hubbles, HubbleStatus
from tests.support.observer import Observer, serve

MADE = Path(__file__).resolve().parents[2] / "fixtures" / "hubble" / "made.jsonl"


def made() -> list[dict[str, Any]]:
    return [json.loads(line) for line in MADE.read_text().splitlines()]


def made_flow(number: int, **fields: Any) -> dict[str, Any]:
    """A denied flow with its own uuid, one second after the one before."""
    time = f"2026-11-21T10:00:{number:02}Z"
    flow = {"uuid": f"new-{number}", "time": time, "verdict": "DROPPED", "event_type": {"type": 1, "sub_type": 133}}
    flow |= {"source": {"namespace": "shop", "pod_name": "web-1", "labels": ["k8s:app=web"]}}
    return {"flow": flow | fields, "node_name": "node-a", "time": time}


@pytest.fixture
async def observer() -> Observer:
    return Observer(made(), nodes=("node-a", "node-b"), unavailable=("node-c",))


@pytest.fixture
async def hubble(observer: Observer) -> AsyncIterator[GrpcHubble]:
    async with serve(observer) as address, GrpcHubbles().open(address) as connection:
        yield connection


async def collect(hubble: GrpcHubble, **kwargs: Any) -> list[dict[str, Any]]:
    return [dict(answer) async for answer in hubble.flows(**kwargs)]


def uuids(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["flow"]["uuid"] for answer in answers if "flow" in answer]


def test_it_implements_the_ports() -> None:
    hubbles: Hubbles = GrpcHubbles()
    hubble: type[Hubble] = GrpcHubble
    assert (hubbles.open, hubble.flows) is not None


async def test_status(hubble: GrpcHubble) -> None:
    assert await hubble.status() == HubbleStatus(
        num_flows=30,
        max_flows=4095,
        seen_flows=30,
        uptime_seconds=90.0,
        flows_rate=1.5,
        connected_nodes=2,
        unavailable_nodes=1,
        unavailable_names=("node-c",),
        version="cilium v1.19.4",
    )


async def test_status_of_an_agent_counts_no_nodes() -> None:
    class Agent(Observer):
        async def ServerStatus(self, request: Any, context: Any) -> observer_pb2.ServerStatusResponse:  # noqa: N802
            return observer_pb2.ServerStatusResponse(num_flows=7)

    async with serve(Agent()) as address, GrpcHubbles().open(address) as hubble:
        status = await hubble.status()
    assert (status.num_flows, status.connected_nodes, status.unavailable_nodes) == (7, None, None)


async def test_all_kinds_of_answers_come_in_hubbles_json(hubble: GrpcHubble) -> None:
    answers = await collect(hubble)
    assert [next(iter(answer)) for answer in answers] == [next(iter(line)) for line in made()]
    assert {"flow", "node_status", "lost_events"} <= {key for answer in answers for key in answer}
    assert answers[0]["flow"]["l4"] == made()[0]["flow"]["l4"]
    assert answers[0]["flow"]["is_reply"] is False


async def test_number_gives_the_newest(hubble: GrpcHubble) -> None:
    assert await collect(hubble, number=3) == (await collect(hubble))[-3:]


async def test_since_is_sent_with_its_fraction(hubble: GrpcHubble, observer: Observer) -> None:
    await collect(hubble, since=1763632801.25)
    assert observer.requests[-1].since.ToJsonString() == "2025-11-20T10:00:01.250Z"


async def test_since_leaves_the_older_out(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1))
    await observer.add(made_flow(2))
    since = observer.responses[-1].time.ToNanoseconds() / 1e9
    assert uuids(await collect(hubble, since=since)) == ["new-2"]


async def test_filters_choose_at_the_server(hubble: GrpcHubble) -> None:
    flows = [answer for answer in await collect(hubble) if "flow" in answer]
    denied = [{"verdict": ["DROPPED"], "source_pod": ["shop/web-"]}]
    wanted = [
        answer["flow"]["uuid"]
        for answer in flows
        if answer["flow"].get("verdict") == "DROPPED"
        and answer["flow"]["source"].get("namespace") == "shop"
        and answer["flow"]["source"].get("pod_name", "").startswith("web-")
    ]
    assert wanted
    assert uuids(await collect(hubble, whitelist=denied)) == wanted


async def test_several_filters_are_alternatives(hubble: GrpcHubble) -> None:
    by_uuid = [{"uuid": ["00000000-0000-4000-8000-000000000001"]}, {"uuid": ["00000000-0000-4000-8000-000000000003"]}]
    assert uuids(await collect(hubble, whitelist=by_uuid)) == [part["uuid"][0] for part in by_uuid]


async def test_labels_choose(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1, source={"labels": ["k8s:app=odd", "k8s:tier=x"], "pod_name": "p"}))
    assert uuids(await collect(hubble, whitelist=[{"source_label": ["app=odd,tier,tier!=y"]}])) == ["new-1"]
    assert uuids(await collect(hubble, whitelist=[{"source_label": ["app=odd,tier!=x"]}])) == []


@pytest.mark.parametrize(
    "wrong", [{"sourcepod": ["a"]}, {"verdict": ["NO_SUCH"]}, {"source_pod": "not-a-list"}, {"source_identity": ["x"]}]
)
async def test_a_wrong_filter_is_a_usage_error(hubble: GrpcHubble, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        await collect(hubble, whitelist=[wrong])
    assert caught.value.code == "E-HUBBLE-006"
    assert next(iter(wrong)) in caught.value.why or "NO_SUCH" in caught.value.why


async def test_follow_gives_new_flows_only(hubble: GrpcHubble, observer: Observer) -> None:
    async with aclosing(hubble.flows(follow=True, whitelist=[{"verdict": ["DROPPED"]}])) as stream:
        first = asyncio.ensure_future(anext(stream))
        await observer.wait_streams(1)
        await observer.add(made_flow(1, verdict="FORWARDED"))
        await observer.add(made_flow(2))
        assert (await first)["flow"]["uuid"] == "new-2"
        await observer.add(made_flow(3))
        assert (await anext(stream))["flow"]["uuid"] == "new-3"
    await observer.wait_streams(0)


async def test_follow_with_number_gives_the_past_first(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1))
    async with aclosing(hubble.flows(follow=True, number=1)) as stream:
        assert (await anext(stream))["flow"]["uuid"] == "new-1"
        await observer.add(made_flow(2))
        assert (await anext(stream))["flow"]["uuid"] == "new-2"


async def test_a_cancelled_reader_ends_the_stream_at_the_server(hubble: GrpcHubble, observer: Observer) -> None:
    async def read() -> None:
        async for _ in hubble.flows(follow=True):
            raise AssertionError("nothing was sent")

    reader = asyncio.ensure_future(read())
    await observer.wait_streams(1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await observer.wait_streams(0)
    assert (await hubble.status()).num_flows == 30


async def test_a_reader_that_stops_in_the_middle_ends_the_stream(hubble: GrpcHubble, observer: Observer) -> None:
    async with aclosing(hubble.flows(follow=True, number=5)) as stream:
        async for _ in stream:
            break
    await observer.wait_streams(0)


async def test_two_streams_share_one_connection(hubble: GrpcHubble, observer: Observer) -> None:
    both = await asyncio.gather(collect(hubble, number=2), collect(hubble, number=4))
    assert [len(answers) for answers in both] == [2, 4]


async def test_unknown_enum_values_stay_numbers(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1, verdict=99, drop_reason_desc=250))
    (answer,) = await collect(hubble, number=1)
    assert (answer["flow"]["verdict"], answer["flow"]["drop_reason_desc"]) == (99, 250)


async def test_an_extension_of_unknown_type_is_kept_raw(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1))
    observer.responses[-1].flow.extensions.type_url = "type.googleapis.com/vendor.Extra"
    observer.responses[-1].flow.extensions.value = b"\x08\x01"
    (answer,) = await collect(hubble, number=1)
    assert answer["flow"]["uuid"] == "new-1"
    assert answer["flow"]["extensions"] == {"@type": "type.googleapis.com/vendor.Extra", "value": "CAE="}


async def test_a_flow_with_missing_parts_is_passed_on(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add({"flow": {}})
    assert await collect(hubble, number=1) == [{"flow": {}}]


async def test_an_answer_of_one_megabyte_is_read(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1, Summary="x" * 1_000_000))
    (answer,) = await collect(hubble, number=1)
    assert len(answer["flow"]["Summary"]) == 1_000_000


async def test_the_users_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    async with serve(Observer()) as address, GrpcHubbles().open(address) as hubble:
        assert (await hubble.status()).num_flows == 0


async def test_ipv6_addresses_work() -> None:
    async with serve(Observer(), address="[::1]:0") as address, GrpcHubbles().open(address) as hubble:
        assert (await hubble.status()).num_flows == 0
