"""``beeyard observe`` as a process, against a real server in the test's own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time as clock
from typing import Any

import pytest

from installer.domain.flows import times
from tests.support.golden import recorded
from tests.support.observer import Observer, serve


def flow(number: int, *, live: bool = False, **parts: Any) -> dict[str, Any]:
    """Make a flow of a second in the past, or of now."""
    past = times.to_ns("2026-11-20T10:00:00Z") + number * times.SECOND
    moment = times.from_ns(clock.time_ns() if live else past)
    base = {
        "time": moment,
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "node_name": "node-a",
        "verdict": "FORWARDED",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000 + number, "destination_port": 80}},
        "event_type": {"type": 4},
        "is_reply": False,
    }
    return {"flow": {**base, **parts}, "node_name": "node-a", "time": moment}


class Running:
    """A process of ``beeyard observe``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()

    async def interrupt(self) -> tuple[int | None, str, str]:
        self._process.send_signal(signal.SIGINT)
        return await self.end()

    async def end(self) -> tuple[int | None, str, str]:
        out, err = await self._process.communicate()
        return self._process.returncode, out.decode(), err.decode()


async def start(*arguments: str) -> Running:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HUBBLE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "installer", "observe", *arguments, env=environment | {"KUBECONFIG": "/nonexistent"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return Running(process)


async def observe(*arguments: str) -> tuple[int | None, str, str]:
    return await (await start(*arguments)).end()


async def test_the_last_twenty_unless_more_is_asked_for() -> None:
    server = Observer([flow(second) for second in range(30)])
    async with serve(server) as address:
        (code, out, err), (_, everything, _) = await asyncio.gather(
            observe("--server", address), observe("--server", address, "--all", "-o", "csv")
        )
    assert (code, err) == (0, "")
    assert out.count("\n") == 20
    assert out.startswith(
        "Nov 20 10:00:10.000: 10.0.0.1:40010 (unknown) -> 10.0.0.2:80 (unknown) to-endpoint FORWARDED ()"
    )
    assert everything.count("\n") == 31


async def test_a_recording_served_is_printed_like_the_file() -> None:
    answers = [line for line in recorded("made.jsonl").splitlines() if b"node_status" not in line]
    server = Observer([json.loads(line) for line in answers])
    async with serve(server) as address:
        code, out, _ = await observe("--server", address, "--all", "-o", "jsonpb")
        assert server.requests[-1].field_mask.paths == []
    assert code == 0
    assert [json.loads(line)["time"] for line in out.splitlines()] == [
        json.loads(line)["time"][:26] + "Z" for line in answers[:-1]
    ] + ["2026-11-20T11:00:00.000000001Z"]


async def test_filters_go_to_the_server_and_expressions_as_far_as_they_can() -> None:
    refused: dict[str, Any] = {"verdict": "DROPPED", "event_type": {"type": 5}, "traffic_direction": "EGRESS"}
    server = Observer(
        [flow(1), flow(2, **refused), flow(3, **refused, interface={"name": "eth0"}, Summary="the third")]
    )
    async with serve(server) as address:
        _, out, _ = await observe("--server", address, "--where", "verdict=dropped and summary~third", "--last", "1")
        pushed = server.requests[-1]
        _, listed, _ = await observe(
            "--server", address, "--verdict", "dropped", "--field-mask", "verdict", "-o", "json"
        )
        asked = server.requests[-1]
    assert [line[:15] for line in out.splitlines()] == ["Nov 20 10:00:03"]
    assert [list(item.verdict) for item in pushed.whitelist] == [[2]]
    assert listed.count("DROPPED") == 2
    assert "interface" not in listed
    assert "verdict" in asked.field_mask.paths


async def test_following_prints_at_once_and_ends_quietly() -> None:
    server = Observer([flow(1, live=True)])
    async with serve(server) as address:
        running = await start("--server", address, "-f", "--last", "5")
        assert ":40001 " in await running.line()
        await server.add(flow(2, live=True))
        assert ":40002 " in await running.line()
        code, out, err = await running.interrupt()
    assert (code, out, err) == (0, "", "")


async def test_counts_are_told_when_a_stream_is_interrupted() -> None:
    server = Observer([flow(number, live=True) for number in range(3)])
    async with serve(server) as address:
        running = await start(
            "--server", address, "-f", "--last", "5", "--group-by", "src.ip,dport", "--every", "1h", "-o", "csv"
        )
        assert await running.line() == "start,count,share,src.ip,dport\n"
        while len(server.requests) < 2:  # the past is counted before what is new is asked for
            await asyncio.sleep(0.01)
        code, out, err = await running.interrupt()
    assert (code, err) == (0, "")
    assert out.partition(",")[2] == "3,1.000000,10.0.0.1,80\n"


async def test_a_lost_connection_is_told_and_mended() -> None:
    server = Observer([flow(1, live=True)])
    async with serve(server) as address:
        running = await start("--server", address, "-f", "--last", "5")
        assert ":40001 " in await running.line()
        while len(server.requests) < 2:  # the past, and then what is new
            await asyncio.sleep(0.01)
    async with serve(Observer([flow(1, live=True), flow(2, live=True)]), address=address):
        assert ":40002 " in await running.line()
        code, out, err = await running.interrupt()
    assert (code, out) == (0, "")
    assert "beeyard: connection lost: " in err
    assert "; try 1 in 0.5 s\n" in err
    assert f"beeyard: connected again to hubble {address}\n" in err


async def test_nobody_there() -> None:
    code, out, err = await observe("--server", "127.0.0.1:1")
    assert (code, out) == (3, "")
    assert "E-HUBBLE-001" in err


async def test_without_a_server_the_cluster_is_looked_for() -> None:
    code, _, err = await observe()
    assert code == 3
    assert "E-KUBE-002" in err


async def test_events_of_an_agent() -> None:
    from installer.adapters.hubble._proto import flow_pb2, observer_pb2

    event = flow_pb2.AgentEvent(type=flow_pb2.POLICY_UPDATED)
    event.policy_update.labels.append("k8s:a=b")
    event.policy_update.revision = 7
    event.policy_update.rule_count = 2
    answer = observer_pb2.GetAgentEventsResponse(agent_event=event, node_name="node-a")
    answer.time.FromJsonString("2026-11-20T10:00:01Z")
    server = Observer()
    server.agent_events = [answer]
    async with serve(server) as address:
        (code, out, _), (refused, _, err) = await asyncio.gather(
            observe("agent-events", "--server", address, "--print-node-name"),
            observe("debug-events", "--server", address),
        )
    assert (code, out) == (
        0,
        "Nov 20 10:00:01.000 [node-a]: POLICY_UPDATED (labels: [k8s:a=b], revision: 7, count: 2)\n",
    )
    assert refused == 1
    assert "E-HUBBLE-005" in err


@pytest.mark.parametrize("form", ["compact", "jsonpb"])
async def test_a_full_disk_ends_a_stream(form: str) -> None:
    server = Observer([flow(second) for second in range(30)])
    async with serve(server) as address:
        with open("/dev/full", "wb") as full:  # noqa: ASYNC230, PTH123
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "installer", "observe", "--server", address, "-o", form, stdout=full,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            _, err = await process.communicate()
    assert process.returncode == 1
    assert b"E-FLOW-027: Cannot write the output\n  No space left on device" in err
