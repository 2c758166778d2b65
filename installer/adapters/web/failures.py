"""Turning httpx's failures and HTTP's status codes into our errors. Imports httpx: load it late."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from installer.adapters.web.retrying import TransientError
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError, UsageError
from installer.domain.redact import mask_url

_WAYS_OUT = (
    "check the network and DNS of this host; behind a proxy set HTTPS_PROXY and NO_PROXY; "
    "or use a mirror (spec.downloads), or a bundle (beeyard install --bundle FILE)"
)
_TRY_AGAIN = "run the command again: it continues where the transfer stopped; or use a mirror, or a bundle (--bundle)"
_WAITING_HELPS = frozenset({408, 425, 429})


def of_exception(error: Exception, url: str, proxy: str) -> BeeyardError | TransientError:
    """Return our error for what httpx raised.

    Args:
        error: the exception.
        url: the URL of the request that failed.
        proxy: the proxy in use, empty for none.
    """
    match error:
        case httpx.ProxyError():
            return _of_proxy(str(error), url, proxy)
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return TransientError(_unreachable(url, proxy, "no answer to the attempt to connect"))
        case httpx.ConnectError():
            return _of_connect(error, url, proxy)
        case httpx.TimeoutException():
            return TransientError(_stalled(url))
        case httpx.TooManyRedirects():
            return redirect_refused(url, "the server redirects again and again")
        case httpx.UnsupportedProtocol() | httpx.InvalidURL() | UnicodeError() | httpx.LocalProtocolError():
            return _unusable(url, str(error))
        case httpx.DecodingError():
            return not_a_document(url, f"its compressed form is damaged: {error}")
        case _:
            return TransientError(broken_off(url, str(error) or type(error).__name__))


def of_status(response: httpx.Response, url: str, proxy: str, now: float) -> BeeyardError | TransientError:
    """Return our error for a status of 400 or more.

    Args:
        response: the answer (its body unread).
        url: the URL asked for by our caller (redirects may carry signatures).
        proxy: the proxy in use, empty for none.
        now: UNIX time in seconds.
    """
    status = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
    if response.status_code in (404, 410):
        return _missing(url, status)
    if response.status_code in (401, 403, 407):
        return _refused(url, proxy, status)
    error = BeeyardError(
        f"{_host(url)} answers {status}",
        why=f"GET {mask_url(url)}" + (f" through {mask_url(proxy)}" if proxy else ""),
        fix="try again later, or use a mirror (spec.downloads) or a bundle (--bundle FILE)",
        code="E-WEB-008",
    )
    if response.status_code in _WAITING_HELPS or response.status_code >= 500:
        return TransientError(error, after=_retry_after(response.headers.get("retry-after", ""), now))
    return error


def broken_off(url: str, why: str) -> DeadlineError:
    """Return the error for a transfer that ends too early again and again."""
    return DeadlineError(
        f"the transfer from {_host(url)} keeps breaking off",
        why=f"{mask_url(url)}: {why}",
        fix=_TRY_AGAIN,
        code="E-WEB-005",
    )


def redirect_refused(url: str, why: str) -> BeeyardError:
    """Return the error for redirects that are not followed."""
    return BeeyardError(
        f"a redirect of {_host(url)} is not followed",
        why=f"{mask_url(url)}: {why}",
        fix="check the mirror's configuration, or name the final URL",
        code="E-WEB-009",
    )


def not_a_document(url: str, why: str) -> BeeyardError:
    """Return the error for a document that cannot be what was asked for."""
    return BeeyardError(
        f"{_host(url)} sent something else than the document asked for",
        why=f"{mask_url(url)}: {why}",
        fix="open the URL in a browser: a proxy or a login page may answer in its place",
        code="E-WEB-010",
    )


def _of_proxy(message: str, url: str, proxy: str) -> BeeyardError | TransientError:
    if re.match(r"(401|403|407)\b", message):
        return _refused(url, proxy, message)
    return TransientError(_unreachable(url, proxy, f"the proxy answers {message}"))


def _of_connect(error: httpx.ConnectError, url: str, proxy: str) -> BeeyardError | TransientError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(url, cause.verify_message or str(cause))
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return _untrusted(url, cause.reason or str(cause))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return TransientError(_unreachable(url, proxy, f"its name cannot be resolved: {cause.strerror}"))
    reasons = [os.strerror(cause.errno) for cause in causes if isinstance(cause, OSError) and cause.errno]
    return TransientError(_unreachable(url, proxy, reasons[-1] if reasons else str(error)))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what lies under it, groups opened."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions


def _unreachable(url: str, proxy: str, why: str) -> ConnectError:
    target = f"the proxy {mask_url(proxy)}" if proxy else _host(url)
    return ConnectError(
        f"cannot connect to {target}", why=f"{why} (wanted: {mask_url(url)})", fix=_WAYS_OUT, code="E-WEB-001"
    )


def _stalled(url: str) -> DeadlineError:
    return DeadlineError(
        f"{_host(url)} stopped sending",
        why=f"no byte came for too long, in several tries: {mask_url(url)}",
        fix=_TRY_AGAIN,
        code="E-WEB-005",
    )


def _untrusted(url: str, why: str) -> ConnectError:
    return ConnectError(
        f"the TLS connection to {_host(url)} cannot be trusted",
        why=f"{why} (wanted: {mask_url(url)})",
        fix="check this host's clock; if a company proxy or a private mirror has its own CA, give its certificate "
        "(spec.downloads.caFile, or SSL_CERT_FILE). Verification cannot be switched off",
        code="E-WEB-003",
    )


def _missing(url: str, status: str) -> BeeyardError:
    return BeeyardError(
        f"{_host(url)} has no such file",
        why=f"{status}: {mask_url(url)}",
        fix="check the version (does that release exist, for this architecture?); a mirror may lack it or keep it "
        "under another path",
        code="E-WEB-002",
    )


def _refused(url: str, proxy: str, status: str) -> BeeyardError:
    if proxy:
        what, fix = (
            f"the proxy {mask_url(proxy)} or the server behind it refuses",
            f"give the proxy's user and password in its URL, have {_host(url)} allowed, or except it by NO_PROXY",
        )
    else:
        what, fix = (
            f"{_host(url)} refuses to give the file",
            "check user and password in the URL of the mirror; a rate limit may apply, too",
        )
    return BeeyardError(what, why=f"{status}: {mask_url(url)}", fix=fix, code="E-WEB-006")


def _unusable(url: str, why: str) -> UsageError:
    return UsageError(
        "a download URL cannot be used",
        why=f"{mask_url(url)}: {why}",
        fix="correct the mirror or chart repository in beeyard.yaml: it must begin with https:// or http://",
        code="E-WEB-012",
    )


def _retry_after(value: str, now: float) -> float | None:
    """Return the seconds that Retry-After asks for (a number or a date), None where it says nothing."""
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError):
        return None


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "the server"
    except ValueError:
        return "the server"
