"""The generated modules: numbers on the wire, JSON of real flows, regeneration."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.internal import api_implementation

from installer.adapters.hubble._proto import flow_pb2, health_pb2, observer_pb2, peer_pb2, relay_pb2

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "hubble"


def recorded(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FIXTURES / name).read_text().splitlines()]


def canonical(value: Any) -> Any:
    """Cut what writers are free to print or not: trailing zeros of fractions, 64-bit numbers that are 0."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items() if item != "0"}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+\.\d+Z", value):
        return value[:-1].rstrip("0").rstrip(".") + "Z"
    return value


@pytest.mark.parametrize("name", ["flows-cilium-1.16.jsonl", "made.jsonl"])
def test_every_recorded_line_survives_a_round_trip(name: str) -> None:
    lines = recorded(name)
    assert len(lines) >= 30
    for line in lines:
        message = json_format.ParseDict(line, observer_pb2.GetFlowsResponse())
        again = observer_pb2.GetFlowsResponse.FromString(message.SerializeToString())
        assert canonical(json_format.MessageToDict(again, preserving_proto_field_name=True)) == canonical(line)


def test_recordings_hold_the_kinds_of_answer_and_flow() -> None:
    answers = recorded("made.jsonl") + recorded("flows-cilium-1.16.jsonl")
    flows = [answer["flow"] for answer in answers if "flow" in answer]
    assert {key for answer in answers for key in answer} >= {"flow", "node_status", "lost_events"}
    assert {flow["Type"] for flow in flows if "Type" in flow} == {"L3_L4", "L7", "SOCK"}
    assert {key for flow in flows for key in flow.get("l4", {})} == {"TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6"}


def test_protobuf_is_the_fast_implementation() -> None:
    assert api_implementation.Type() == "upb"


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        (
            flow_pb2.Flow,
            {"verdict": 2, "IP": 5, "l4": 6, "Type": 10, "drop_reason_desc": 25, "is_reply": 26, "uuid": 34}
            | {"egress_allowed_by": 21001, "ingress_denied_by": 21005, "Summary": 100000, "extensions": 150000},
        ),
        (flow_pb2.FlowFilter, {"source_pod": 2, "verdict": 5, "event_type": 6, "encrypted": 40, "experimental": 999}),
        (flow_pb2.Layer7, {"type": 1, "latency_ns": 2, "dns": 100, "http": 101, "kafka": 102}),
        (observer_pb2.GetFlowsRequest, {"number": 1, "follow": 3, "whitelist": 6, "since": 7, "field_mask": 10}),
        (observer_pb2.GetFlowsResponse, {"flow": 1, "node_status": 2, "lost_events": 3, "node_name": 1000}),
        (observer_pb2.ServerStatusResponse, {"num_flows": 1, "num_connected_nodes": 5, "flows_rate": 9}),
        (relay_pb2.NodeStatusEvent, {"state_change": 1, "node_names": 2, "message": 3}),
        (peer_pb2.ChangeNotification, {"name": 1, "address": 2, "type": 3, "tls": 4}),
        (health_pb2.HealthCheckResponse, {"status": 1}),
    ],
)
def test_field_numbers_are_those_of_the_wire(message: Any, numbers: dict[str, int]) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    assert {name: fields[name].number for name in numbers} == numbers


def test_full_names_are_those_of_the_wire() -> None:
    service = observer_pb2.DESCRIPTOR.services_by_name["Observer"]
    assert service.full_name == "observer.Observer"
    assert [method.name for method in service.methods] == [
        "GetFlows",
        "GetAgentEvents",
        "GetDebugEvents",
        "GetNodes",
        "GetNamespaces",
        "ServerStatus",
    ]
    assert health_pb2.DESCRIPTOR.services_by_name["Health"].full_name == "grpc.health.v1.Health"
    assert peer_pb2.DESCRIPTOR.services_by_name["Peer"].full_name == "peer.Peer"


def test_unknown_fields_and_enum_values_survive() -> None:
    newer = bytes.fromhex("10e707") + bytes.fromhex("fa7f0161")  # verdict 999; field 2047, a string
    flow = flow_pb2.Flow.FromString(newer)
    assert flow.verdict == 999
    assert json_format.MessageToDict(flow) == {"verdict": 999}
    assert flow.SerializeToString() == newer


@pytest.fixture
def copy_of_the_generator(tmp_path: Path) -> Path:
    """A tree with the script and the .proto folder, free to be changed."""
    folder = Path("installer/adapters/hubble/_proto")
    shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "gen_proto", tmp_path / "scripts")
    return tmp_path


def gen_proto(tree: Path, *args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(tree / "scripts" / "gen_proto"), *args]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def test_committed_modules_are_what_the_protos_give() -> None:
    result = gen_proto(ROOT, "--check")
    assert (result.returncode, result.stderr) == (0, "")


def test_check_names_stale_and_left_over_modules_and_a_run_mends_them(copy_of_the_generator: Path) -> None:
    folder = copy_of_the_generator / "installer/adapters/hubble/_proto"
    relay = folder / "relay.proto"
    relay.write_text(relay.read_text().replace("NODE_ERROR = 4;", "NODE_ERROR = 4;\n  NODE_MOVED = 5;"))
    (folder / "gone_pb2.py").write_text("")
    result = gen_proto(copy_of_the_generator, "--check")
    assert result.returncode == 1
    assert "relay_pb2.py differs" in result.stderr
    assert "gone_pb2.py differs" in result.stderr
    assert gen_proto(copy_of_the_generator).returncode == 0
    assert gen_proto(copy_of_the_generator, "--check").returncode == 0
    assert not (folder / "gone_pb2.py").exists()


def test_a_broken_proto_is_an_error(copy_of_the_generator: Path) -> None:
    (copy_of_the_generator / "installer/adapters/hubble/_proto/relay.proto").write_text("nonsense")
    result = gen_proto(copy_of_the_generator, "--check")
    assert result.returncode == 2
    assert "relay.proto:1:1" in result.stderr


def test_modules_work_in_any_package(tmp_path: Path) -> None:
    package = tmp_path / "elsewhere"
    package.mkdir()
    for module in (ROOT / "installer/adapters/hubble/_proto").glob("*.py"):
        shutil.copy(module, package)
    code = "from elsewhere import observer_pb2_grpc, health_pb2_grpc, peer_pb2_grpc, observer_pb2 as o; print(o.Node())"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.returncode, result.stderr) == (0, "")
