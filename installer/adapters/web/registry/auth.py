"""Answers a registry's challenge: basic, or a token of its token service."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from installer.adapters.web.download import Answer, Content, HttpDownloader
from installer.adapters.web.registry.credentials import Credential, find
from installer.domain.errors import BeeyardError
from installer.domain.images.mirrors import Endpoint, is_loopback
from installer.domain.redact import mask_url
from installer.domain.text import printable

_SCHEME = re.compile(r"(?:^|,)\s*(?P<scheme>basic|bearer)(?=\s|$)", re.IGNORECASE)
_PARAMETER = re.compile(r'(?P<name>[a-zA-Z]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry wants to see.

    Attributes:
        scheme: ``basic`` or ``bearer``.
        parameters: such as realm, service, scope.
    """

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """A request.

    Attributes:
        method: HTTP method.
        url: URL.
        headers: headers beside those of the authorization.
        accept: statuses of 400 and more that are no error to the caller.
        content: body.
        limit: bytes of the largest answer taken.
        again: try again where that may help; else ``TransientError`` comes out.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: frozenset[int] = frozenset()
    content: Content | None = None
    limit: int = 1024 * 1024
    again: bool = True


def parse_challenges(header: str) -> list[Challenge]:
    """Read WWW-Authenticate; schemes that we do not know are left out."""
    starts = list(_SCHEME.finditer(header))
    ends = [*(match.start() for match in starts[1:]), len(header)]
    return [
        Challenge(match["scheme"].lower(), _parameters(header[match.end() : end]))
        for match, end in zip(starts, ends, strict=False)
    ]


def _parameters(text: str) -> dict[str, str]:
    found = {}
    for match in _PARAMETER.finditer(text):
        quoted = match["quoted"]
        found[match["name"].lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match["word"]
    return found


class Authorizer:
    """Sends requests to registries, with what they want to see.

    Args:
        http: our HTTP client.
        credentials: by registry host.
    """

    def __init__(self, http: HttpDownloader, credentials: Mapping[str, Credential]):
        self._http = http
        self._credentials = credentials
        self._headers: dict[tuple[str, str], str] = {}

    def headers(self, endpoint: Endpoint, scope: str) -> dict[str, str]:
        """Return the Authorization header in force, none where the registry asked for none so far."""
        value = self._headers.get((endpoint.base, scope))
        return {"authorization": value} if value else {}

    async def send(self, endpoint: Endpoint, scope: str, call: Call) -> Answer:
        """Send a request; a challenge is answered once.

        Args:
            endpoint: registry.
            scope: right that is needed, such as ``repository:cilium/cilium:pull``.
            call: the request.

        Raises:
            BeeyardError: ``E-REG-003`` it is refused, ``E-REG-009`` no token; ``E-WEB-0xx``.
        """
        answer = await self._once(endpoint, scope, call)
        if answer.status == 401 and await self._answer(endpoint, scope, answer):
            answer = await self._once(endpoint, scope, call)
        if answer.status in (401, 403):
            raise self._refused(endpoint, scope, answer)
        return answer

    async def _once(self, endpoint: Endpoint, scope: str, call: Call) -> Answer:
        return await self._http.request(
            call.method,
            call.url,
            headers={**call.headers, **self.headers(endpoint, scope)},
            accept=call.accept | {401, 403},
            content=call.content,
            limit=call.limit,
            again=call.again,
        )

    async def renew(self, endpoint: Endpoint, scope: str, url: str) -> None:
        """Get a new token for a URL whose old one is no longer taken."""
        self._headers.pop((endpoint.base, scope), None)
        await self.send(endpoint, scope, Call("HEAD", url, accept=frozenset({404, 405})))

    async def _answer(self, endpoint: Endpoint, scope: str, answer: Answer) -> bool:
        """Find the header that a challenge asks for; return whether there is a new one to try."""
        before = self._headers.pop((endpoint.base, scope), "")
        credential = find(self._credentials, endpoint.host)
        value = ""
        for challenge in parse_challenges(answer.headers.get("www-authenticate", "")):
            if challenge.scheme == "bearer":
                value = f"Bearer {await self._token(endpoint, scope, challenge, credential)}"
                break
            if credential is not None and credential.user:
                value = credential.basic
        if value and value != before:
            self._headers[(endpoint.base, scope)] = value
        return bool(value) and value != before

    async def _token(self, endpoint: Endpoint, scope: str, challenge: Challenge, credential: Credential | None) -> str:
        realm = challenge.parameters.get("realm", "")
        _check_realm(endpoint, realm)
        wanted = {"service": challenge.parameters.get("service", ""), "scope": scope}
        query = {name: value for name, value in wanted.items() if value}
        accept = frozenset({400, 401, 403, 404})
        if credential is not None and credential.identity_token:
            form = {**query, "grant_type": "refresh_token", "client_id": "beeyard"}
            body = urlencode({**form, "refresh_token": credential.identity_token}).encode()
            kind = {"content-type": "application/x-www-form-urlencoded"}
            answer = await self._http.request("POST", realm, headers=kind, content=body, accept=accept)
        else:
            url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
            basic = {"authorization": credential.basic} if credential is not None and credential.user else {}
            answer = await self._http.request("GET", url, headers=basic, accept=accept)
        if answer.status in (401, 403):
            raise self._refused(endpoint, scope, answer)
        return _token_in(answer, realm)

    def _refused(self, endpoint: Endpoint, scope: str, answer: Answer) -> BeeyardError:
        known = find(self._credentials, endpoint.host) is not None
        return BeeyardError(
            f"the registry {endpoint.host} refuses",
            why=f"HTTP {answer.status} for {scope}; "
            + ("with the credentials for it" if known else "there are no credentials for it")
            + said(answer),
            fix=f"log in: docker login {endpoint.host} (read are the auths of config.json, no helpers), and "
            "check that this user may do that",
            code="E-REG-003",
        )


def said(answer: Answer) -> str:
    """Return what a registry says of an error, behind a colon; nothing where it says nothing."""
    try:
        errors = json.loads(answer.body)["errors"]
        texts = [f"{error.get('code', '')} {error.get('message', '')}".strip() for error in errors]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    return f": {printable('; '.join(texts))[:300]}" if texts else ""


def _check_realm(endpoint: Endpoint, realm: str) -> None:
    """Refuse a token service to which credentials would go over an open line."""
    try:
        parts = urlsplit(realm)
        safe = parts.scheme == "https" or (parts.scheme == "http" and (endpoint.plain or is_loopback(parts.netloc)))
        usable = safe and bool(parts.hostname) and not parts.username
    except ValueError:
        usable = False
    if not usable:
        raise _no_token(realm, f"{endpoint.host} names a token service that is not spoken to by https")


def _token_in(answer: Answer, realm: str) -> str:
    try:
        content = json.loads(answer.body)
        token = content.get("token") or content.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        token = None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
        raise _no_token(realm, f"HTTP {answer.status}, and no token in the answer")
    return token


def _no_token(realm: str, why: str) -> BeeyardError:
    return BeeyardError(
        "the registry's token service gives no token",
        why=f"{mask_url(printable(realm))[:300]}: {why}",
        fix="check the registry or mirror; a proxy may answer in the place of its token service",
        code="E-REG-009",
    )
