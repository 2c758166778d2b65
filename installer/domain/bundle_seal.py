"""The seal at the end of a bundle's archive: a sha256 over every byte before it.

Checksums of files do not prove the archive's own headers, nor what a decompressor skips. The seal does. It is a
skippable frame of zstd, so that ``zstd`` and ``tar`` take the archive for what it is: a ``.tar.zst``.
"""

from __future__ import annotations

_MAGIC = bytes.fromhex("5e2a4d18")
_WORDS = b"beeyard bundle\n"
_DIGEST = 32
_PAYLOAD = len(_WORDS) + _DIGEST
_HEAD = _MAGIC + _PAYLOAD.to_bytes(4, "little") + _WORDS

LENGTH = len(_HEAD) + _DIGEST
"""Bytes of a seal."""


def seal(digest: bytes) -> bytes:
    """Return the seal for the sha256 of what stands before it."""
    if len(digest) != _DIGEST:
        raise ValueError("not a sha256")
    return _HEAD + digest


def sealed_digest(tail: bytes) -> bytes | None:
    """Return the sha256 that the last bytes of an archive hold, None where they are no seal."""
    return tail[len(_HEAD) :] if len(tail) == LENGTH and tail.startswith(_HEAD) else None
