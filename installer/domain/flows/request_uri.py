"""The path of an HTTP record's URL, read as servers read it (Go's ``url.ParseRequestURI``)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT: Final = re.compile(r"(:[0-9]*)?\Z")
_USER: Final = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*\Z")
_HOST: Final = re.compile(r"[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]*\Z")


@lru_cache(maxsize=16384)
def uri_path(url: str) -> str | None:
    """Return the decoded path; None: not a URL that a request can have, which no filter of paths matches."""
    if not url or _CONTROL.search(url):
        return None
    if url == "*":
        return "*"
    scheme = _SCHEME.match(url)
    if url.startswith(":"):
        return None
    rest = url[scheme.end() :] if scheme else url
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        return "" if scheme else None
    if scheme and rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if not _valid_authority(host):
            return None
        rest = slash + path
    return None if _BAD_PERCENT.search(rest) else unquote_to_bytes(rest).decode("utf-8", "replace")


def _valid_authority(text: str) -> bool:
    user, at, host = text.rpartition("@")
    if at and (not _USER.match(user) or _BAD_PERCENT.search(user)):
        return False
    if host.startswith("["):
        end = host.rfind("]")
        return end > 0 and _PORT.match(host[end + 1 :]) is not None
    colon = host.rfind(":")
    return (colon < 0 or _PORT.match(host[colon:]) is not None) and _valid_name(host)


def _valid_name(host: str) -> bool:
    """Only bytes beyond ASCII may be written with a percent sign in a host."""
    codes = re.findall(r"%([0-9A-Fa-f]{2})?", host)
    return _HOST.match(host) is not None and all(code and int(code, 16) >= 0x80 for code in codes)
