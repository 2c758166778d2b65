"""The last log lines of crashed containers, fetched beside the wait that needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from installer.domain.errors import BeeyardError
from installer.domain.readiness_rules import LogSource
from installer.domain.readiness_rules.evidence import last_line
from installer.ports.cluster import Kube

LOG_SECONDS = 5.0
LOG_LINES = 20


class LastWords:
    """Fetches each crashed container's last line once per crash.

    Attributes:
        known: the lines fetched so far, empty where a container left none.
    """

    def __init__(self, kube: Kube, on_known: Callable[[], None]):
        self.known: dict[LogSource, str] = {}
        self._kube = kube
        self._on_known = on_known
        self._tasks: dict[LogSource, asyncio.Future[None]] = {}

    def want(self, wanted: Iterable[LogSource]) -> None:
        """Begin to fetch what is not known yet."""
        for source in wanted:
            if source not in self._tasks:
                self._tasks[source] = asyncio.ensure_future(self._fetch(source))

    async def settle(self) -> None:
        """Wait for the fetches under way."""
        await asyncio.gather(*self._tasks.values())

    async def close(self) -> None:
        """Give up the fetches under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _fetch(self, source: LogSource) -> None:
        self.known[source] = await _last_words(self._kube, source)
        self._on_known()


async def _last_words(kube: Kube, source: LogSource) -> str:
    try:
        async with asyncio.timeout(LOG_SECONDS):
            lines = await kube.logs(
                source.pod, source.namespace, container=source.container, lines=LOG_LINES, previous=source.previous
            )
    except (BeeyardError, TimeoutError):  # evidence is welcome, its absence is no failure of its own
        return ""
    return last_line("\n".join(lines))
