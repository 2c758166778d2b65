"""The converter against protobuf's own JSON form, on recordings and on messages of every shape."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.adapters.hubble._proto import flow_pb2, observer_pb2
from installer.adapters.hubble._proto.raw_pb2 import Flow as RawFlow
from installer.adapters.hubble.convert import Converter
from installer.adapters.hubble.parts import Table
from installer.domain.flows.flow import Answer, Flow

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "hubble"
F = FieldDescriptor


def by_json(raw: bytes) -> Answer:
    """Convert slowly and surely; what is there but empty counts as absent, but for the two sides."""
    message = observer_pb2.GetFlowsResponse.FromString(raw)
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    for name in [name for name, value in fields.get("flow", {}).items() if value == {} and name not in KEPT]:
        del fields["flow"][name]
    return msgspec.convert(fields, Answer, strict=False)


KEPT = ("source", "destination", "IP", "l4", "event_type")
OTHER = {"extensions"}
"""Fields whose JSON form protobuf cannot tell."""


def recorded() -> list[bytes]:
    texts = [path.read_bytes() for path in FIXTURES.glob("*.jsonl")]
    texts += [gzip.decompress(path.read_bytes()) for path in FIXTURES.glob("*.jsonl.gz")]
    lines = [line for text in texts for line in text.splitlines()]
    return [json_format.Parse(line, observer_pb2.GetFlowsResponse()).SerializeToString() for line in lines[::3]]


def test_recordings_come_as_protobuf_tells_them() -> None:
    converter, raws = Converter(), recorded()
    assert len(raws) > 500
    for raw in raws:
        assert converter.answer(raw) == by_json(raw)


def values(field: Any, depth: int) -> st.SearchStrategy[Any]:
    """Values of a field, of enums also numbers without a name."""
    if field.type == F.TYPE_MESSAGE:
        return messages(field.message_type._concrete_class, depth - 1)
    if field.type == F.TYPE_ENUM:
        return st.sampled_from([*field.enum_type.values_by_number, 900, 901])
    return {
        F.TYPE_STRING: st.sampled_from(["", "x", "ünd\x1b[1m"]),
        F.TYPE_BOOL: st.booleans(),
        F.TYPE_UINT32: st.integers(0, 2**32 - 1),
        F.TYPE_UINT64: st.integers(0, 2**64 - 1),
        F.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        F.TYPE_INT64: st.integers(0, 10**9),
    }[field.type]


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], depth: int = 4) -> Message:
    """Messages with some of their fields, times within the years that have four digits."""
    message = kind()
    if kind.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        message.seconds, message.nanos = draw(st.integers(0, 4 * 10**9)), draw(st.sampled_from([0, 5, 10**6, 10**3]))  # type: ignore[attr-defined]
        return message
    fields = [one for one in kind.DESCRIPTOR.fields if one.name not in OTHER and (depth or one.type != F.TYPE_MESSAGE)]
    for field in draw(st.lists(st.sampled_from(fields), max_size=6, unique_by=lambda one: one.name)) if fields else []:
        value = draw(st.lists(values(field, depth), max_size=2) if field.is_repeated else values(field, depth))
        if field.type == F.TYPE_MESSAGE and not field.is_repeated:
            getattr(message, field.name).CopyFrom(value)
        elif field.is_repeated:
            getattr(message, field.name).extend(value)
        else:
            setattr(message, field.name, value)
    return message


@settings(max_examples=150, deadline=None)
@given(messages(observer_pb2.GetFlowsResponse))
def test_messages_of_every_shape_come_as_protobuf_tells_them(message: Message) -> None:
    raw = message.SerializeToString()
    assert Converter().answer(raw) == by_json(raw)


def test_the_raw_flow_has_every_field_of_the_flow() -> None:
    raw = {field.name: field.number for field in RawFlow.DESCRIPTOR.fields}
    assert raw == {field.name: field.number for field in flow_pb2.Flow.DESCRIPTOR.fields}
    known = {field.encode_name for field in msgspec.structs.fields(Flow)}
    assert known == raw.keys()


def test_unknown_fields_are_left_out_at_every_level() -> None:
    newer = bytes.fromhex("fa7f0161")  # field 2047, a string
    flow = flow_pb2.Flow.FromString(flow_pb2.Flow(uuid="u").SerializeToString() + newer)
    flow.source.MergeFromString(flow_pb2.Endpoint(pod_name="p").SerializeToString() + newer)
    answer = Converter().answer(observer_pb2.GetFlowsResponse(flow=flow).SerializeToString() + newer)
    assert answer.flow is not None
    assert answer.flow.source is not None
    assert (answer.flow.uuid, answer.flow.source.pod_name) == ("u", "p")


def test_flows_share_their_parts() -> None:
    converter = Converter()
    endpoint = flow_pb2.Endpoint(pod_name="p", labels=["k8s:a=b"])
    raws = [
        observer_pb2.GetFlowsResponse(flow=flow_pb2.Flow(uuid=str(n), source=endpoint)).SerializeToString()
        for n in range(2)
    ]
    first, second = (converter.answer(raw).flow for raw in raws)
    assert first is not None
    assert second is not None
    assert first.source is second.source


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("installer.adapters.hubble.parts.REMEMBERED", 3)
    table = Table(len)
    assert [table[bytes(size)] for size in range(10)] == list(range(10))
    assert len(table) <= 3


def test_what_is_no_message_is_an_error() -> None:
    with pytest.raises(DecodeError):
        Converter().answer(b"\xff\xff\xff")
