"""Asking a server whether it is there, and what time it has. Imports httpx when used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

from installer.adapters.web.proxies import ProxyRules
from installer.adapters.web.retrying import TransientError
from installer.domain.errors import BeeyardError
from installer.domain.preflight.surroundings import Source
from installer.domain.redact import mask_url

_ANY = frozenset(range(400, 600)) - {407}
"""Statuses that a server, or only a proxy that wants a password, answers with."""


async def knock(
    urls: Mapping[str, str],
    *,
    proxy: str = "",
    no_proxy: str = "",
    ca_file: Path | None = None,
    environment: Mapping[str, str],
    timeout: float = 8.0,
    clock: Callable[[], float] = time.time,
) -> tuple[Source, ...]:
    """Ask each server once; any answer of its own will do.

    Args:
        urls: URL by name.
        proxy: proxy for everything, instead of those of the environment.
        no_proxy: exemptions, instead of those of the environment.
        ca_file: PEM file with further trusted CAs.
        environment: where HTTP_PROXY and its like are looked up.
        timeout: seconds for connecting, and for the answer.
        clock: UNIX time in seconds.
    """
    from installer.adapters.web.session import Session

    try:
        rules = ProxyRules.of(environment, proxy, no_proxy)
        session = Session(rules, ca_file=ca_file, stall=timeout, connect=timeout, clock=clock)
    except BeeyardError as error:
        return tuple(Source(name, url, f"{error.what}: {error.why}") for name, url in urls.items())

    async def one(name: str, url: str) -> Source:
        through = mask_url(rules.proxy_for(url))
        try:
            async with session.stream("HEAD", url, follow=False, accept=_ANY) as response:
                return Source(name, url, skew=_skew(response.headers.get("date", ""), clock()), proxy=through)
        except TransientError as error:
            return Source(name, url, error.error.why or error.error.what, proxy=through)
        except BeeyardError as error:
            return Source(name, url, error.why or error.what, proxy=through)

    try:
        return tuple(await asyncio.gather(*(one(name, url) for name, url in urls.items())))
    finally:
        await session.close()


def _skew(date: str, now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
