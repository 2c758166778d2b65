"""The certificates of a connection: the API's own and the client's."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from installer.adapters.kube.errors import transport_error
from installer.domain.x509 import Certificate, read_der, read_pem

if TYPE_CHECKING:
    from installer.adapters.kube.access import Access

SECONDS = 5.0


async def serving_certificate(server: str, context: ssl.SSLContext, name: str | None) -> Certificate:
    """Return the API's certificate, from a TLS handshake that verifies it.

    Args:
        server: the API's URL.
        context: authorities, and the client's certificate.
        name: server name to verify in place of the URL's host.

    Raises:
        ConnectError: ``E-KUBE-001`` out of reach, or the certificate is not to be trusted.
    """
    url = urlsplit(server)
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(
                url.hostname, url.port or 443, ssl=context, server_hostname=name or url.hostname
            )
            found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.transport.abort()
        return read_der(found)
    except (OSError, ValueError) as error:
        raise transport_error(server, error) from error


def client_certificate(access: Access) -> Certificate | None:
    """Return the client's certificate of a kubeconfig; None where it uses none or it cannot be read."""
    user = _user(access)
    with suppress(OSError, ValueError, binascii.Error):
        data = user.get("client-certificate-data")
        path = user.get("client-certificate")
        text = base64.b64decode(data).decode("ascii") if data else Path(path).read_text("ascii") if path else ""
        return next(iter(read_pem(text)), None)
    return None


def _user(access: Access) -> dict[str, str]:
    config = access.config or {}
    contexts = [item["context"] for item in config.get("contexts", []) if item["name"] == access.context]
    wanted = contexts[0].get("user") if contexts else None
    users = [item["user"] for item in config.get("users", []) if item["name"] == wanted]
    return users[0] if users else {}
