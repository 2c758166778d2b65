"""From gRPC status codes to our errors."""

from __future__ import annotations

import os
from pathlib import Path

import grpc

from installer.adapters.hubble.channel import MESSAGE_LIMIT, Server
from installer.adapters.hubble.handshake import Trouble, examine, speaks_tls
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError, UsageError
from installer.domain.text import human_bytes

REACH_FIX = "Check that hubble-relay runs (beeyard status) and that the address and port are right."
_TLS_TROUBLE = {
    Trouble.EXPIRED: (
        "E-HUBBLE-012",
        "shows a certificate that is not valid now",
        "Renew Hubble's certificates (helm: delete the hubble-*-certs secrets and upgrade), and check both clocks.",
    ),
    Trouble.UNKNOWN_CA: (
        "E-HUBBLE-012",
        "shows a certificate of an unknown authority",
        "Give the authority with --tls-ca-cert-files: ca.crt of the secret hubble-relay-server-certs or cilium-ca.",
    ),
    Trouble.WRONG_NAME: (
        "E-HUBBLE-012",
        "shows a certificate for another name",
        "Give a name that it carries with --tls-server-name; Relay's: instance.hubble-relay.cilium.io.",
    ),
    Trouble.OUR_CERTIFICATE: (
        "E-HUBBLE-013",
        "does not accept our certificate, or wants one",
        "Give --tls-client-cert-file and --tls-client-key-file from the secret hubble-relay-client-certs.",
    ),
    Trouble.NOT_TLS: (
        "E-HUBBLE-001",
        "speaks no TLS",
        "Leave --tls and tls:// out, or use the TLS port of hubble-relay (443).",
    ),
}


async def to_error(error: grpc.RpcError, server: Server, method: str) -> BeeyardError:
    """Say a failed call in our terms.

    Args:
        error: as gRPC raised it.
        server: the server that was called.
        method: name of the method, such as ``GetFlows``.

    Returns:
        ``E-HUBBLE-001`` out of reach, ``-002`` deadline, ``-004`` not allowed, ``-005`` the server has no such
        method, ``-006`` request refused, ``-007`` field mask refused, ``-012`` and ``-013`` certificates, ``-014``
        answer too large, ``-008`` anything else.
    """
    code = error.code()
    reason = error.details() or code.name
    match code:
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return await unreachable(server, reason)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return silent(server, method, reason)
        case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED:
            return _forbidden(server, method, reason)
        case grpc.StatusCode.UNIMPLEMENTED:
            return _unimplemented(server, method, reason)
    return _refusal(code, reason, server, method)


def _refusal(code: grpc.StatusCode, reason: str, server: Server, method: str) -> BeeyardError:
    if "invalid fieldmask" in reason.lower():
        return _mask_refused(server, reason)
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return _request_refused(server, method, reason)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in reason:
        return _too_large(server, method, reason)
    return failed(server, method, f"{code.name}: {reason}")


def failed(server: Server, method: str, reason: str) -> BeeyardError:
    """The server failed in a way that nothing above names."""
    return BeeyardError(
        f"{method} failed on Hubble at {server}",
        why=reason,
        fix="Look into the log of hubble-relay: kubectl -n kube-system logs deploy/hubble-relay",
        code="E-HUBBLE-008",
    )


async def unreachable(server: Server, reason: str) -> ConnectError:
    """No connection, or it broke; looks for the cause: TLS or not, certificates, the socket's rights."""
    if server.socket:
        return _no_socket(server, reason)
    if server.tls is not None:
        return await _tls_failed(server, reason)
    if await speaks_tls(server):
        return ConnectError(
            f"Hubble at {server} wants TLS",
            why=f"The server speaks TLS, this connection is in plain text ({reason}).",
            fix="Use --tls or tls:// in the address, or the plain port of hubble-relay (80).",
            code="E-HUBBLE-001",
            details={"tls": True},
        )
    return ConnectError(f"Hubble at {server} cannot be reached", why=reason, fix=REACH_FIX, code="E-HUBBLE-001")


async def _tls_failed(server: Server, reason: str) -> ConnectError:
    assert server.tls is not None
    trouble, words = await examine(server, server.tls)
    if trouble not in _TLS_TROUBLE:
        return ConnectError(f"Hubble at {server} cannot be reached", why=reason, fix=REACH_FIX, code="E-HUBBLE-001")
    code, what, fix = _TLS_TROUBLE[trouble]
    return ConnectError(f"Hubble at {server} {what}", why=words, fix=fix, code=code, details={"tls": trouble.value})


def _no_socket(server: Server, reason: str) -> ConnectError:
    path = Path(server.socket)
    fix = "Run it on a node of the cluster, or in the agent's pod; Helm: hubble.socketPath."
    try:
        path.stat()
    except PermissionError:
        reason, fix = f"{path} may not be read by user {os.geteuid()}", "Run it as root."
    except OSError as error:
        reason = f"{path}: {error.strerror}"
    else:
        if not os.access(path, os.W_OK):
            reason, fix = f"{path} may not be written by user {os.geteuid()}", "Run it as root."
    return ConnectError(f"Hubble at {server} cannot be reached", why=reason, fix=fix, code="E-HUBBLE-001")


def silent(server: Server, method: str, reason: str) -> DeadlineError:
    """The server did not answer in time."""
    return DeadlineError(
        f"Hubble at {server} does not answer",
        why=f"{method}: {reason}",
        fix=REACH_FIX,
        code="E-HUBBLE-002",
    )


def _forbidden(server: Server, method: str, reason: str) -> BeeyardError:
    return BeeyardError(
        f"Hubble at {server} does not allow {method}",
        why=reason,
        fix="Use a client certificate or credentials that the server accepts.",
        code="E-HUBBLE-004",
    )


def _unimplemented(server: Server, method: str, reason: str) -> BeeyardError:
    return BeeyardError(
        f"Hubble at {server} has no {method}",
        why=f"{reason}. Relay serves no agent events, an agent lists no nodes, and some other server serves neither.",
        fix="Ask the other one of the two, or check that this is Hubble's port (Relay: 4245).",
        code="E-HUBBLE-005",
    )


def _request_refused(server: Server, method: str, reason: str) -> UsageError:
    return UsageError(
        f"Hubble at {server} refuses the request to {method}",
        why=reason,
        fix="Correct the filter or the range that the reason names.",
        code="E-HUBBLE-006",
    )


def _mask_refused(server: Server, reason: str) -> BeeyardError:
    return BeeyardError(
        f"Hubble at {server} does not know a field that was asked for",
        why=f"{reason}. The server is older than the field.",
        fix="Ask for fewer fields, or for all.",
        code="E-HUBBLE-007",
    )


def _too_large(server: Server, method: str, reason: str) -> BeeyardError:
    return BeeyardError(
        f"Hubble at {server} sent an answer that is too large",
        why=f"{method}: {reason}. Answers of more than {human_bytes(MESSAGE_LIMIT)} are not taken.",
        fix="Ask for fewer fields with --field-mask (without l7 and labels), or leave the flow out with a filter.",
        code="E-HUBBLE-014",
    )
