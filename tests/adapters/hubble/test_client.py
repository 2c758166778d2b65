"""The client against a real gRPC server in the same process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf import json_format

from installer.adapters.hubble import stream as stream_module
from installer.adapters.hubble._proto import health_pb2, observer_pb2, peer_pb2, peer_pb2_grpc
from installer.adapters.hubble.client import GrpcHubble, GrpcHubbles
from installer.domain.errors import BeeyardError, UsageError
from installer.domain.flows.flow import Answer, Endpoint, Flow
from installer.domain.flows.flow_filter import FilterSet, FlowFilter
from installer.ports.flows import FlowRequest
from installer.ports.hubble import EventRequest, Hubble, HubbleNamespace, HubbleNode, Hubbles, HubbleStatus, PeerChange
from tests.support.observer import Health, Observer, response_of, serve

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


def request(whitelist: Sequence[dict[str, Any]] = (), **selectors: Any) -> FlowRequest:
    return FlowRequest(FilterSet(msgspec.convert(whitelist, tuple[FlowFilter, ...], strict=False)), **selectors)


async def collect(hubble: GrpcHubble, **wanted: Any) -> list[Answer]:
    return [answer async for batch in hubble.batches(request(**wanted)) for answer in batch]


def uuids(answers: Iterable[Answer]) -> list[str]:
    return [answer.flow.uuid for answer in answers if answer.flow]


def flow_of(answer: Answer) -> Flow:
    assert answer.flow is not None
    return answer.flow


def test_it_implements_the_ports() -> None:
    hubbles: Hubbles = GrpcHubbles()
    hubble: type[Hubble] = GrpcHubble
    assert (hubbles.open, hubble.batches) is not None


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


async def test_all_kinds_of_answers_come_as_protobuf_tells_them(hubble: GrpcHubble, observer: Observer) -> None:
    told = [json_format.MessageToDict(one, preserving_proto_field_name=True) for one in observer.responses]
    assert await collect(hubble) == [msgspec.convert(fields, Answer, strict=False) for fields in told]


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
    flows = [answer.flow for answer in await collect(hubble) if answer.flow]
    wanted = [
        flow.uuid
        for flow in flows
        if flow.verdict == "DROPPED"
        and flow.source
        and flow.source.namespace == "shop"
        and flow.source.pod_name.startswith("web-")
    ]
    assert wanted
    denied = {"verdict": ["DROPPED"], "source_pod": ["shop/web-"]}
    assert uuids(await collect(hubble, whitelist=[denied])) == wanted


async def test_a_blacklist_takes_away(hubble: GrpcHubble) -> None:
    dropped = FilterSet(blacklist=(FlowFilter(verdict=("DROPPED",)),))
    left = [answer async for batch in hubble.batches(FlowRequest(dropped)) for answer in batch if answer.flow]
    assert left
    assert all(flow_of(answer).verdict != "DROPPED" for answer in left)


async def test_filters_take_enums_by_number_too(hubble: GrpcHubble, observer: Observer) -> None:
    await collect(hubble, whitelist=[{"verdict": [2]}])
    assert list(observer.requests[-1].whitelist[0].verdict) == [2]


async def test_several_filters_are_alternatives(hubble: GrpcHubble) -> None:
    by_uuid = [{"uuid": ["00000000-0000-4000-8000-000000000001"]}, {"uuid": ["00000000-0000-4000-8000-000000000003"]}]
    assert uuids(await collect(hubble, whitelist=by_uuid)) == [part["uuid"][0] for part in by_uuid]


async def test_labels_choose(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1, source={"labels": ["k8s:app=odd", "k8s:tier=x"], "pod_name": "p"}))
    assert uuids(await collect(hubble, whitelist=[{"source_label": ["app=odd,tier,tier!=y"]}])) == ["new-1"]
    assert uuids(await collect(hubble, whitelist=[{"source_label": ["app=odd,tier!=x"]}])) == []


@pytest.mark.parametrize("wrong", [{"verdict": ["NO_SUCH"]}, {"source_identity": [-1]}, {"ip_trace_id": ["x"]}])
async def test_a_wrong_filter_is_a_usage_error(hubble: GrpcHubble, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        await collect(hubble, whitelist=[wrong])
    assert caught.value.code == "E-HUBBLE-006"
    assert caught.value.why


async def test_a_negative_number_is_a_usage_error(hubble: GrpcHubble) -> None:
    with pytest.raises(UsageError):
        await collect(hubble, number=-1)


async def first(stream: AsyncIterator[Sequence[Answer]]) -> str:
    return uuids(await anext(stream))[0]


async def test_follow_gives_new_flows_only(hubble: GrpcHubble, observer: Observer) -> None:
    wanted = request([{"verdict": ["DROPPED"]}], follow=True)
    async with aclosing(hubble.batches(wanted)) as stream:
        following = asyncio.ensure_future(first(stream))
        await observer.wait_streams(1)
        await observer.add(made_flow(1, verdict="FORWARDED"))
        await observer.add(made_flow(2))
        assert await following == "new-2"
        await observer.add(made_flow(3))
        assert await first(stream) == "new-3"
    await observer.wait_streams(0)


async def test_follow_with_number_gives_the_past_first(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1))
    async with aclosing(hubble.batches(request(follow=True, number=1))) as stream:
        assert await first(stream) == "new-1"
        await observer.add(made_flow(2))
        assert await first(stream) == "new-2"


async def test_follow_sends_no_until(hubble: GrpcHubble, observer: Observer) -> None:
    async with aclosing(hubble.batches(request(follow=True, number=1, until=1.0))) as stream:
        await anext(stream)
    assert not observer.requests[-1].HasField("until")


async def test_a_cancelled_reader_ends_the_stream_at_the_server(hubble: GrpcHubble, observer: Observer) -> None:
    async def read() -> None:
        async for _ in hubble.batches(request(follow=True)):
            raise AssertionError("nothing was sent")

    reader = asyncio.ensure_future(read())
    await observer.wait_streams(1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await observer.wait_streams(0)
    assert (await hubble.status()).num_flows == 30


async def test_a_reader_that_stops_in_the_middle_ends_the_stream(hubble: GrpcHubble, observer: Observer) -> None:
    async with aclosing(hubble.batches(request(follow=True, number=5))) as stream:
        async for _ in stream:
            break
    await observer.wait_streams(0)


async def test_two_streams_share_one_connection(hubble: GrpcHubble, observer: Observer) -> None:
    both = await asyncio.gather(collect(hubble, number=2), collect(hubble, number=4))
    assert [len(answers) for answers in both] == [2, 4]


async def test_unknown_enum_values_stay_numbers(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1, verdict=99, drop_reason_desc=250))
    (answer,) = await collect(hubble, number=1)
    assert (flow_of(answer).verdict, flow_of(answer).drop_reason_desc) == (99, 250)


async def test_an_extension_of_unknown_type_is_kept_raw(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1))
    observer.responses[-1].flow.extensions.type_url = "type.googleapis.com/vendor.Extra"
    observer.responses[-1].flow.extensions.value = b"\x08\x01"
    (answer,) = await collect(hubble, number=1)
    assert msgspec.json.decode(msgspec.json.encode(flow_of(answer).extensions)) == {
        "@type": "type.googleapis.com/vendor.Extra",
        "value": "CAE=",
    }


async def test_a_flow_with_missing_parts_is_passed_on(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add({"flow": {}})
    assert await collect(hubble, number=1) == [Answer(flow=Flow())]


async def test_an_answer_of_one_megabyte_is_read(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1, Summary="x" * 1_000_000))
    (answer,) = await collect(hubble, number=1)
    assert len(flow_of(answer).summary) == 1_000_000


async def test_an_answer_above_the_limit_is_told_clearly(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1, Summary="x" * 5_000_000))
    with pytest.raises(BeeyardError) as caught:
        await collect(hubble, number=1)
    assert caught.value.code == "E-HUBBLE-014"
    assert "4.2 MB" in caught.value.why


async def test_a_mask_leaves_the_rest_out(hubble: GrpcHubble, observer: Observer) -> None:
    await observer.add(made_flow(1))
    (answer,) = await collect(hubble, number=1, mask=("uuid", "source.pod_name"))
    assert answer.flow == Flow(uuid="new-1", source=Endpoint(pod_name="web-1"))
    assert list(observer.requests[-1].experimental.field_mask.paths) == ["uuid", "source.pod_name"]


async def test_a_mask_of_a_newer_server_is_refused_clearly(hubble: GrpcHubble, observer: Observer) -> None:
    observer.older = {"policy_log"}
    with pytest.raises(BeeyardError) as caught:
        await collect(hubble, mask=("uuid", "policy_log"))
    assert caught.value.code == "E-HUBBLE-007"


async def test_many_flows_come_whole_and_in_order(hubble: GrpcHubble, observer: Observer) -> None:
    observer.responses = [response_of({"flow": {"uuid": str(number)}}) for number in range(3000)]
    batches = [uuids(batch) async for batch in hubble.batches(request())]
    assert [uuid for batch in batches for uuid in batch] == [str(number) for number in range(3000)]
    assert len(batches) < 1500


async def test_a_reader_that_does_not_read_holds_the_server_up(
    hubble: GrpcHubble, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "WAITING", 100)
    observer.responses = [response_of({"flow": {"uuid": str(n), "Summary": "x" * 16_000}}) for n in range(1500)]
    async with aclosing(hubble.batches(request())) as stream:
        read = len(await anext(stream))
        sent = -1
        while sent != observer.sent:  # until the server waits for us
            sent = observer.sent
            await asyncio.sleep(0.2)
        assert sent < 1500
        read += sum([len(batch) async for batch in stream])
    assert read == 1500


async def test_nodes(hubble: GrpcHubble) -> None:
    up, _, down = await hubble.nodes()
    assert up == HubbleNode("node-a", "NODE_CONNECTED", "cilium v1.19.4")
    assert (down.name, down.state) == ("node-c", "NODE_UNAVAILABLE")


async def test_namespaces(hubble: GrpcHubble) -> None:
    found = await hubble.namespaces()
    assert HubbleNamespace("shop", "default") in found
    assert list(found) == sorted(found, key=lambda one: one.namespace)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (health_pb2.HealthCheckResponse.SERVING, "SERVING"),
        (health_pb2.HealthCheckResponse.NOT_SERVING, "NOT_SERVING"),
    ],
)
async def test_health(status: int, text: str) -> None:
    async with serve(Observer(), health=Health(status)) as address, GrpcHubbles().open(address) as hubble:
        assert await hubble.health() == text


async def test_agent_events_of_an_agent(hubble: GrpcHubble, observer: Observer) -> None:
    policy = {"type": "POLICY_UPDATED", "policy_update": {"labels": ["k8s:a=b"], "revision": "7", "rule_count": "2"}}
    fields = {"agent_event": policy, "node_name": "node-a", "time": "2026-11-21T10:00:00Z"}
    observer.agent_events = [json_format.ParseDict(fields, observer_pb2.GetAgentEventsResponse())]
    (batch,) = [batch async for batch in hubble.agent_events(EventRequest(number=5))]
    assert msgspec.to_builtins(batch) == [fields | {"agent_event": policy | {"policy_update": {
        "labels": ("k8s:a=b",), "revision": "7", "rule_count": "2"}}}]  # fmt: skip


async def test_relay_has_no_agent_and_debug_events(hubble: GrpcHubble) -> None:
    for stream in (hubble.agent_events(EventRequest()), hubble.debug_events(EventRequest())):
        with pytest.raises(BeeyardError) as caught:
            await anext(stream)
        assert caught.value.code == "E-HUBBLE-005"


async def test_peers_of_an_agent() -> None:
    class Peers(peer_pb2_grpc.PeerServicer):
        async def Notify(self, request: Any, context: Any) -> AsyncIterator[peer_pb2.ChangeNotification]:  # noqa: N802
            yield peer_pb2.ChangeNotification(
                name="c/n", address="10.0.0.1:4244", type=peer_pb2.PEER_ADDED, tls=peer_pb2.TLS(server_name="n.c.x")
            )

    async with serve(Observer(), peers=Peers()) as address, GrpcHubbles().open(address) as hubble:
        assert [change async for change in hubble.peers()] == [
            PeerChange("PEER_ADDED", "c/n", "10.0.0.1:4244", "n.c.x")
        ]


async def test_a_socket_of_an_agent(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/hubble.sock"
    async with serve(Observer(made()), address=address), GrpcHubbles().open(address) as hubble:
        assert (await hubble.status()).num_flows == 30


async def test_the_users_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    async with serve(Observer()) as address, GrpcHubbles().open(address) as hubble:
        assert (await hubble.status()).num_flows == 0


async def test_ipv6_addresses_work() -> None:
    async with serve(Observer(), address="[::1]:0") as address, GrpcHubbles().open(address) as hubble:
        assert (await hubble.status()).num_flows == 0
