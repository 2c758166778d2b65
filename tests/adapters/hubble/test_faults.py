"""What can go wrong between us and Hubble, each on real sockets."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from installer.adapters.hubble.client import GrpcHubble, GrpcHubbles
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError, UsageError
from installer.domain.flows.flow import Answer
from installer.domain.flows.flow_filter import FilterSet, FlowFilter
from installer.ports.flows import FlowRequest
from tests.support.observer import Observer, serve

FLOW = {"flow": {"uuid": "one", "verdict": "DROPPED"}}
FOLLOW = FlowRequest(follow=True)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def collect(hubble: GrpcHubble, wanted: FlowRequest = FlowRequest()) -> list[Answer]:  # noqa: B008
    return [answer async for batch in hubble.batches(wanted) for answer in batch]


async def first(stream: AsyncIterator[Sequence[Answer]]) -> str:
    flow = (await anext(stream))[0].flow
    assert flow is not None
    return flow.uuid


def refused_address() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def self_signed() -> tuple[bytes, bytes]:
    """Key and certificate for Relay's name and 127.0.0.1, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "*.hubble-relay.cilium.io")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("*.hubble-relay.cilium.io"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=1)
    )
    certificate = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(pem)


@asynccontextmanager
async def raw_server(handle: Handler) -> AsyncIterator[str]:
    """A TCP server that speaks no gRPC."""
    writers: list[asyncio.StreamWriter] = []

    async def remember(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await handle(reader, writer)

    server = await asyncio.start_server(remember, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


async def test_a_refused_port_is_a_connect_error_with_the_reason() -> None:
    address = refused_address()
    async with GrpcHubbles().open(address) as hubble:
        for call in (hubble.status(), collect(hubble, FOLLOW)):
            with pytest.raises(ConnectError) as caught:
                await call
            assert caught.value.code == "E-HUBBLE-001"
            assert address in caught.value.what
            assert "Connection refused" in caught.value.why


async def test_a_name_that_cannot_be_resolved_is_a_connect_error() -> None:
    name = "x" * 64  # longer than a DNS label may be: fails without asking a name server
    async with GrpcHubbles().open(f"{name}:80") as hubble:
        with pytest.raises(ConnectError) as caught:
            await hubble.status(timeout=20)
    assert name in caught.value.what


@pytest.mark.parametrize("mutual", [False, True], ids=["TLS", "mTLS"])
@pytest.mark.parametrize("trusted", [False, True], ids=["unknown CA", "trusted CA"])
async def test_a_tls_server_is_recognised(
    mutual: bool, trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = self_signed()
    if trusted:
        (tmp_path / "ca.pem").write_bytes(certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    credentials = grpc.ssl_server_credentials([(key, certificate)], certificate if mutual else None, mutual)
    async with serve(Observer(), credentials=credentials) as address, GrpcHubbles().open(address) as hubble:
        with pytest.raises(ConnectError) as caught:
            await hubble.status()
    assert caught.value.code == "E-HUBBLE-001"
    assert "TLS" in caught.value.what
    assert caught.value.details == {"tls": True}


async def test_a_server_of_http_1_is_a_connect_error() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with raw_server(answer) as address, GrpcHubbles().open(address) as hubble:
        with pytest.raises(ConnectError) as caught:
            await hubble.status()
    assert "HTTP" in caught.value.why
    assert "TLS" not in caught.value.what


async def test_a_port_that_accepts_and_closes_is_a_connect_error() -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with raw_server(close) as address, GrpcHubbles().open(address) as hubble:
        with pytest.raises(ConnectError) as caught:
            await hubble.status()
    assert "TLS" not in caught.value.what


async def test_a_port_that_accepts_and_says_nothing_runs_into_the_deadline() -> None:
    async def ignore(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    async with raw_server(ignore) as address, GrpcHubbles(idle_timeout=0.2).open(address) as hubble:
        for call in (hubble.status(timeout=0.2), collect(hubble)):
            with pytest.raises(DeadlineError) as caught:
                await call
            assert caught.value.code == "E-HUBBLE-002"


async def test_a_stream_that_stops_without_closing_is_held_for_dead() -> None:
    observer = Observer([FLOW, FLOW])
    observer.stall_after = 1
    async with serve(observer) as address, GrpcHubbles(idle_timeout=0.2).open(address) as hubble:
        async with aclosing(hubble.batches(FlowRequest())) as stream:
            assert await first(stream) == "one"
            with pytest.raises(DeadlineError) as caught:
                await anext(stream)
        await observer.wait_streams(0)
    assert caught.value.code == "E-HUBBLE-002"
    assert "0.2 s" in caught.value.why


async def test_a_quiet_followed_stream_lives_as_long_as_its_server_answers() -> None:
    asked = asyncio.Semaphore(0)

    class Counting(Observer):
        async def ServerStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
            asked.release()
            return await super().ServerStatus(request, context)

    observer = Counting()
    async with serve(observer) as address, GrpcHubbles(idle_timeout=0.05).open(address) as hubble:
        async with aclosing(hubble.batches(FOLLOW)) as stream:
            following = asyncio.ensure_future(first(stream))
            for _ in range(3):
                await asked.acquire()
            await observer.add(FLOW)
            assert await following == "one"
        await observer.wait_streams(0)


async def test_a_followed_stream_of_a_server_that_hangs_ends_in_an_error() -> None:
    observer = Observer()
    hubbles = GrpcHubbles(idle_timeout=0.2)
    async with (
        serve(observer) as address,
        hubbles.open(address) as hubble,
        aclosing(hubble.batches(FOLLOW)) as flows,
    ):
        following = asyncio.ensure_future(anext(flows))
        await observer.wait_streams(1)
        observer.stalled = True
        with pytest.raises(DeadlineError) as caught:
            await following
    assert "ServerStatus" in caught.value.why


async def test_a_server_that_goes_away_in_mid_stream_is_a_connect_error() -> None:
    observer = Observer([FLOW])
    observer.stall_after = 1
    server = serve(observer)
    address = await server.__aenter__()
    async with GrpcHubbles().open(address) as hubble, aclosing(hubble.batches(FlowRequest())) as stream:
        await anext(stream)
        following = asyncio.ensure_future(anext(stream))
        await server.__aexit__(None, None, None)
        with pytest.raises(ConnectError) as caught:
            await following
    assert caught.value.code == "E-HUBBLE-001"


async def test_a_new_connection_does_not_inherit_the_back_off_of_another() -> None:
    async with serve(Observer()) as address, GrpcHubbles().open(address) as hubble:
        await hubble.status()
    async with GrpcHubbles().open(address) as hubble:
        with pytest.raises(ConnectError):
            await hubble.status()
        async with serve(Observer([FLOW]), address=address) as again, GrpcHubbles().open(again) as fresh:
            assert (await fresh.status()).num_flows == 1


async def test_closing_the_connection_ends_a_reader_with_our_error() -> None:
    observer = Observer()
    async with serve(observer) as address:
        async with GrpcHubbles().open(address) as hubble:
            reader = asyncio.ensure_future(collect(hubble, FOLLOW))
            await observer.wait_streams(1)
        with pytest.raises(ConnectError):
            await reader
        await observer.wait_streams(0)


@pytest.mark.parametrize(
    ("code", "text", "ours"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, "unknown method", "E-HUBBLE-005"),
        (grpc.StatusCode.PERMISSION_DENIED, "not you", "E-HUBBLE-004"),
        (grpc.StatusCode.UNAUTHENTICATED, "who?", "E-HUBBLE-004"),
        (grpc.StatusCode.INVALID_ARGUMENT, "first cannot be specified with follow", "E-HUBBLE-006"),
        (grpc.StatusCode.INVALID_ARGUMENT, "invalid fieldmask", "E-HUBBLE-007"),
        (grpc.StatusCode.UNKNOWN, "rpc error: invalid fieldmask", "E-HUBBLE-007"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", "E-HUBBLE-008"),
        (grpc.StatusCode.INTERNAL, "", "E-HUBBLE-008"),
    ],
)
async def test_statuses_become_our_errors(code: grpc.StatusCode, text: str, ours: str) -> None:
    observer = Observer()
    observer.failure = (code, text)
    async with serve(observer) as address, GrpcHubbles().open(address) as hubble:
        for call, method in ((hubble.status(), "ServerStatus"), (collect(hubble), "GetFlows")):
            with pytest.raises(BeeyardError) as caught:
                await call
            assert caught.value.code == ours
            assert text in caught.value.why
            assert ours == "E-HUBBLE-007" or method in caught.value.what


async def test_a_server_without_the_service_is_named_as_such() -> None:
    async with serve(None) as address, GrpcHubbles().open(address) as hubble:
        with pytest.raises(BeeyardError) as caught:
            await hubble.status()
    assert caught.value.code == "E-HUBBLE-005"


async def test_a_filter_that_the_server_does_not_know_is_refused() -> None:
    async with serve(Observer()) as address, GrpcHubbles().open(address) as hubble:
        with pytest.raises(UsageError) as caught:
            await collect(hubble, FlowRequest(FilterSet((FlowFilter(http_path=("/a",)),))))
    assert "http_path" in caught.value.why


@pytest.mark.parametrize(
    "address", ["", "host", "host:", ":4245", "host:0", "host:65536", "host:x", "::1:4245", "[h]:1"]
)
async def test_what_is_no_address_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        async with GrpcHubbles().open(address):
            raise AssertionError("opened")
    assert caught.value.code == "E-HUBBLE-003"
