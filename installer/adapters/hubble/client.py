"""A client of the Observer service (Relay or agent)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message

from installer.adapters.hubble import messages
from installer.adapters.hubble._proto import health_pb2, observer_pb2, peer_pb2
from installer.adapters.hubble.channel import Server, open_channel, parse_server
from installer.adapters.hubble.convert import Converter
from installer.adapters.hubble.handshake import pin
from installer.adapters.hubble.status import failed, silent, to_error, unreachable
from installer.adapters.hubble.stream import Call, StreamReader
from installer.domain.flows.agent_event import AgentAnswer, DebugAnswer
from installer.domain.flows.flow import Answer
from installer.ports.flows import FlowRequest
from installer.ports.hubble import (
    PLAIN,
    Access,
    EventRequest,
    HubbleNamespace,
    HubbleNode,
    HubbleStatus,
    PeerChange,
)

STATUS_SECONDS = 5.0
SERVICE = "hubble.server.Observer"
OBSERVER = "/observer.Observer/"
T = TypeVar("T")
M = TypeVar("M", bound=Message)


class GrpcHubble:
    """One connection to an Observer; implements ``ports.hubble.Hubble``.

    Args:
        channel: an open channel; whoever opened it closes it.
        server: what it leads to, for errors.
        idle_timeout: seconds without an answer after which a stream is held for dead. A followed stream may be
            silent because nothing matches: then the server is asked for its status, and only its silence counts.
    """

    def __init__(self, channel: grpc.Channel, server: Server, *, idle_timeout: float = 30.0):
        self._channel = channel
        self._server = server
        self._idle_timeout = idle_timeout

    @property
    def name(self) -> str:
        """Name of the source for people."""
        return f"hubble {self._server}"

    async def status(self, *, timeout: float = STATUS_SECONDS) -> HubbleStatus:
        """Return the server's status."""
        request = observer_pb2.ServerStatusRequest()
        return messages.status_of(
            await self._ask(OBSERVER + "ServerStatus", request, observer_pb2.ServerStatusResponse, timeout)
        )

    async def health(self, *, timeout: float = STATUS_SECONDS) -> str:
        """Return the state of the Observer in the words of gRPC's health service."""
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        answer = await self._ask("/grpc.health.v1.Health/Check", request, health_pb2.HealthCheckResponse, timeout)
        states = health_pb2.HealthCheckResponse.ServingStatus
        return states.Name(answer.status) if answer.status in states.values() else str(answer.status)

    async def nodes(self, *, timeout: float = STATUS_SECONDS) -> tuple[HubbleNode, ...]:
        """Return Relay's nodes."""
        request = observer_pb2.GetNodesRequest()
        return messages.nodes_of(
            await self._ask(OBSERVER + "GetNodes", request, observer_pb2.GetNodesResponse, timeout)
        )

    async def namespaces(self, *, timeout: float = STATUS_SECONDS) -> tuple[HubbleNamespace, ...]:
        """Return the namespaces that had flows in the last hour."""
        request = observer_pb2.GetNamespacesRequest()
        return messages.namespaces_of(
            await self._ask(OBSERVER + "GetNamespaces", request, observer_pb2.GetNamespacesResponse, timeout)
        )

    def batches(self, request: FlowRequest) -> AsyncGenerator[Sequence[Answer], None]:
        """Yield flows in batches.

        Relay sorts: with ``follow`` and ``number=0`` the flows of a quiet cluster may come many seconds late, with
        ``number=1`` at once. Whoever stops reading early closes the generator (``contextlib.aclosing``).
        """
        wire = messages.flows_request(request)
        return self._stream(OBSERVER + "GetFlows", wire, Converter().answer, follow=request.follow)

    def agent_events(self, request: EventRequest) -> AsyncGenerator[Sequence[AgentAnswer], None]:
        """Yield an agent's events in batches."""
        convert = messages.by_json(observer_pb2.GetAgentEventsResponse, AgentAnswer)
        wire = messages.agent_events_request(request)
        return self._stream(OBSERVER + "GetAgentEvents", wire, convert, follow=request.follow)

    def debug_events(self, request: EventRequest) -> AsyncGenerator[Sequence[DebugAnswer], None]:
        """Yield the datapath's debug events in batches."""
        convert = messages.by_json(observer_pb2.GetDebugEventsResponse, DebugAnswer)
        wire = messages.debug_events_request(request)
        return self._stream(OBSERVER + "GetDebugEvents", wire, convert, follow=request.follow)

    async def peers(self) -> AsyncGenerator[PeerChange, None]:
        """Yield an agent's peers, then their changes."""
        stream = self._stream("/peer.Peer/Notify", peer_pb2.NotifyRequest(), messages.peer_of, follow=True)
        try:
            async for batch in stream:
                for change in batch:
                    yield change
        finally:
            await stream.aclose()

    async def _ask(self, path: str, request: Message, answer: type[M], timeout: float) -> M:
        """Make one call and wait for its answer."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        ask = self._channel.unary_unary(path, _serialize, answer.FromString)
        try:
            call = cast(Any, ask.future(request, timeout=timeout, metadata=self._server.metadata))
        except ValueError as error:  # a closed channel
            raise await unreachable(self._server, str(error)) from error
        call.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(done.set))
        try:
            await done.wait()
            return cast(M, call.result())
        except grpc.RpcError as error:
            raise await to_error(error, self._server, path.rpartition("/")[2]) from None
        except grpc.FutureCancelledError:
            raise await unreachable(self._server, "the connection was closed on our side") from None
        finally:
            call.cancel()

    async def _stream(
        self, path: str, request: Message, convert: Callable[[bytes], T], *, follow: bool
    ) -> AsyncGenerator[Sequence[T], None]:
        method = path.rpartition("/")[2]
        start: Any = self._channel.unary_stream(path, _serialize, None)
        try:
            call = cast(Call, start(request, metadata=self._server.metadata))
        except ValueError as error:  # a closed channel
            raise await unreachable(self._server, str(error)) from error
        reader = StreamReader(call, convert)
        try:
            while batch := await self._next(reader, method, follow=follow):
                yield batch
        finally:
            await reader.close()

    async def _next(self, reader: StreamReader[T], method: str, *, follow: bool) -> list[T]:
        """Wait for the next batch; an empty one at the end of the stream."""
        read = asyncio.ensure_future(reader.batch())
        read.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may end after our own end
        try:
            while not (await asyncio.wait({read}, timeout=self._idle_timeout))[0]:
                await self._check_silence(method, follow=follow)
            return await read
        except grpc.RpcError as error:
            raise await to_error(error, self._server, method) from None
        except DecodeError as error:
            raise failed(self._server, method, f"an answer cannot be read: {error}") from error
        finally:
            read.cancel()

    async def _check_silence(self, method: str, *, follow: bool) -> None:
        """Raise unless silence is normal: a followed stream whose server still answers."""
        if not follow:
            raise silent(self._server, method, f"nothing came for {self._idle_timeout:g} s")
        await self.status(timeout=min(self._idle_timeout, STATUS_SECONDS))


def _serialize(request: Message) -> bytes:
    return request.SerializeToString()


class GrpcHubbles:
    """Opens connections to Observers; implements ``ports.hubble.Hubbles``.

    Args:
        idle_timeout: see ``GrpcHubble``.
    """

    def __init__(self, *, idle_timeout: float = 30.0):
        self._idle_timeout = idle_timeout

    @asynccontextmanager
    async def open(self, address: str, access: Access = PLAIN) -> AsyncIterator[GrpcHubble]:
        """Connect to ``host:port``, ``tls://host:port`` or ``unix:///path``; the first call makes the connection.

        Raises:
            UsageError: ``E-HUBBLE-003`` no such address, or one that does not go with the access.
            ConnectError: ``E-HUBBLE-001`` any certificate was to be taken, and the server shows none.
        """
        server = await _pinned(parse_server(address, access))
        channel = open_channel(server)
        try:
            yield GrpcHubble(channel, server, idle_timeout=self._idle_timeout)
        finally:
            channel.close()


async def _pinned(server: Server) -> Server:
    """Take the certificate that the server shows now for the only right one, where that was asked for."""
    if server.tls is None or not server.tls.any_certificate:
        return server
    tls = await pin(server, server.tls)
    if tls is None:
        raise await unreachable(server, "it shows no certificate")
    return replace(server, access=replace(server.access, tls=tls))
