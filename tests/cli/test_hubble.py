"""``beeyard hubble …`` as a process, against a real server; and the forms that hubble prints."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from installer.cli.main import run
from installer.cli.render_hubble import render_namespaces, render_nodes, render_status
from installer.domain.errors import ExitCode
from installer.domain.hubble_words import go_duration
from installer.ports.hubble import HubbleNamespace, HubbleNode, HubbleStatus
from tests.support.observer import Health, Observer, serve

STATUS = HubbleStatus(12285, 12285, 99999, 3723.5, 55.87, 3, 12, tuple(f"n{number}" for number in range(10)), "v1")
AGENT = HubbleStatus(7, 0, 7, 2.0)
NODES = (
    HubbleNode("a", "NODE_CONNECTED", "v1.19.4", "10.0.0.1:4244", True, "a.x", 100.0, 4095, 4095, 5000),
    HubbleNode("long-name", "NODE_UNAVAILABLE"),
)


async def beeyard(*arguments: str) -> tuple[int, str, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HUBBLE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "installer", "hubble", *arguments, env=environment | {"KUBECONFIG": "/nonexistent"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_status_nodes_and_namespaces_of_a_server() -> None:
    flow = {"flow": {"source": {"namespace": "shop"}}}
    async with serve(Observer([flow], nodes=("a", "b"), unavailable=("c",))) as address:
        status, nodes, namespaces, as_json = await asyncio.gather(
            beeyard("status", "--server", address),
            beeyard("nodes", "--server", address, "-o", "json"),
            beeyard("namespaces", "--server", address),
            beeyard("status", "--server", address, "-o", "json"),
        )
    assert status == (
        0,
        f"Healthcheck (via {address}): Ok\nCurrent/Max Flows: 1/4,095 (0.02%)\nFlows/s: 1.50\n"
        "Connected Nodes: 2/3\nUnavailable Nodes: 1\n  - c\n",
        "",
    )
    assert [node["name"] for node in json.loads(nodes[1])] == ["a", "b", "c"]
    assert namespaces[1] == "NAMESPACE\nshop\n"
    assert json.loads(as_json[1])["num_flows"] == "1"


async def test_a_server_that_is_not_healthy() -> None:
    async with serve(Observer(), health=Health(2)) as address:
        code, out, err = await beeyard("status", "--server", address)
    assert (code, out) == (ExitCode.FAILED, f"Healthcheck (via {address}): Unavailable: NOT_SERVING\n")
    assert "E-HUBBLE-017" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("status", "--server", "nonsense"), ExitCode.USAGE, "E-HUBBLE-003"),
        (("nodes", "--server", "h:1", "--tls-server-name", "x"), ExitCode.USAGE, "E-HUBBLE-016"),
        (("nodes", "--server", "tls://h:1", "--tls-ca-cert-files", "/nope"), ExitCode.USAGE, "E-HUBBLE-016"),
        (("nodes", "--server", "tls://h:1", "--tls-client-key-file", "x"), ExitCode.USAGE, "E-HUBBLE-016"),
        (("status", "--server", "127.0.0.1:1"), ExitCode.CONNECT, "E-HUBBLE-001"),
        (("status", "--kubeconfig", "/nope"), ExitCode.CONNECT, "E-KUBE-002"),
        (("port-forward", "--kubeconfig", "/nope"), ExitCode.CONNECT, "E-KUBE-002"),
    ],
)
def test_wrong_options_and_an_absent_server(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert run(["hubble", *arguments]) == code
    out, err = capsys.readouterr()
    assert words in err
    assert out == ""


def test_status_in_every_form() -> None:
    assert render_status(STATUS, "compact").splitlines() == [
        "Current/Max Flows: 12,285/12,285 (100.00%)",
        "Flows/s: 55.87",
        "Connected Nodes: 3/15",
        "Unavailable Nodes: 12",
        *(f"  - n{number}" for number in range(10)),
        "  - and 2 more...",
    ]
    assert render_status(STATUS, "dict").splitlines()[3:7] == [
        "   FLOWS PER SECOND: 55.87",
        "             UPTIME: 1h2m3.5s",
        "NUM CONNECTED NODES: 3",
        " NUM UNAVAIL. NODES: 12",
    ]
    assert render_status(AGENT, "table").splitlines() == [
        "NUM FLOWS   MAX FLOWS   SEEN FLOWS   FLOWS PER SECOND   UPTIME   NUM CONNECTED NODES   NUM UNAVAILABLE NODES"
        "   VERSION",
        "7           0           7            N/A                2s       N/A                   N/A                  "
        "   ",
    ]
    assert json.loads(render_status(AGENT, "json")) == {
        "num_flows": "7",
        "seen_flows": "7",
        "uptime_ns": "2000000000",
    }


def test_nodes_in_every_form() -> None:
    assert render_nodes(NODES, "wide").splitlines() == [
        "NAME        STATUS        AGE     FLOWS/S   CURRENT/MAX-FLOWS     VERSION   ADDRESS         TLS",
        "a           Connected     1m40s   50.00     4095/4095 (100.00%)   v1.19.4   10.0.0.1:4244   Enabled",
        "long-name   Unavailable   N/A     N/A       N/A                   N/A                       N/A",
    ]
    assert (
        render_nodes(NODES, "table").splitlines()[0] == "NAME        STATUS        AGE     FLOWS/S   CURRENT/MAX-FLOWS"
    )
    first, second = json.loads(render_nodes(NODES, "json"))
    assert (first["state"], first["tls"], first["uptime_ns"]) == (1, {"enabled": True, "server_name": "a.x"}, 10**11)
    assert second == {"name": "long-name", "state": 2}


def test_namespaces_in_every_form() -> None:
    found = (HubbleNamespace("default", "c1"), HubbleNamespace("kube-system"))
    assert render_namespaces(found, "table") == "NAMESPACE\ndefault\nkube-system"
    assert render_namespaces(found, "wide") == "NAMESPACE   CLUSTER\ndefault     c1\nkube-system"
    assert json.loads(render_namespaces(found, "json")) == [
        {"cluster": "c1", "namespace": "default"},
        {"namespace": "kube-system"},
    ]


def test_what_the_server_says_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in render_nodes((HubbleNode("a\x1b[31m"),), "table")
    assert "\x1b" not in render_status(HubbleStatus(1, 1, 1, 1.0, unavailable_nodes=1, unavailable_names=("\x1b",)),
                                       "compact")  # fmt: skip


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0s"), (5, "5ns"), (1500, "1.5µs"), (250_000_000, "250ms"), (100 * 10**9, "1m40s"), (3600 * 10**9, "1h0m0s")],
)
def test_durations_as_go_prints_them(nanos: int, text: str) -> None:
    assert go_duration(nanos) == text
