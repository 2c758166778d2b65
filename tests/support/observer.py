"""A small Observer in memory: holds flows and serves them as Relay does. For tests, in their own process or not."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from google.protobuf import field_mask_pb2, json_format

from installer.adapters.hubble._proto import (
    flow_pb2,
    health_pb2,
    health_pb2_grpc,
    observer_pb2,
    observer_pb2_grpc,
    peer_pb2_grpc,
    relay_pb2,
)

Response = observer_pb2.GetFlowsResponse
Filter = flow_pb2.FlowFilter
CLAUSE = re.compile(r"\s*(?P<key>[^\s!=]+)\s*(?:(?P<op>!=|==?)\s*(?P<value>[^\s=]*))?\s*")


def response_of(fields: Mapping[str, Any]) -> Response:
    """Build an answer from its JSON form."""
    return json_format.ParseDict(dict(fields), Response())


def labels_of(endpoint: flow_pb2.Endpoint) -> dict[str, str]:
    """Return labels without their source: ``k8s:app=web`` as ``app: web``."""
    pairs = (label.partition("=") for label in endpoint.labels)
    return {key.partition(":")[2] or key: value for key, _, value in pairs}


def pod_matches(endpoint: flow_pb2.Endpoint, pattern: str) -> bool:
    """Match ``[ns/]prefix``: no slash means namespace ``default``, ``/p`` any namespace, ``ns/`` any pod of it."""
    namespace, slash, prefix = pattern.rpartition("/")
    wanted = namespace if slash else "default"
    return (wanted in {"", endpoint.namespace}) and bool(endpoint.pod_name) and endpoint.pod_name.startswith(prefix)


def label_matches(endpoint: flow_pb2.Endpoint, selector: str) -> bool:
    """Match ``k=v,k!=v,k`` (no set operators)."""
    labels = labels_of(endpoint)
    for clause in selector.split(","):
        match = CLAUSE.fullmatch(clause)
        if match is None:
            raise ValueError(f"label selector {selector!r}")
        key, op, value = match["key"].removeprefix("any:").removeprefix("k8s:"), match["op"], match["value"]
        if op is None and key not in labels:
            return False
        if op is not None and (labels.get(key) == value) is (op == "!="):
            return False
    return True


def event_matches(flow: flow_pb2.Flow, wanted: flow_pb2.EventTypeFilter) -> bool:
    """Match the event's type, and its sub type where that is asked for."""
    got = flow.event_type
    return got.type == wanted.type and (not wanted.match_sub_type or got.sub_type == wanted.sub_type)


MATCHERS: dict[str, Callable[[flow_pb2.Flow, Any], bool]] = {
    "source_pod": lambda flow, value: pod_matches(flow.source, value),
    "destination_pod": lambda flow, value: pod_matches(flow.destination, value),
    "source_label": lambda flow, value: label_matches(flow.source, value),
    "destination_label": lambda flow, value: label_matches(flow.destination, value),
    "source_ip": lambda flow, value: flow.IP.source == value,
    "destination_ip": lambda flow, value: flow.IP.destination == value,
    "verdict": lambda flow, value: flow.verdict == value,
    "event_type": event_matches,
    "traffic_direction": lambda flow, value: flow.traffic_direction == value,
    "uuid": lambda flow, value: flow.uuid == value,
}


def flow_matches(flow: flow_pb2.Flow, wanted: Filter) -> bool:
    """Match one filter: values of a field are alternatives, fields must all match.

    Raises:
        ValueError: the filter has a field that this Observer does not know.
    """
    for field, values in wanted.ListFields():
        if field.name not in MATCHERS:
            raise ValueError(f"filter field {field.name}")
        if not any(MATCHERS[field.name](flow, value) for value in values):
            return False
    return True


def masked(response: Response, mask: field_mask_pb2.FieldMask) -> Response:
    """Leave only what the mask names of a flow."""
    if not mask.paths or not response.HasField("flow"):
        return response
    answer = Response(node_name=response.node_name, time=response.time)
    answer.flow.SetInParent()
    mask.MergeMessage(response.flow, answer.flow)
    return answer


