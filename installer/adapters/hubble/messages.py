"""Between Hubble's JSON form (jsonpb with the names of the .proto) and its messages."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format

from installer.adapters.hubble._proto import flow_pb2, observer_pb2
from installer.domain.errors import UsageError
from installer.ports.hubble import HubbleStatus

NANOSECONDS = 1_000_000_000


def flows_request(
    *, whitelist: Sequence[Mapping[str, Any]], number: int, since: float | None, follow: bool
) -> observer_pb2.GetFlowsRequest:
    """Build a GetFlowsRequest; the arguments are those of ``ports.hubble.Hubble.flows``.

    Raises:
        UsageError: ``E-HUBBLE-006`` a filter has an unknown field or a value of the wrong type.
    """
    request = observer_pb2.GetFlowsRequest(number=number, follow=follow, whitelist=[_filter(f) for f in whitelist])
    if since is not None:
        request.since.FromMicroseconds(int(since * 1_000_000))  # a float holds no nanoseconds of today
    return request


def _filter(fields: Mapping[str, Any]) -> flow_pb2.FlowFilter:
    try:
        return json_format.ParseDict(dict(fields), flow_pb2.FlowFilter())
    except json_format.ParseError as error:
        raise UsageError(
            "A flow filter is wrong",
            why=str(error),
            fix="Use the fields of Hubble's FlowFilter in JSON form.",
            code="E-HUBBLE-006",
        ) from error


def response_json(response: observer_pb2.GetFlowsResponse) -> dict[str, Any]:
    """Return a GetFlows answer as Hubble prints it with ``-o jsonpb``; unknown enum values stay numbers."""
    if not response.flow.HasField("extensions"):
        return json_format.MessageToDict(response, preserving_proto_field_name=True)
    extensions = response.flow.extensions
    raw = {"@type": extensions.type_url, "value": base64.b64encode(extensions.value).decode()}
    response.flow.ClearField("extensions")  # of a type that only its maker knows: jsonpb could not print it
    answer = json_format.MessageToDict(response, preserving_proto_field_name=True)
    answer["flow"]["extensions"] = raw
    return answer


def status_of(answer: observer_pb2.ServerStatusResponse) -> HubbleStatus:
    """Return a ServerStatus answer in our terms."""
    relay = answer.HasField("num_connected_nodes")
    return HubbleStatus(
        num_flows=answer.num_flows,
        max_flows=answer.max_flows,
        seen_flows=answer.seen_flows,
        uptime_seconds=answer.uptime_ns / NANOSECONDS,
        flows_rate=answer.flows_rate,
        connected_nodes=answer.num_connected_nodes.value if relay else None,
        unavailable_nodes=answer.num_unavailable_nodes.value if answer.HasField("num_unavailable_nodes") else None,
        unavailable_names=tuple(answer.unavailable_nodes),
        version=answer.version,
    )
