"""TLS handshakes of our own: gRPC tells only that one failed, Python's ssl tells why."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from installer.adapters.hubble.channel import Server, system_authorities
from installer.ports.hubble import Tls

SECONDS = 2.0
_EXPIRED, _NOT_YET, _NAMES = 10, 9, (62, 64)
"""Numbers of OpenSSL's X509_V_ERR_*."""


class Trouble(Enum):
    """Why a handshake fails."""

    NONE = "none"
    UNREACHABLE = "unreachable"
    NOT_TLS = "not TLS"
    UNKNOWN_CA = "unknown authority"
    EXPIRED = "expired"
    WRONG_NAME = "wrong name"
    OUR_CERTIFICATE = "our certificate"


async def examine(server: Server, tls: Tls) -> tuple[Trouble, str]:
    """Shake hands with a server and tell what is wrong, with the words of OpenSSL. Nothing is sent after it."""
    return await asyncio.to_thread(_examine, server, tls)


async def speaks_tls(server: Server) -> bool:
    """Tell whether a server answers a TLS handshake, whatever its certificate."""
    if server.socket:
        return False
    trouble, _ = await examine(server, Tls(any_certificate=True))
    return trouble in (Trouble.NONE, Trouble.OUR_CERTIFICATE)


async def pin(server: Server, tls: Tls) -> Tls | None:
    """Return TLS options that take exactly the certificate that the server shows now; None: it shows none."""
    return await asyncio.to_thread(_pin, server, tls)


def _examine(server: Server, tls: Tls) -> tuple[Trouble, str]:
    try:
        context = _context(tls)
    except (ssl.SSLError, OSError) as error:
        return Trouble.OUR_CERTIFICATE, f"the certificate or key given cannot be used: {error}"
    try:
        _, _, dropped = _shake_hands(server, tls, context)
    except ssl.SSLCertVerificationError as error:
        return _judge(error.verify_code), error.verify_message
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        return (Trouble.OUR_CERTIFICATE if "ALERT" in reason else Trouble.NOT_TLS), reason
    except (OSError, UnicodeError) as error:
        return Trouble.UNREACHABLE, str(error)
    if dropped:
        return Trouble.OUR_CERTIFICATE, "the server closed the connection right after the handshake"
    return Trouble.NONE, ""


def _judge(code: int) -> Trouble:
    if code in (_EXPIRED, _NOT_YET):
        return Trouble.EXPIRED
    return Trouble.WRONG_NAME if code in _NAMES else Trouble.UNKNOWN_CA


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if tls.any_certificate:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC does
        authorities = (tls.ca or system_authorities()).decode("ascii", "replace")
        if authorities:
            context.load_verify_locations(cadata=authorities)
    if tls.certificate:
        with tempfile.TemporaryDirectory(prefix="beeyard-") as folder:  # ssl reads a key from files only
            certificate, key = Path(folder, "crt"), Path(folder, "key")
            certificate.write_bytes(tls.certificate)
            key.touch(mode=0o600)
            key.write_bytes(tls.key)
            context.load_cert_chain(certificate, key)
    return context


def _shake_hands(server: Server, tls: Tls, context: ssl.SSLContext) -> tuple[bytes, dict[str, Any], bool]:
    """Return the server's certificate in DER, its fields where it was verified, and whether the server hung up."""
    dropped = False
    with (
        socket.create_connection((server.host, server.port), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=tls.server_name or server.host) as secure,
    ):
        certificate, fields = secure.getpeercert(binary_form=True) or b"", secure.getpeercert() or {}
        secure.settimeout(SECONDS / 4)
        with suppress(TimeoutError):  # with TLS 1.3 a server judges our certificate late; HTTP/2 servers speak first
            dropped = secure.recv(1) == b""
        return certificate, dict(fields), dropped


def _pin(server: Server, tls: Tls) -> Tls | None:
    try:
        leaf, _, _ = _shake_hands(server, tls, _context(replace(tls, any_certificate=True)))
    except (OSError, UnicodeError):  # SSLError is an OSError
        return None
    pem = ssl.DER_cert_to_PEM_cert(leaf).encode()
    names = _names(server, replace(tls, ca=pem, any_certificate=False))
    return replace(tls, ca=pem, server_name=tls.server_name or next(iter(names), ""), any_certificate=False)


def _names(server: Server, tls: Tls) -> tuple[str, ...]:
    """Return the DNS names of a pinned certificate, the star of a wildcard replaced by a word."""
    context = _context(tls)
    context.check_hostname = False
    try:
        _, fields, _ = _shake_hands(server, tls, context)
    except (OSError, UnicodeError):
        return ()
    return tuple(value.replace("*", "instance", 1) for kind, value in fields.get("subjectAltName", ()) if kind == "DNS")
