"""Reading what a certificate says of itself: names and validity. It proves nothing: no signature is checked."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_COMMON_NAME = bytes((0x06, 0x03, 0x55, 0x04, 0x03))
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate.

    Attributes:
        subject: common name of its owner, empty where it has none.
        issuer: common name of who signed it.
        not_before: begin of its validity.
        not_after: end of its validity.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime


def read_pem(text: str) -> list[Certificate]:
    """Return the certificates of a PEM file, in its order.

    Raises:
        ValueError: a block in it is no certificate.
    """
    return [read_der(_decoded(block)) for block in _PEM.findall(text)]


def _decoded(block: str) -> bytes:
    try:
        return base64.b64decode("".join(block.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


def read_der(data: bytes) -> Certificate:
    """Return a certificate from its DER form.

    Raises:
        ValueError: it is no certificate.
    """
    certificate = _only(data, _SEQUENCE)
    (_, body), *_ = _items(certificate)
    parts = [part for part in _items(body) if part[0] != _VERSION]
    if len(parts) < 5:
        raise ValueError("no certificate: it has too few parts")
    issuer, validity, subject = (content for _, content in parts[2:5])
    times = [_time(tag, content) for tag, content in _items(validity)]
    if len(times) != 2:
        raise ValueError("no certificate: its validity is not two times")
    return Certificate(_common_name(subject), _common_name(issuer), *times)


def _only(data: bytes, tag: int) -> bytes:
    found = next(_items(data), None)
    if found is None or found[0] != tag:
        raise ValueError("no certificate")
    return found[1]


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each item of a DER sequence."""
    at = 0
    while at < len(data):
        tag, start, length = data[at], *_length(data, at + 1)
        if start + length > len(data):
            raise ValueError("no certificate: it is cut off")
        yield tag, data[start : start + length]
        at = start + length


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content starts and how long it is."""
    if at >= len(data):
        raise ValueError("no certificate: it is cut off")
    first = data[at]
    if first < 0x80:
        return at + 1, first
    size = first & 0x7F
    return at + 1 + size, int.from_bytes(data[at + 1 : at + 1 + size], "big")


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 and later are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no certificate: its validity is no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _common_name(name: bytes) -> str:
    at = name.find(_COMMON_NAME)
    if at < 0:
        return ""
    _, text = next(_items(name[at + len(_COMMON_NAME) :]))
    return text.decode("utf-8", "replace")
