"""Work beside an event loop that must stay quick, such as a screen's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def aside(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on an event loop of its own in a thread; parts of it may block.

    Cancelling cancels it there and waits for its end, so that what it holds (a lock, say) is free again.

    Args:
        make: makes the coroutine, in the thread.
    """
    inside = _Inside(make)
    thread = asyncio.ensure_future(asyncio.to_thread(inside.run))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        inside.cancel()
        await asyncio.wait([thread])
        if not thread.cancelled():
            thread.exception()  # it is over; nobody waits for what it has to say
        raise


class _Inside:
    """The coroutine and its loop."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False

    def run(self) -> Any:
        """Run it to its end."""
        return asyncio.run(self._main())

    async def _main(self) -> Any:
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        if self._cancelled:
            raise asyncio.CancelledError
        return await self._make()

    def cancel(self) -> None:
        """Cancel it, from another thread."""
        self._cancelled = True
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop is closed: it has ended by itself
                self._loop.call_soon_threadsafe(self._task.cancel)
