"""From gRPC status codes to our errors."""

from __future__ import annotations

import grpc.aio

from installer.adapters.hubble.channel import Endpoint, speaks_tls
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError, UsageError

REACH_FIX = "Check that hubble-relay runs (beeyard status) and that the address and port are right."


async def to_error(error: grpc.aio.AioRpcError, endpoint: Endpoint, method: str) -> BeeyardError:
    """Say a failed call in our terms.

    Args:
        error: as gRPC raised it.
        endpoint: the server that was called.
        method: name of the method, such as ``GetFlows``.

    Returns:
        ``E-HUBBLE-001`` out of reach, ``-002`` deadline, ``-004`` not allowed, ``-005`` the server has no such
        method, ``-006`` request refused, ``-007`` field mask refused, ``-008`` anything else.
    """
    reason = error.details() or error.code().name
    match error.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return await unreachable(endpoint, reason)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return silent(endpoint, method, reason)
        case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED:
            return _forbidden(endpoint, method, reason)
        case grpc.StatusCode.UNIMPLEMENTED:
            return _unimplemented(endpoint, method, reason)
    if "invalid fieldmask" in reason.lower():
        return _mask_refused(endpoint, reason)
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        return _request_refused(endpoint, method, reason)
    return BeeyardError(
        f"{method} failed on Hubble at {endpoint}",
        why=f"{error.code().name}: {reason}",
        fix="Look into the log of hubble-relay: kubectl -n kube-system logs deploy/hubble-relay",
        code="E-HUBBLE-008",
    )


async def unreachable(endpoint: Endpoint, reason: str) -> ConnectError:
    """No connection, or it broke; asks the server itself whether it wants TLS."""
    if await speaks_tls(endpoint):
        return ConnectError(
            f"Hubble at {endpoint} wants TLS",
            why=f"The server speaks TLS, this connection is in plain text ({reason}).",
            fix="Use the plain port of hubble-relay, or turn hubble.relay.tls.server.enabled off.",
            code="E-HUBBLE-001",
            details={"tls": True},
        )
    return ConnectError(f"Hubble at {endpoint} cannot be reached", why=reason, fix=REACH_FIX, code="E-HUBBLE-001")


def silent(endpoint: Endpoint, method: str, reason: str) -> DeadlineError:
    """The server did not answer in time."""
    return DeadlineError(
        f"Hubble at {endpoint} does not answer",
        why=f"{method}: {reason}",
        fix=REACH_FIX,
        code="E-HUBBLE-002",
    )


def _forbidden(endpoint: Endpoint, method: str, reason: str) -> BeeyardError:
    return BeeyardError(
        f"Hubble at {endpoint} does not allow {method}",
        why=reason,
        fix="Use a client certificate or credentials that the server accepts.",
        code="E-HUBBLE-004",
    )


def _unimplemented(endpoint: Endpoint, method: str, reason: str) -> BeeyardError:
    return BeeyardError(
        f"Hubble at {endpoint} has no {method}",
        why=f"{reason}. Relay serves no agent events, an agent lists no nodes, and some other server serves neither.",
        fix="Ask the other one of the two, or check that this is Hubble's port (Relay: 4245).",
        code="E-HUBBLE-005",
    )


def _request_refused(endpoint: Endpoint, method: str, reason: str) -> UsageError:
    return UsageError(
        f"Hubble at {endpoint} refuses the request to {method}",
        why=reason,
        fix="Correct the filter or the range that the reason names.",
        code="E-HUBBLE-006",
    )


def _mask_refused(endpoint: Endpoint, reason: str) -> BeeyardError:
    return BeeyardError(
        f"Hubble at {endpoint} does not know a field that was asked for",
        why=f"{reason}. The server is older than the field.",
        fix="Ask for fewer fields, or for all.",
        code="E-HUBBLE-007",
    )
