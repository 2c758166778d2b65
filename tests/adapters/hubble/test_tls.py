"""TLS and mTLS with real servers: what works, and what each failure says."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from installer.adapters.hubble.client import GrpcHubbles
from installer.domain.errors import BeeyardError, ConnectError, UsageError
from installer.ports.hubble import RELAY_NAME, Access, Tls
from tests.support.certificates import Authority, Pair
from tests.support.observer import Observer, serve

CA = Authority()
RELAY = CA.sign()
CLIENT = CA.sign(("*.hubble-ui.cilium.io",))
TRUSTING = Tls(ca=CA.certificate, server_name=RELAY_NAME)


@asynccontextmanager
async def relay(pair: Pair = RELAY, *, mutual: bool = False) -> AsyncIterator[tuple[Observer, str]]:
    observer = Observer()
    ca = CA.certificate if mutual else None
    credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)], ca, mutual)
    async with serve(observer, credentials=credentials) as address:
        yield observer, address


async def ask(address: str, access: Access) -> int:
    async with GrpcHubbles().open(address, access) as hubble:
        return (await hubble.status()).num_flows


async def failure(address: str, tls: Tls) -> BeeyardError:
    with pytest.raises(ConnectError) as caught:
        await ask(address, Access(tls))
    assert caught.value.why
    assert caught.value.fix
    return caught.value


async def test_relay_is_known_by_its_authority_and_name() -> None:
    async with relay() as (_, address):
        assert await ask(address, Access(TRUSTING)) == 0
        assert await ask(f"tls://{address}", Access(TRUSTING)) == 0


async def test_a_name_in_the_certificate_needs_no_override() -> None:
    async with relay(CA.sign(("127.0.0.1",))) as (_, address):
        assert await ask(address, Access(Tls(ca=CA.certificate))) == 0


async def test_the_systems_authorities_are_asked_without_a_file(tmp_path: Path) -> None:
    async with relay() as (_, address):
        error = await failure(f"tls://{address}", Tls(server_name=RELAY_NAME))
    assert error.code == "E-HUBBLE-012"


async def test_mutual_tls_with_our_certificate() -> None:
    async with relay(mutual=True) as (_, address):
        tls = Tls(CA.certificate, CLIENT.certificate, CLIENT.key, RELAY_NAME)
        assert await ask(address, Access(tls)) == 0


async def test_mutual_tls_without_our_certificate() -> None:
    async with relay(mutual=True) as (_, address):
        error = await failure(address, TRUSTING)
    assert error.code == "E-HUBBLE-013"
    assert "--tls-client-cert-file" in error.fix


async def test_mutual_tls_with_a_certificate_of_another_authority() -> None:
    stranger = Authority("Other").sign()
    async with relay(mutual=True) as (_, address):
        error = await failure(address, Tls(CA.certificate, stranger.certificate, stranger.key, RELAY_NAME))
    assert error.code == "E-HUBBLE-013"


async def test_a_key_that_does_not_belong_to_the_certificate() -> None:
    async with relay(mutual=True) as (_, address):
        error = await failure(address, Tls(CA.certificate, CLIENT.certificate, RELAY.key, RELAY_NAME))
    assert error.code == "E-HUBBLE-013"
    assert "cannot be used" in error.why


async def test_an_unknown_authority() -> None:
    async with relay() as (_, address):
        error = await failure(address, Tls(ca=Authority("Other").certificate, server_name=RELAY_NAME))
    assert (error.code, error.details) == ("E-HUBBLE-012", {"tls": "unknown authority"})
    assert "--tls-ca-cert-files" in error.fix


async def test_an_expired_certificate() -> None:
    async with relay(CA.sign(days=-1, since=2)) as (_, address):
        error = await failure(address, TRUSTING)
    assert (error.code, error.details) == ("E-HUBBLE-012", {"tls": "expired"})
    assert "expired" in error.why


async def test_a_certificate_of_the_future() -> None:
    async with relay(CA.sign(days=3, since=-2)) as (_, address):
        error = await failure(address, TRUSTING)
    assert error.details == {"tls": "expired"}


async def test_a_wrong_name() -> None:
    async with relay() as (_, address):
        error = await failure(address, Tls(ca=CA.certificate))
    assert (error.code, error.details) == ("E-HUBBLE-012", {"tls": "wrong name"})
    assert RELAY_NAME in error.fix


async def test_tls_against_a_plain_port() -> None:
    async with serve(Observer()) as address:
        error = await failure(address, TRUSTING)
    assert (error.code, error.details) == ("E-HUBBLE-001", {"tls": "not TLS"})


async def test_plain_against_a_tls_port() -> None:
    async with relay() as (_, address):
        with pytest.raises(ConnectError) as caught:
            await ask(address, Access())
    assert caught.value.details == {"tls": True}


async def test_tls_to_nobody() -> None:
    error = await failure("127.0.0.1:1", TRUSTING)
    assert error.code == "E-HUBBLE-001"


async def test_any_certificate_is_taken_where_that_is_asked_for() -> None:
    stranger = Authority("Other").sign(("*.example.org",))
    async with relay(stranger) as (_, address):
        assert await ask(address, Access(Tls(any_certificate=True))) == 0


async def test_any_certificate_of_a_server_that_shows_none() -> None:
    async with serve(Observer()) as address:
        with pytest.raises(ConnectError) as caught:
            await ask(address, Access(Tls(any_certificate=True)))
    assert caught.value.details == {"tls": "not TLS"}


async def test_a_password_goes_with_every_call() -> None:
    async with relay() as (observer, address):
        await ask(address, Access(TRUSTING, "me", "secret"))
        sent = observer.metadata[-1]["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"me:secret"


@pytest.mark.parametrize(
    ("address", "access"),
    [
        ("127.0.0.1:4245", Access(username="me", password="secret")),
        ("unix:///run/hubble.sock", Access(Tls())),
        ("127.0.0.1:4245", Access(Tls(certificate=CLIENT.certificate))),
        ("unix:relative", Access()),
        ("unix://host/path", Access()),
        ("http://host:80", Access()),
        ("tls://host", Access()),
    ],
)
async def test_what_does_not_go_together_is_a_usage_error(address: str, access: Access) -> None:
    with pytest.raises(UsageError) as caught:
        await ask(address, access)
    assert caught.value.code == "E-HUBBLE-003"


async def test_secrets_are_not_shown() -> None:
    access = Access(Tls(key=b"private"), "me", "secret")
    assert "private" not in repr(access)
    assert "secret" not in repr(access)


async def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectError) as caught:
        await ask(f"unix://{tmp_path}/hubble.sock", Access())
    assert "No such file" in caught.value.why
