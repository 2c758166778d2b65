"""The tap of this node, with the names that its cluster gives."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from installer.adapters.bpf.source import TapOptions, TapSource
from installer.adapters.store.assets import asset
from installer.domain.errors import BeeyardError
from installer.domain.tap.directory import Directory
from installer.services.tap import follow_names
from installer.wiring.cluster import LazyKubes

if TYPE_CHECKING:
    from installer.ports.cluster import Kube

__all__ = ["Names", "TapOptions", "TapSource", "named", "tap_source"]


def tap_source(
    options: TapOptions, directory: Directory, on_ready: Callable[[Sequence[str]], None] = lambda _: None
) -> TapSource:
    """Return the tap of this node."""
    return TapSource(asset("bpf"), directory, os.uname().nodename.lower(), options, on_ready)


class Names:
    """Where the names of pods come from.

    Args:
        kube: a connection that is there already, which is left open.
        kubeconfig: path, where one is to be opened.
        context: its context.
    """

    def __init__(self, kube: Kube | None = None, kubeconfig: str | None = None, context: str | None = None) -> None:
        self._kube = kube
        self._kubeconfig = kubeconfig
        self._context = context

    async def follow(self, directory: Directory, on_problem: Callable[[BeeyardError], None]) -> None:
        """Fill a directory until it is cancelled; where there is no cluster, tell so once and end."""
        kube = self._kube
        try:
            kube = kube or await LazyKubes().open(self._kubeconfig, self._context)
            await follow_names(kube, directory)
        except BeeyardError as problem:
            on_problem(problem)
        finally:
            if kube is not None and kube is not self._kube:
                await kube.close()


@asynccontextmanager
async def named(
    directory: Directory, names: Names | None, on_problem: Callable[[BeeyardError], None] = lambda _: None
) -> AsyncIterator[None]:
    """Keep a directory filled while the context is open, from nowhere for None. The tap does not wait for it."""
    if names is None:
        yield
        return
    task = asyncio.ensure_future(names.follow(directory, on_problem))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
