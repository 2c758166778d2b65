"""A client of the Observer service (Relay or agent) on grpc.aio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from installer.adapters.hubble._proto import observer_pb2, observer_pb2_grpc
from installer.adapters.hubble.channel import Endpoint, open_channel, parse_endpoint
from installer.adapters.hubble.messages import flows_request, response_json, status_of
from installer.adapters.hubble.status import silent, to_error, unreachable
from installer.ports.hubble import HubbleStatus

STATUS_SECONDS = 5.0
FlowsCall = grpc.aio.UnaryStreamCall[observer_pb2.GetFlowsRequest, observer_pb2.GetFlowsResponse]


class GrpcHubble:
    """One connection to an Observer; implements ``ports.hubble.Hubble``.

    Args:
        channel: an open channel; whoever opened it closes it.
        endpoint: its server, for errors.
        idle_timeout: seconds without an answer after which a stream is held for dead. A followed stream may be
            silent because nothing matches: then the server is asked for its status, and only its silence counts.
    """

    def __init__(self, channel: grpc.aio.Channel, endpoint: Endpoint, *, idle_timeout: float = 30.0):
        self._stub: observer_pb2_grpc.ObserverAsyncStub = observer_pb2_grpc.ObserverStub(channel)
        self._endpoint = endpoint
        self._idle_timeout = idle_timeout

    async def status(self, *, timeout: float = STATUS_SECONDS) -> HubbleStatus:
        """Return the server's status.

        Raises:
            ConnectError: ``E-HUBBLE-001`` out of reach, with the transport's reason.
            DeadlineError: ``E-HUBBLE-002``.
            BeeyardError: ``E-HUBBLE-004`` to ``-008`` the server refuses.
        """
        try:
            answer = await self._stub.ServerStatus(observer_pb2.ServerStatusRequest(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise await to_error(error, self._endpoint, "ServerStatus") from None
        return status_of(answer)

    async def flows(
        self,
        *,
        whitelist: Sequence[Mapping[str, Any]] = (),
        number: int = 0,
        since: float | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Yield GetFlows answers in Hubble's JSON form (one key ``flow``, ``node_status`` or ``lost_events``).

        Relay sorts: with ``follow`` and ``number=0`` a quiet cluster's flows may come many seconds late,
        with ``number=1`` at once. Whoever stops reading early closes the generator (``contextlib.aclosing``), or the
        stream lives until the connection closes.

        Args:
            whitelist: FlowFilters in JSON form, such as ``{"source_pod": ["ns/pod"], "verdict": ["DROPPED"]}``.
            number: newest N per node, 0 for none of the past when following.
            since: UNIX time in seconds.
            follow: go on with new flows.

        Raises:
            UsageError: ``E-HUBBLE-006`` the filter is wrong.
            ConnectError: ``E-HUBBLE-001``, also when the connection breaks.
            DeadlineError: ``E-HUBBLE-002`` the server fell silent.
            BeeyardError: ``E-HUBBLE-004`` to ``-008`` the server refuses.
        """
        call = self._stub.GetFlows(flows_request(whitelist=whitelist, number=number, since=since, follow=follow))
        try:
            while (response := await self._next(call, follow=follow)) is not None:
                yield response_json(response)
        finally:
            call.cancel()

    async def _next(self, call: FlowsCall, *, follow: bool) -> observer_pb2.GetFlowsResponse | None:
        """Wait for the next answer; None at the end of the stream."""
        read = asyncio.ensure_future(call.read())
        try:
            while not (await asyncio.wait({read}, timeout=self._idle_timeout))[0]:
                await self._check_silence(follow=follow)
            return await self._answer(read)
        except BaseException:
            read.cancel()
            await asyncio.gather(read, return_exceptions=True)
            raise

    async def _answer(self, read: asyncio.Future[Any]) -> observer_pb2.GetFlowsResponse | None:
        """Take the outcome of a read that is done."""
        if read.cancelled():
            raise await unreachable(self._endpoint, "the connection was closed on our side")
        try:
            response = read.result()
        except grpc.aio.AioRpcError as error:
            raise await to_error(error, self._endpoint, "GetFlows") from None
        return response if isinstance(response, observer_pb2.GetFlowsResponse) else None

    async def _check_silence(self, *, follow: bool) -> None:
        """Raise unless silence is normal: a followed stream whose server still answers."""
        if not follow:
            raise silent(self._endpoint, "GetFlows", f"nothing came for {self._idle_timeout:g} s")
        await self.status(timeout=min(self._idle_timeout, STATUS_SECONDS))


class GrpcHubbles:
    """Opens connections to Observers; implements ``ports.hubble.Hubbles``.

    Args:
        idle_timeout: see ``GrpcHubble``.
    """

    def __init__(self, *, idle_timeout: float = 30.0):
        self._idle_timeout = idle_timeout

    @asynccontextmanager
    async def open(self, address: str) -> AsyncIterator[GrpcHubble]:
        """Connect to ``host:port`` in plain text (port-forwarded Relay); the first call makes the connection.

        Raises:
            UsageError: ``E-HUBBLE-003`` no such address.
        """
        endpoint = parse_endpoint(address)
        channel = open_channel(endpoint)
        try:
            yield GrpcHubble(channel, endpoint, idle_timeout=self._idle_timeout)
        finally:
            await channel.close()