class Health(health_pb2_grpc.HealthServicer):
    """gRPC's health service, in the state it was given."""

    def __init__(self, status: Any = health_pb2.HealthCheckResponse.SERVING):
        self.status = status

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802
        """Answer for Hubble's service only."""
        if request.service != "hubble.server.Observer":
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return health_pb2.HealthCheckResponse(status=self.status)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[health_pb2.HealthCheckResponse]:  # noqa: N802
        """Refuse."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Watch not implemented")
        yield health_pb2.HealthCheckResponse()


class Observer(observer_pb2_grpc.ObserverServicer):
    """Serves what it holds. Knobs make it fail.

    Attributes:
        responses: everything it holds, oldest first.
        requests: every GetFlows request it got.
        metadata: that of every call.
        streams: GetFlows streams open now.
        sent: flows sent to all streams.
        stall_after: answer so many, then send nothing more and keep the stream open.
        stalled: no method answers any more.
        failure: status and text with which every method ends.
        older: fields that this server does not know yet.
        agent_events: what it serves as an agent; None: it is Relay.
    """

    def __init__(
        self,
        responses: Iterable[Mapping[str, Any]] = (),
        *,
        nodes: Sequence[str] = ("node-a",),
        unavailable: Sequence[str] = (),
        version: str = "cilium v1.19.4",
        max_flows: int = 4095,
    ):
        self.responses = [response_of(fields) for fields in responses]
        self.requests: list[observer_pb2.GetFlowsRequest] = []
        self.metadata: list[dict[str, Any]] = []
        self.streams = 0
        self.sent = 0
        self.stall_after: int | None = None
        self.stalled = False
        self.failure: tuple[grpc.StatusCode, str] | None = None
        self.older: set[str] = set()
        self.agent_events: list[observer_pb2.GetAgentEventsResponse] | None = None
        self._nodes = tuple(nodes)
        self._unavailable = tuple(unavailable)
        self._version = version
        self._max_flows = max_flows
        self._changed = asyncio.Condition()

    async def add(self, fields: Mapping[str, Any]) -> None:
        """Hold one more answer and send it to the followers whose filter it matches."""
        async with self._changed:
            self.responses.append(response_of(fields))
            self._changed.notify_all()

    def move(self, node: str, *, up: bool) -> None:
        """Make a node answer, or not any more."""
        self._nodes = (*(name for name in self._nodes if name != node), *((node,) if up else ()))
        self._unavailable = (*(name for name in self._unavailable if name != node), *(() if up else (node,)))

    async def wait_streams(self, number: int) -> None:
        """Wait until so many GetFlows streams are open."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.streams == number)

    async def GetFlows(  # noqa: N802
        self, request: observer_pb2.GetFlowsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Response]:
        """Serve the past as ``number`` and ``since`` ask, then follow."""
        await self._gate(context)
        await self._check_filters(request, context)
        self.requests.append(request)
        await self._count_stream(+1)
        try:
            sent = 0
            async for response in self._select(request):
                if sent == self.stall_after:
                    await asyncio.Event().wait()
                yield masked(response, request.field_mask)
                sent += 1
                self.sent += 1
            if sent == self.stall_after:
                await asyncio.Event().wait()
        finally:
            await self._count_stream(-1)

    async def GetAgentEvents(  # noqa: N802
        self, request: observer_pb2.GetAgentEventsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[observer_pb2.GetAgentEventsResponse]:
        """Serve those it was given, or refuse as Relay does."""
        if self.agent_events is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "GetAgentEvents not implemented")
        for event in self.agent_events[-request.number :]:
            yield event

    async def GetDebugEvents(  # noqa: N802
        self, request: observer_pb2.GetDebugEventsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[observer_pb2.GetDebugEventsResponse]:
        """Refuse, as Relay does."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "GetDebugEvents not implemented")
        yield observer_pb2.GetDebugEventsResponse()  # type: ignore[unreachable]  # makes it a generator

    async def ServerStatus(  # noqa: N802
        self, request: observer_pb2.ServerStatusRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> observer_pb2.ServerStatusResponse:
        """Count what it holds."""
        await self._gate(context)
        answer = observer_pb2.ServerStatusResponse(
            num_flows=len(self.responses),
            max_flows=self._max_flows,
            seen_flows=len(self.responses),
            uptime_ns=90_000_000_000,
            unavailable_nodes=self._unavailable,
            version=self._version,
            flows_rate=1.5,
        )
        answer.num_connected_nodes.value = len(self._nodes)
        answer.num_unavailable_nodes.value = len(self._unavailable)
        return answer

    async def GetNodes(  # noqa: N802
        self, request: observer_pb2.GetNodesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> observer_pb2.GetNodesResponse:
        """List the nodes it was given."""
        await self._gate(context)
        up = [
            observer_pb2.Node(name=name, version=self._version, state=relay_pb2.NODE_CONNECTED) for name in self._nodes
        ]
        down = [observer_pb2.Node(name=name, state=relay_pb2.NODE_UNAVAILABLE) for name in self._unavailable]
        return observer_pb2.GetNodesResponse(nodes=up + down)

    async def GetNamespaces(  # noqa: N802
        self, request: observer_pb2.GetNamespacesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> observer_pb2.GetNamespacesResponse:
        """List the namespaces of the flows it holds."""
        await self._gate(context)
        flows = [response.flow for response in self.responses]
        names = {side.namespace for flow in flows for side in (flow.source, flow.destination)}
        found = [observer_pb2.Namespace(cluster="default", namespace=name) for name in sorted(names) if name]
        return observer_pb2.GetNamespacesResponse(namespaces=found)

    async def _gate(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Fail or hang as told."""
        self.metadata.append(dict(context.invocation_metadata() or ()))
        if self.failure:
            await context.abort(*self.failure)
        if self.stalled:
            await asyncio.Event().wait()

    async def _check_filters(
        self, request: observer_pb2.GetFlowsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        mask = request.field_mask
        if not mask.IsValidForDescriptor(flow_pb2.Flow.DESCRIPTOR) or self.older & set(mask.paths):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "invalid fieldmask")
        try:
            for wanted in (*request.whitelist, *request.blacklist):
                for field, values in wanted.ListFields():
                    if field.name not in MATCHERS:
                        raise ValueError(f"filter field {field.name}")
                    for value in values:
                        MATCHERS[field.name](flow_pb2.Flow(), value)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not supported: {error}")

    async def _count_stream(self, change: int) -> None:
        async with self._changed:
            self.streams += change
            self._changed.notify_all()

    async def _select(self, request: observer_pb2.GetFlowsRequest) -> AsyncIterator[Response]:
        position = len(self.responses)
        for response in self._past(request):
            yield response
        while request.follow:
            fresh = await self._since(position)
            position += len(fresh)
            for response in fresh:
                if self._wanted(response, request):
                    yield response

    async def _since(self, position: int) -> list[Response]:
        """Wait for answers beyond a position."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.responses) > position)
            return self.responses[position:]

    def _past(self, request: observer_pb2.GetFlowsRequest) -> list[Response]:
        """Select what is held now. With both since and number the oldest win, as in Hubble, but for followers, who
        get all since then; nothing when following without either."""
        found = [response for response in self.responses if self._wanted(response, request)]
        if request.HasField("since"):
            since = request.since.ToNanoseconds()
            found = [response for response in found if response.time.ToNanoseconds() >= since]
            return found if request.follow else found[: request.number or None]
        if request.first:
            return found[: request.number]
        if not request.number:
            return [] if request.follow else found
        return found[-request.number :]

    def _wanted(self, response: Response, request: observer_pb2.GetFlowsRequest) -> bool:
        """Lost events and node status ignore filters."""
        if not response.HasField("flow"):
            return True
        allowed = not request.whitelist or any(flow_matches(response.flow, wanted) for wanted in request.whitelist)
        return allowed and not any(flow_matches(response.flow, unwanted) for unwanted in request.blacklist)


@asynccontextmanager
async def serve(
    servicer: observer_pb2_grpc.ObserverServicer | None,
    *,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
    health: Health | None = None,
    peers: peer_pb2_grpc.PeerServicer | None = None,
) -> AsyncIterator[str]:
    """Run a gRPC server with this Observer (or without any service) and give its ``host:port``."""
    server = grpc.aio.server()
    if servicer is not None:
        observer_pb2_grpc.add_ObserverServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(health or Health(), server)
    if peers is not None:
        peer_pb2_grpc.add_PeerServicer_to_server(peers, server)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    try:
        yield address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
    finally:
        await server.stop(None)
