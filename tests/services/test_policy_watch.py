"""New drops after a change of policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
import pytest

from installer.adapters.hubble.client import GrpcHubbles
from installer.domain.errors import BeeyardError
from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.times import SECOND, from_ns, to_ns
from installer.domain.policy.engine import compile_policies
from installer.domain.policy.world import World
from installer.ports.flows import FlowRequest
from installer.services.policies.watch import DropWatch, watch_drops
from tests.support.observer import Observer, serve

CHANGED_AT = to_ns("2026-11-20T10:00:00Z")
POLICY: dict[str, Any] = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "backend", "namespace": "demo"},
    "spec": {
        "endpointSelector": {"matchLabels": {"app": "backend"}},
        "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "frontend"}}]}],
    },
}


def end(app: str) -> dict[str, Any]:
    return {
        "ID": 1,
        "identity": 30001,
        "namespace": "demo",
        "labels": [f"k8s:app={app}", "k8s:io.kubernetes.pod.namespace=demo"],
        "pod_name": f"{app}-1",
    }


def flow(
    second: float, source: str, dest: str, verdict: str = "DROPPED", port: int = 80, **parts: Any
) -> dict[str, Any]:
    moment = from_ns(CHANGED_AT + int(second * SECOND))
    made = {
        "time": moment,
        "verdict": verdict,
        "drop_reason_desc": "POLICY_DENIED" if verdict == "DROPPED" else "",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": port, "flags": {"SYN": True}}},
        "source": end(source),
        "destination": end(dest),
        "Type": "L3_L4",
        "event_type": {"type": 1},
        **parts,
    }
    return {"flow": made, "node_name": "node-a", "time": moment}


def answer(made: dict[str, Any]) -> Answer:
    return Answer(flow=msgspec.convert(made["flow"], Flow))


def watch(*policies: dict[str, Any]) -> DropWatch:
    objects = policies or (POLICY,)
    return DropWatch(compile_policies(objects), World(objects=objects).engine(), CHANGED_AT)


def test_only_what_was_not_dropped_before_is_new() -> None:
    one = watch()
    one.add(
        map(
            answer,
            (
                flow(-5, "old", "backend"),
                flow(1, "old", "backend"),
                flow(1, "intruder", "backend"),
                flow(2, "intruder", "backend"),
                flow(2, "frontend", "backend", "FORWARDED"),
            ),
        )
    )
    found = one.result()
    assert [(drop.source, drop.dest, drop.port, drop.count) for drop in found.drops] == [
        ("demo/intruder", "demo/backend", "80/TCP", 2)
    ]
    assert "default deny for ingress" in found.drops[0].why
    assert found.known == 1


def test_drops_of_endpoints_that_the_policy_does_not_select_do_not_count() -> None:
    one = watch()
    one.add([answer(flow(1, "intruder", "other")), answer(flow(1, "backend", "other"))])
    assert [drop.dest for drop in one.result().drops] == ["demo/other"]  # what the backend itself sends counts


def test_drops_for_other_reasons_do_not_count() -> None:
    one = watch()
    one.add([answer(flow(1, "frontend", "backend", drop_reason_desc="CT_MAP_INSERTION_FAILED"))])
    assert one.result().drops == []


def test_connections_that_were_open_are_seen_at_their_next_packet() -> None:
    tcp = {"TCP": {"source_port": 40000, "destination_port": 80, "flags": {"ACK": True, "PSH": True}}}
    one = watch()
    one.add([answer(flow(1, "intruder", "backend", l4=tcp))])
    assert one.result().drops[0].source == "demo/intruder"


def test_refused_requests_and_audited_ones_are_told_apart() -> None:
    rules = {"http": [{"method": "GET"}]}
    ports = [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": rules}]
    spec = {**POLICY["spec"], "ingress": [{"toPorts": ports}]}
    l7 = {"type": "REQUEST", "http": {"method": "POST", "url": "http://backend/login"}}
    one = watch({**POLICY, "spec": spec})
    one.add([answer(flow(1, "frontend", "backend", l7=l7, Type="L7", drop_reason_desc=""))])
    one.add([answer(flow(1, "intruder", "backend", "AUDIT"))])
    first, second = one.result().drops
    assert (first.port, first.audit) == ("80/TCP POST /login", False)
    assert "no rule of it admits" in first.why
    assert (second.source, second.audit) == ("demo/intruder", True)


def test_a_drop_that_these_policies_do_not_explain_has_no_reason() -> None:
    one = watch()
    one.add([answer(flow(1, "frontend", "backend"))])
    assert one.result().drops[0].why == ""
    assert one.result().drops[0].to_dict()["count"] == 1


async def test_the_past_and_what_comes_are_asked_of_hubble_in_one_stream() -> None:
    server = Observer([flow(-5, "old", "backend"), flow(-90, "older", "backend")])
    async with serve(server) as address, GrpcHubbles().open(address) as hubble:
        looking = asyncio.ensure_future(watch_drops(hubble, watch(), before=CHANGED_AT - 30 * SECOND, seconds=3))
        await server.wait_streams(1)
        for source in ("old", "older", "intruder"):
            await server.add(flow(1, source, "backend"))
        await server.add({"lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "3"}})
        found = await looking
    assert {drop.source for drop in found.drops} == {"demo/older", "demo/intruder"}
    assert (found.known, found.lost) == (1, 3)
    (request,) = server.requests
    assert request.follow
    assert [wanted.verdict[:] for wanted in request.whitelist] == [[2, 4]]


async def test_a_hubble_that_fails_is_an_error() -> None:
    class Broken:
        name = "broken"

        async def batches(self, request: FlowRequest) -> AsyncGenerator[Sequence[Answer], None]:
            if request.follow:
                raise BeeyardError("gone", code="E-HUBBLE-001")
            yield ()

    with pytest.raises(BeeyardError):
        await watch_drops(Broken(), watch(), before=0, seconds=60)
