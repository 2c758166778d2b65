from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from installer.adapters.web.download import HttpDownloader
from tests.adapters.web.faulty_server import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    return []


def make(pauses: list[float], stall: float) -> HttpDownloader:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    return HttpDownloader(stall=stall, environment={}, pause=pause, clock=lambda: 0.0, chance=lambda: 0.0)


@pytest.fixture
async def downloader(pauses: list[float]) -> AsyncIterator[HttpDownloader]:
    """One whose pauses are noted and take no time."""
    async with make(pauses, 30.0) as ours:
        yield ours


@pytest.fixture
async def impatient(pauses: list[float]) -> AsyncIterator[HttpDownloader]:
    """One that takes a second without a byte for a dead connection."""
    async with make(pauses, 1.0) as ours:
        yield ours


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a self-signed certificate for 127.0.0.1 and mirror.test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mirror.test")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("mirror.test"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
