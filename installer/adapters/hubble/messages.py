"""Between our requests and answers and the messages of the Observer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message

from installer.adapters.hubble._proto import flow_pb2, observer_pb2, peer_pb2, relay_pb2
from installer.adapters.hubble.parts import fields_of
from installer.domain.errors import UsageError
from installer.domain.flows.flow_filter import FlowFilter
from installer.ports.flows import FlowRequest
from installer.ports.hubble import EventRequest, HubbleNamespace, HubbleNode, HubbleStatus, PeerChange

NANOSECONDS = 1_000_000_000
T = TypeVar("T")
AnyRequest = observer_pb2.GetFlowsRequest | observer_pb2.GetAgentEventsRequest | observer_pb2.GetDebugEventsRequest


def flows_request(wanted: FlowRequest) -> observer_pb2.GetFlowsRequest:
    """Build a GetFlowsRequest.

    Raises:
        UsageError: ``E-HUBBLE-006`` a filter has a value of the wrong type or an unknown name, or a number is negative.
    """
    request = observer_pb2.GetFlowsRequest()
    request.whitelist.extend(_filters(wanted.filters.whitelist))
    request.blacklist.extend(_filters(wanted.filters.blacklist))
    if wanted.mask:
        request.field_mask.paths.extend(wanted.mask)
        request.experimental.field_mask.paths.extend(wanted.mask)  # where servers before 1.17 look
    _selectors(request, wanted)
    return request


def agent_events_request(wanted: EventRequest) -> observer_pb2.GetAgentEventsRequest:
    """Build a GetAgentEventsRequest."""
    request = observer_pb2.GetAgentEventsRequest()
    _selectors(request, wanted)
    return request


def debug_events_request(wanted: EventRequest) -> observer_pb2.GetDebugEventsRequest:
    """Build a GetDebugEventsRequest."""
    request = observer_pb2.GetDebugEventsRequest()
    _selectors(request, wanted)
    return request


def _selectors(request: AnyRequest, wanted: FlowRequest | EventRequest) -> None:
    try:
        request.number = wanted.number
    except ValueError as error:
        raise _wrong_request(str(error)) from error
    request.first, request.follow = wanted.first, wanted.follow
    if wanted.since is not None:
        request.since.FromMicroseconds(int(wanted.since * 1_000_000))  # a float holds no nanoseconds of today
    if wanted.until is not None and not wanted.follow:  # a server would end the stream there
        request.until.FromMicroseconds(int(wanted.until * 1_000_000))


def _filters(filters: Iterable[FlowFilter]) -> list[flow_pb2.FlowFilter]:
    try:
        return [json_format.ParseDict(msgspec.to_builtins(one), flow_pb2.FlowFilter()) for one in filters]
    except json_format.ParseError as error:
        raise _wrong_request(str(error)) from error


def _wrong_request(why: str) -> UsageError:
    fix = "Use the fields, names and numbers of Hubble's FlowFilter."
    return UsageError("A flow filter is wrong", why=why, fix=fix, code="E-HUBBLE-006")


def by_json(kind: type[Message], struct: type[T]) -> Callable[[bytes], T]:
    """Return a converter that goes by the JSON form, for events that come seldom."""

    def convert(raw: bytes) -> T:
        return msgspec.convert(fields_of(kind.FromString(raw)), struct, strict=False)

    return convert


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


def nodes_of(answer: observer_pb2.GetNodesResponse) -> tuple[HubbleNode, ...]:
    """Return a GetNodes answer in our terms, by name."""
    return tuple(sorted((_node(node) for node in answer.nodes), key=lambda node: node.name))


def _node(wire: observer_pb2.Node) -> HubbleNode:
    tls = wire.HasField("tls")
    return HubbleNode(
        name=wire.name,
        state=_state(wire.state),
        version=wire.version,
        address=wire.address,
        tls=wire.tls.enabled if tls else None,
        tls_name=wire.tls.server_name,
        uptime_seconds=wire.uptime_ns / NANOSECONDS,
        num_flows=wire.num_flows,
        max_flows=wire.max_flows,
        seen_flows=wire.seen_flows,
    )


def _state(number: Any) -> str:
    known = relay_pb2.NodeState.values()
    return relay_pb2.NodeState.Name(number) if number in known else f"NODE_STATE_{number}"


def namespaces_of(answer: observer_pb2.GetNamespacesResponse) -> tuple[HubbleNamespace, ...]:
    """Return a GetNamespaces answer in our terms, by cluster and name."""
    found = [HubbleNamespace(one.namespace, one.cluster) for one in answer.namespaces]
    return tuple(sorted(found, key=lambda one: (one.cluster, one.namespace)))


def peer_of(raw: bytes) -> PeerChange:
    """Return a change of a peer in our terms."""
    wire = peer_pb2.ChangeNotification.FromString(raw)
    known = peer_pb2.ChangeNotificationType.values()
    kind = peer_pb2.ChangeNotificationType.Name(wire.type) if wire.type in known else f"PEER_{wire.type}"
    return PeerChange(kind, wire.name, wire.address, wire.tls.server_name)
