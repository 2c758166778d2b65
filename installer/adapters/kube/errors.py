"""Foreign errors into ours, at the adapter's edge."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass

from installer.domain.errors import BeeyardError, ConnectError

_OUT_OF_REACH = (502, 503, 504)


@dataclass(frozen=True, slots=True)
class Target:
    """What a request was about, for its error.

    Attributes:
        verb: ``list``, ``get``, ``watch``, ``patch`` …
        resource: ``pods``, ``ciliumnodes.cilium.io``, ``pods/exec`` …
        namespace: its namespace, empty when there is none.
        name: the object's name, empty when there is none.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Return the request in words: ``list pods in kube-system``."""
        words = f"{self.verb} {self.resource}"
        words += f" {self.name}" if self.name else ""
        return words + (f" in {self.namespace}" if self.namespace else "")


class GoneError(Exception):
    """The resource version is too old (410): list again."""


class AbsentError(Exception):
    """The resource type or the object is not there (404).

    Attributes:
        message: the server's words.
    """

    def __init__(self, message: str = ""):
        super().__init__(message)
        self.message = message


def transport_error(server: str, cause: BaseException) -> ConnectError:
    """Return the error for a request that got no answer from ``server``."""
    if isinstance(cause, ssl.SSLError) or isinstance(getattr(cause, "certificate_error", None), Exception):
        return ConnectError(
            f"TLS to the Kubernetes API at {server} failed",
            why=_reason(cause),
            fix="The certificate does not belong to this cluster: use the kubeconfig of this very cluster, "
            "or correct its certificate-authority or server name.",
            code="E-KUBE-001",
        )
    return ConnectError(
        f"the Kubernetes API at {server} is out of reach",
        why=_reason(cause),
        fix="Is the cluster running, and are these the right kubeconfig and context (--kubeconfig, --context)?",
        code="E-KUBE-001",
    )


def _reason(cause: BaseException) -> str:
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    return str(cause) or type(cause).__name__


def status_error(server: str, target: Target, status: int, body: str) -> Exception:
    """Return the error for an HTTP status of 400 or more.

    ``GoneError`` and ``AbsentError`` are for callers inside the adapter; the others leave it.
    """
    message = _message(body)
    if status == 410:
        return GoneError(message)
    if status == 404:
        return AbsentError(message)
    if status == 401:
        return unauthorized(server, message)
    if status == 403:
        return forbidden(target, message)
    if status in _OUT_OF_REACH:
        return ConnectError(
            f"the Kubernetes API at {server} is not ready to answer",
            why=f"HTTP {status}: {message}",
            fix="Wait a moment and try again; on the server, look at its log.",
            code="E-KUBE-001",
        )
    if status == 409:
        return BeeyardError(
            f"cannot {target}",
            why=message,
            fix="Someone else changed or made the object: try again.",
            code="E-KUBE-007",
        )
    return BeeyardError(
        f"the Kubernetes API refused to {target}", why=f"HTTP {status}: {message}", fix=_fix(status), code="E-KUBE-008"
    )


def _fix(status: int) -> str:
    if status in (400, 422):
        return "Correct the object or the arguments; the server's message names the field."
    if status == 429:
        return "The server is busy: wait a moment and try again."
    return "Look at the API server's log."


def unauthorized(server: str, message: str) -> ConnectError:
    """Return the error for a 401."""
    return ConnectError(
        f"the Kubernetes API at {server} does not accept these credentials",
        why=message,
        fix="Use a current kubeconfig; its certificate or token may have expired.",
        code="E-KUBE-005",
    )


def forbidden(target: Target, message: str) -> BeeyardError:
    """Return the error for a 403."""
    return BeeyardError(
        f"not allowed to {target}",
        why=message,
        fix=f"Ask for a role that may '{target.verb}' '{target.resource}'"
        + (f" in namespace '{target.namespace}'." if target.namespace else " in the whole cluster."),
        code="E-KUBE-003",
        details={"verb": target.verb, "resource": target.resource, "namespace": target.namespace},
    )


def absent(target: Target, message: str = "") -> BeeyardError:
    """Return the error for something that must be there and is not."""
    return BeeyardError(
        f"cannot {target}: not found", why=message, fix="Check the name and the namespace.", code="E-KUBE-004"
    )


def _message(body: str) -> str:
    """Return the message of a Status object, or the text itself, shortened."""
    try:
        status = json.loads(body)
    except ValueError:
        return body.strip()[:300]
    message = status.get("message") if isinstance(status, dict) else None
    return message[:1000] if isinstance(message, str) else body.strip()[:300]
