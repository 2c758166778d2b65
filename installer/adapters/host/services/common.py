"""What the three service managers share: names, errors, and watching a start."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence

from installer.domain.errors import BeeyardError, DeadlineError

POLL_SECONDS = 0.05
_NAME = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,99}")


def checked_name(name: str) -> str:
    """Return a service's name, which becomes a part of paths.

    Raises:
        BeeyardError: ``E-SVC-004`` it is not a plain name.
    """
    if _NAME.fullmatch(name) is None:
        raise BeeyardError(
            f"{name!r} cannot name a service",
            why="a name has lower-case letters, digits, and _ . @ - after the first character",
            fix="choose another name",
            code="E-SVC-004",
        )
    return name


async def wait_for(condition: Callable[[], Awaitable[bool]], timeout: float) -> bool:
    """Ask again and again until the condition holds; False when it did not within ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not await condition():
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


def not_started(name: str, detail: str, lines: Sequence[str], fix: str) -> BeeyardError:
    """Return ``E-SVC-001``: a service did not start."""
    return BeeyardError(
        f"the service {name} did not start",
        why="\n".join([detail, *lines]).strip(),
        fix=fix,
        code="E-SVC-001",
        details={"service": name},
    )


def not_stopped(name: str, timeout: float, detail: str) -> DeadlineError:
    """Return ``E-SVC-002``: a service did not stop in time."""
    return DeadlineError(
        f"the service {name} did not stop within {timeout:g} s",
        why=detail,
        fix=f"see what {name} waits for in its log, then run again",
        code="E-SVC-002",
        details={"service": name, "timeout": timeout},
    )


def no_answer(manager: str, error: BeeyardError) -> DeadlineError:
    """Return ``E-SVC-003``: the service manager itself does not answer."""
    return DeadlineError(
        f"{manager} does not answer",
        why=error.why or error.what,
        fix=f"{manager} itself is stuck or waits for another job; look at it before running again",
        code="E-SVC-003",
        details={"manager": manager},
    )
