"""Where images of a registry are pulled from: its mirrors, as k3s' registries.yaml names them, then itself."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from installer.domain.errors import UsageError
from installer.domain.images.reference import DOCKER_HUB

_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place that speaks the registry protocol.

    Attributes:
        base: URL that the protocol's paths are put behind, ends in ``/v2`` where nobody said otherwise.
        host: host and port, as credentials name it.
        origin: registry that it stands for, empty where it is that registry.
        rewrites: patterns and what they become, for the path of an image.
    """

    base: str
    host: str
    origin: str = ""
    rewrites: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it is spoken to without TLS."""
        return self.base.startswith("http://")

    def repository(self, path: str) -> str:
        """Return the path that an image has here; as in k3s, the first pattern that matches counts."""
        for pattern, replacement in self.rewrites:
            rewritten, count = re.subn(pattern, replacement, path)
            if count:
                return rewritten
        return path

    def url(self, path: str, rest: str) -> str:
        """Return the URL of something of an image, such as ``manifests/v1``."""
        query = f"?ns={self.origin}" if self.origin else ""
        return f"{self.base}/{self.repository(path)}/{rest}{query}"


@dataclass(frozen=True, slots=True)
class Mirrors:
    """All mirrors.

    Attributes:
        endpoints: endpoints by registry, ``*`` for every other.
    """

    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)

    def of(self, host: str) -> tuple[Endpoint, ...]:
        """Return where to ask for images of a registry, in order."""
        return (*self.endpoints.get(host, self._others(host)), registry(host))

    def _others(self, host: str) -> tuple[Endpoint, ...]:
        return tuple(Endpoint(one.base, one.host, host, one.rewrites) for one in self.endpoints.get("*", ()))


def registry(host: str) -> Endpoint:
    """Return a registry itself: by https, on loopback by http."""
    address = _HUB if host == DOCKER_HUB else host
    scheme = "http" if is_loopback(address) else "https"
    return Endpoint(f"{scheme}://{address}/v2", address)


def parse_mirrors(registries: Mapping[str, Any] | None, options: Sequence[str] = ()) -> Mirrors:
    """Put the mirrors together: those of options (``REGISTRY=URL``) first, then those of k3s' registries.yaml.

    Raises:
        UsageError: ``E-REG-001``.
    """
    found: dict[str, list[Endpoint]] = {}
    for option in options:
        host, equals, url = option.partition("=")
        if not equals or not host:
            raise _unusable(option, "a mirror is given as REGISTRY=URL, such as quay.io=https://mirror.example")
        found.setdefault(host, []).append(parse_endpoint(url, host))
    for host, settings in _mapping(registries, "mirrors").items():
        content = settings if isinstance(settings, Mapping) else {}
        rewrites = _rewrites(content)
        for url in content.get("endpoint") or ():
            found.setdefault(str(host), []).append(parse_endpoint(str(url), str(host), rewrites))
    return Mirrors({host: tuple(endpoints) for host, endpoints in found.items()})


def parse_endpoint(url: str, origin: str = "", rewrites: tuple[tuple[str, str], ...] = ()) -> Endpoint:
    """Read the URL of a mirror as k3s does: without a path the protocol's ``/v2`` is added, else it is taken as it is.

    Raises:
        UsageError: ``E-REG-001``.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.query or parts.fragment:
        raise _unusable(
            url.rpartition("@")[2], "it must be https://HOST[:PORT][/PATH]; credentials do not belong there"
        )
    path = parts.path.rstrip("/") or "/v2"
    return Endpoint(f"{parts.scheme}://{parts.netloc}{path}", parts.netloc, origin, rewrites)


@dataclass(frozen=True, slots=True)
class Target:
    """Where images are pushed to.

    Attributes:
        endpoint: the registry.
        prefix: path that is put before an image's, empty for none.
    """

    endpoint: Endpoint
    prefix: str = ""

    def path(self, repository: str) -> str:
        """Return the path of an image there."""
        return f"{self.prefix}/{repository}" if self.prefix else repository

    def name(self, repository: str) -> str:
        """Return the full name of an image there."""
        return f"{self.endpoint.host}/{self.path(repository)}"


def parse_target(text: str) -> Target:
    """Read ``[https://]HOST[:PORT][/PREFIX]``; plain http only on loopback, or when it is asked for by ``http://``.

    Raises:
        UsageError: ``E-REG-001``.
    """
    url = text if "://" in text else f"{'http' if is_loopback(text.partition('/')[0]) else 'https'}://{text}"
    found = parse_endpoint(url)
    scheme, prefix = urlsplit(found.base).scheme, urlsplit(url).path.strip("/")
    if prefix and not re.fullmatch(r"[a-z0-9._/-]+", prefix):
        raise _unusable(text, "the path of a registry has small letters, digits, '.', '_', '-' and '/' only")
    return Target(Endpoint(f"{scheme}://{found.host}/v2", found.host), prefix)


def is_loopback(host: str) -> bool:
    """Whether host[:port] is this machine itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _rewrites(content: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return patterns with their replacements, Go's form of a group's number as Python's."""
    found = []
    for pattern, replacement in _mapping(content, "rewrite").items():
        try:
            re.compile(str(pattern))
        except re.error as error:
            raise _unusable(str(pattern), f"rewrite is no regular expression: {error}") from error
        found.append((str(pattern), re.sub(r"\$\{?(\d)\}?", r"\\\1", str(replacement))))
    return tuple(found)


def _mapping(content: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    value = (content or {}).get(key)
    return value if isinstance(value, Mapping) else {}


def _unusable(text: str, why: str) -> UsageError:
    return UsageError(
        f"{text!r} cannot be used as a registry or mirror",
        why=why,
        fix="correct --mirror, the registry's name, or spec.k3s.registries",
        code="E-REG-001",
    )
