"""Reading a stream in a thread of its own, and giving it to asyncio in batches.

A message costs the thread a few microseconds; asyncio is woken once a batch. What waits is bounded: when nobody takes
the batches, the thread stops reading, and the server learns of it by HTTP/2's flow control and says what it sheds.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError

T = TypeVar("T")
BATCH = 500
"""Messages that make a batch at once."""
BATCH_SECONDS = 0.02
"""How long a smaller batch is waited for."""
WAITING = 10_000
"""Messages that may wait."""


class Call(Protocol):
    """A running call of gRPC."""

    def __iter__(self) -> Iterator[bytes]:
        """Give the messages."""
        ...

    def cancel(self) -> bool:
        """End it."""
        ...


class StreamReader(Generic[T]):
    """Reads one call until it ends or is closed.

    Args:
        call: the call; it is read by this object's thread only.
        convert: makes what is wanted of the bytes of a message; runs in the thread.
    """

    def __init__(self, call: Call, convert: Callable[[bytes], T]):
        self._call = call
        self._convert = convert
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[T] = deque()
        self._told = False
        self._fresh = asyncio.Event()
        self._ended = asyncio.Event()
        self._room = threading.Event()
        self._closed = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="hubble-stream", daemon=True)
        self._thread.start()

    async def batch(self) -> list[T]:
        """Return what has come, at least one message; an empty list at the end of the stream.

        Raises:
            grpc.RpcError: the call failed, after all that came before.
            DecodeError: the server sent something else.
        """
        await self._fresh.wait()
        if len(self._waiting) < BATCH and not self._ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), BATCH_SECONDS)
        self._fresh.clear()
        self._told = False
        batch = self._take()
        if self._ended.is_set():
            batch += self._take()  # the thread has put nothing since
            self._fresh.set()
            if not batch and self._error:
                raise self._error
        return batch if batch or self._ended.is_set() else await self.batch()

    def _take(self) -> list[T]:
        take = self._waiting.popleft
        batch = [take() for _ in range(len(self._waiting))]
        self._room.set()
        return batch

    async def close(self) -> None:
        """End the call and the thread."""
        self._closed = True
        self._room.set()
        self._call.cancel()
        await self._ended.wait()

    def _run(self) -> None:
        try:
            for raw in self._call:
                self._put(self._convert(raw))
                if self._closed:
                    break
        except (grpc.RpcError, DecodeError) as error:
            self._error = error
        except Exception as error:  # noqa: BLE001  # a thread has nobody above it: the reader gets it
            self._error = error
        finally:
            self._wake(self._end)

    def _put(self, item: T) -> None:
        self._waiting.append(item)
        if not self._told:
            self._told = True
            self._wake(self._fresh.set)
        while len(self._waiting) >= WAITING and not self._closed:
            self._room.clear()
            if len(self._waiting) >= WAITING:
                self._room.wait(0.5)

    def _end(self) -> None:
        self._ended.set()
        self._fresh.set()

    def _wake(self, action: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(action)
