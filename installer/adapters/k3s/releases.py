"""k3s' channel server and release assets."""

from __future__ import annotations

import difflib
import json
from typing import Any
from urllib.parse import unquote

from installer.domain.errors import BeeyardError, ConnectError, UsageError
from installer.domain.k3s_release import (
    Arch,
    K3sRelease,
    K3sVersion,
    check_channel,
    is_version,
    make_release,
    parse_sums,
    parse_version,
    release_folder,
)
from installer.ports.web import Downloader

CHANNELS = "https://update.k3s.io"
RELEASES = "https://github.com/k3s-io/k3s/releases/download"

_SUMS_LIMIT = 1024 * 1024
_CHANNELS_LIMIT = 8 * 1024 * 1024


class K3sReleases:
    """Finds releases of k3s.

    Args:
        downloader: fetches the lists.
        channels: base URL of the channel server or of a mirror of it.
        releases: base URL of the folders with the assets, one folder a version.
    """

    def __init__(self, downloader: Downloader, *, channels: str = CHANNELS, releases: str = RELEASES):
        self._downloader = downloader
        self._channels = f"{channels.rstrip('/')}/v1-release/channels"
        self._releases = releases.rstrip("/")

    async def resolve(self, wanted: str) -> K3sVersion:
        """Return the version for a version (as it is) or a channel (asked of the channel server).

        Raises:
            UsageError: ``E-K3S-002`` neither of both, ``E-K3S-003`` the server knows no such channel.
            BeeyardError: ``E-K3S-005`` the server's answer makes no sense; ``E-WEB-0xx``.
        """
        if is_version(wanted):
            return parse_version(wanted)
        channel = check_channel(wanted)
        try:
            latest = _latest_in(await self._downloader.text(self._channels, limit=_CHANNELS_LIMIT), channel)
        except (ConnectError, UsageError):
            raise
        except BeeyardError as cause:
            return await self._resolve_by_redirect(channel, cause)
        return self._sensible(latest, channel) if latest else await self._resolve_by_redirect(channel)

    async def release(self, version: K3sVersion, arch: Arch) -> K3sRelease:
        """Return the release with its checksums.

        Raises:
            BeeyardError: ``E-K3S-004`` no usable checksum list; ``E-WEB-002`` no such release; other ``E-WEB-0xx``.
        """
        url = f"{release_folder(self._releases, version)}/{arch.sums}"
        return make_release(
            version, arch, self._releases, parse_sums(await self._downloader.text(url, limit=_SUMS_LIMIT))
        )

    async def _resolve_by_redirect(self, channel: str, cause: BeeyardError | None = None) -> K3sVersion:
        try:
            target = await self._downloader.location(f"{self._channels}/{channel}")
        except ConnectError:
            raise
        except BeeyardError as error:
            raise (cause or error) from error
        if not target:
            raise cause or self._nonsense(channel, "no redirect")
        return self._sensible(unquote(target.split("?")[0].rstrip("/").rpartition("/")[2]), channel)

    def _sensible(self, version: str, channel: str) -> K3sVersion:
        if not is_version(version):
            raise self._nonsense(channel, repr(version[:80]))
        return parse_version(version)

    def _nonsense(self, channel: str, answer: str) -> BeeyardError:
        return BeeyardError(
            f"the channel server does not tell the version of k3s' channel {channel}",
            why=f"{self._channels} answered {answer}",
            fix="pin a version (spec.k3s.version: v1.36.4+k3s1), or check the mirror of the channel server",
            code="E-K3S-005",
        )


def _latest_in(document: str, channel: str) -> str:
    """Return the channel's latest version in the list of channels, empty where the channel names none."""
    try:
        channels = {str(entry["id"]): entry for entry in json.loads(document)["data"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BeeyardError(
            "the channel server's list of channels cannot be read",
            why=f"{type(error).__name__}: {error}; it begins with {document[:80]!r}",
            fix="pin a version (spec.k3s.version: v1.36.4+k3s1), or check the mirror or proxy between",
            code="E-K3S-005",
        ) from error
    if channel not in channels:
        raise _unknown(channel, channels)
    return str(channels[channel].get("latest") or "")


def _unknown(channel: str, channels: dict[str, Any]) -> UsageError:
    near = difflib.get_close_matches(channel, channels, n=1)
    return UsageError(
        f"k3s has no channel {channel!r}",
        why=f"the channel server knows {', '.join(sorted(channels)) or 'none'}",
        fix=f"did you mean {near[0]}?" if near else "take one of these, or pin a version such as v1.36.4+k3s1",
        code="E-K3S-003",
    )
