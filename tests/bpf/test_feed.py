"""The tap as a source of the Flows screen, and as a command."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing

import pytest

from installer.domain.flows.feed import Connected, Flows
from installer.services.flow_feed import FeedChoice, FeedRequest
from installer.wiring.flow_feeds import open_feed
from tests.bpf.conftest import Lab

pytestmark = pytest.mark.root

TALK = """
import socket, time
print("ready")
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    sender.sendto(b"x", ("{address}", 7008))
    time.sleep(0.05)
"""


async def test_the_screens_feed_begins_with_a_word_and_goes_on_with_flows(lab: Lab) -> None:
    there = lab.address("b")
    kinds = []
    with lab.start("a", TALK.format(address=there)) as talker:
        async with aclosing(open_feed(FeedRequest(FeedChoice("tap")), None)) as told:
            async for item in told:
                kinds.append(type(item))
                if isinstance(item, Flows) and any(
                    answer.flow is not None and answer.flow.ip is not None and answer.flow.ip.destination == there
                    for answer in item.answers
                ):
                    break
        talker.kill()
    assert kinds[0] is Connected
    assert kinds[-1] is Flows


async def test_the_command_prints_what_is_dropped(lab: Lab) -> None:
    there = lab.address("b")
    with lab.start("a", TALK.format(address=there)) as talker:
        argv = (
            "tap",
            "--drops",
            "--for",
            "4s",
            "--interval",
            "200ms",
            "--to-ip",
            there,
            "-o",
            "jsonpb",
            "--reason",
            "no_socket",
        )
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "installer", *argv, stdout=pipe, stderr=pipe
        )
        out, err = await process.communicate()
        talker.kill()
    assert process.returncode == 0, err
    flows = [json.loads(line)["flow"] for line in out.splitlines()]
    assert {(flow["verdict"], flow["drop_reason_desc"]) for flow in flows} == {("DROPPED", "NO_SOCKET")}
    assert {flow["source"]["pod_name"] for flow in flows} == {lab.a}


@pytest.mark.parametrize("argv", [("--interval", "0s"), ("--for", "soon"), ("--interval", "1ms")])
async def test_wrong_durations(argv: tuple[str, str]) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "installer", "tap", *argv, stderr=pipe)
    _, err = await process.communicate()
    assert process.returncode == 2
    assert b"E-BPF-020" in err
