"""Which proxy a URL goes through. ``NO_PROXY`` may hold host suffixes, ports, addresses and CIDRs.

As in Go's programs (k3s, helm), this host's own addresses never go through a proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from installer.domain.errors import UsageError
from installer.domain.redact import mask_url


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """The proxies in force.

    Attributes:
        http: proxy for http URLs, empty for none.
        https: proxy for https URLs, empty for none.
        exempt: entries of ``NO_PROXY``, lower case.
    """

    http: str = ""
    https: str = ""
    exempt: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str], proxy: str = "", no_proxy: str = "") -> ProxyRules:
        """Make rules of the settings, or of the environment where the settings say nothing.

        Raises:
            UsageError: ``E-WEB-012`` a proxy's URL is unusable.
        """
        everything = proxy or _variable(environment, "ALL_PROXY")
        return cls(
            http=_checked(proxy or _variable(environment, "HTTP_PROXY") or everything),
            https=_checked(proxy or _variable(environment, "HTTPS_PROXY") or everything),
            exempt=tuple((no_proxy or _variable(environment, "NO_PROXY")).lower().replace(",", " ").split()),
        )

    def proxy_for(self, url: str) -> str:
        """Return the proxy's URL, empty for a direct connection (or for what is no URL)."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return ""
        proxy = self.https if parts.scheme == "https" else self.http
        return "" if self._is_exempt(host, port) else proxy

    def _is_exempt(self, host: str, port: int | None) -> bool:
        if host in ("localhost", "::1") or _in_network(host, "127.0.0.0/8"):
            return True
        return any(_matches(entry, host, port) for entry in self.exempt)


def _variable(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name.lower()) or environment.get(name) or "").strip()


def _checked(proxy: str) -> str:
    if not proxy:
        return ""
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if usable:
        return url
    raise UsageError(
        f"the proxy {mask_url(proxy)} cannot be used",
        why="it must be http://HOST:PORT or https://HOST:PORT; SOCKS proxies are not supported",
        fix="correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or the proxy in beeyard.yaml",
        code="E-WEB-012",
    )


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    name, colon, wanted_port = entry.rpartition(":")
    if colon and wanted_port.isdigit() and ":" not in name:
        if port is None or int(wanted_port) != port:
            return False
        entry = name
    suffix = entry.removeprefix("*").removeprefix(".")
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}") or _in_network(host, entry))


def _in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
