"""Work beside an event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from installer.services.aside import aside


async def test_it_returns_what_the_coroutine_returns_from_another_thread() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    assert await aside(work) != threading.get_ident()


async def test_the_loop_goes_on_while_it_blocks() -> None:
    free = threading.Event()

    async def work() -> bool:
        return free.wait(20)  # only our loop can set it

    task = asyncio.ensure_future(aside(work))
    await asyncio.sleep(0)
    free.set()
    assert await task


async def test_errors_come_through() -> None:
    async def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await aside(work)


async def test_cancelling_waits_until_what_it_holds_is_free() -> None:
    begun, order = threading.Event(), list[str]()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            order.append("freed")

    task = asyncio.ensure_future(aside(work))
    await asyncio.to_thread(begun.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert order == ["freed"]


async def test_cancelling_before_it_began() -> None:
    done = list[int]()

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(1)

    task = asyncio.ensure_future(aside(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
