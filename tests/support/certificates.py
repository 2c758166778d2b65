"""Certificates for the servers of tests, made on the spot."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
RELAY = ("*.hubble-relay.cilium.io",)


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate, in PEM."""

    key: bytes
    certificate: bytes


class Authority:
    """Signs certificates; ``certificate`` is its own."""

    def __init__(self, name: str = "Cilium CA"):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = _builder(self._name, self._name, self._key, days=1, since=1)
        self._own = builder.add_extension(x509.BasicConstraints(True, None), True).sign(self._key, hashes.SHA256())
        self.certificate = self._own.public_bytes(PEM)

    def sign(self, names: tuple[str, ...] = RELAY, *, days: int = 1, since: int = 1) -> Pair:
        """Make a key and its certificate, valid from ``since`` days ago for ``since + days`` days."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(names[0]), self._name, key, days=days, since=since)
        certificate = builder.add_extension(x509.SubjectAlternativeName(_alternatives(names)), False)
        return Pair(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            certificate.sign(self._key, hashes.SHA256()).public_bytes(PEM),
        )


def _alternatives(names: tuple[str, ...]) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int, since: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    start = now - datetime.timedelta(days=since)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(now + datetime.timedelta(days=days))
