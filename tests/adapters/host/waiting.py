"""Waiting for something that another process does; the test's own time limit ends the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds."""
    while not condition():
        await asyncio.sleep(0.01)
