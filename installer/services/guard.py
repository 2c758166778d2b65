"""Guarding a change: armed before it, renewed while it lasts, taken off when the host answers again.

Taking off asks for proof: the API answers, and over SSH the client was heard since the change, by the same way. Where
that does not come in time nothing is done here: the watchdog, a process of its own, puts the network back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from installer.domain.errors import BeeyardError, DeadlineError
from installer.domain.guard import Reach, Restored, unreached
from installer.ports.guard import Answers, Armed, Guard, Settled, Watch

SECONDS = 120.0
"""Time from the last sign of life to the restore."""
SHORTLY = 5.0
"""Seconds for a look after a failure."""
RESTORING = 60.0
"""Seconds that a restore may take."""
POLL = 0.5
RENEWALS = 4
"""How often a guard is renewed within its time."""


@dataclass(slots=True)
class GuardService:
    """Implements ``installer.ports.guard.Guarding``, and tells of the guard that stands.

    Attributes:
        guard: the host's guard.
        environment: variables of the invoking process.
        tell: receives lines for people.
        shortly: seconds for a look after a failure.
    """

    guard: Guard
    environment: Mapping[str, str] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _: None
    shortly: float = SHORTLY

    @asynccontextmanager
    async def over(self, reason: str, *, seconds: float = SECONDS, api: Answers | None = None) -> AsyncIterator[Armed]:
        """Guard what the context does; see ``installer.ports.guard.Guarding.over``."""
        watch = Watch(api, self.guard.session(self.environment))
        before = await self._reach(watch)
        armed = await self.guard.arm(seconds=seconds, reason=reason, watch=watch)
        keeper = asyncio.ensure_future(self._keep(armed, watch, before))
        try:
            yield armed
        except BaseException:
            await _ended(keeper)
            await self._after_failure(armed, watch, before)
            raise
        await _ended(keeper)
        await self._take_off(armed, watch, before)

    async def status(self) -> tuple[Armed | None, Restored | None]:
        """Return the guard that stands, and what the last restore did."""
        return await self.guard.current(), await self.guard.last()

    async def disarm(self) -> bool:
        """Take the guard off by hand; False where none stands."""
        armed = await self.guard.current()
        return armed is not None and await self.guard.disarm(armed)

    async def restore(self) -> Restored:
        """Put the network back now.

        Raises:
            RefusedError: ``E-GUARD-003`` there is nothing to restore.
        """
        return await self.guard.restore()

    async def settle(self) -> Settled:
        """Look after a guard that a killed run has left: that this one runs speaks for the host's being reached."""
        armed = await self.guard.current()
        if armed is not None and not armed.owned and await self.guard.disarm(armed):
            return Settled(f"the guard of a run that has ended is taken off ({armed.reason})")
        restored = await self.guard.untold()
        if restored is None or not restored.done:
            return Settled()
        text = f"a guard has put this host's network back ({restored.reason}); see `beeyard guard status`"
        return Settled(text, put_back=True)

    async def _keep(self, armed: Armed, watch: Watch, before: Reach | None) -> None:
        """Renew the guard while the session is reached; without one, while we live."""
        while True:
            asked = time.monotonic()
            await asyncio.sleep(armed.seconds / RENEWALS)
            if await self._missing(Watch(None, watch.session), before, asked):
                continue
            try:
                if not await self.guard.renew(armed):
                    return
            except (BeeyardError, OSError) as error:
                self.tell(f"the guard of the host's network cannot be renewed: {error}")

    async def _take_off(self, armed: Armed, watch: Watch, before: Reach | None) -> None:
        missing = await self._wait(armed, watch, before, armed.seconds)
        if not missing and await self.guard.disarm(armed):
            return
        restored = await self._restored(armed)
        if restored is None:  # somebody took it off by hand
            return
        raise DeadlineError(
            "the host did not answer in time after its network was changed, and the network was put back",
            why="\n".join([missing or "what had to answer was silent for too long", *restored.done]),
            fix="`beeyard guard status` tells what was put back; find the cause before you run it again.",
            code="E-GUARD-004",
            details={"restored": restored.to_dict()},
        )

    async def _after_failure(self, armed: Armed, watch: Watch, before: Reach | None) -> None:
        """Take the guard off where all answers; else leave it: the watchdog puts the network back."""
        with suppress(BeeyardError):
            missing = await self._wait(armed, watch, before, min(self.shortly, armed.seconds))
            if not missing:
                await self.guard.disarm(armed)
                return
            self.tell(
                f"{missing}: unless you take the guard off (`beeyard guard disarm`), the host's network is put back "
                f"within {armed.seconds:.0f} s"
            )

    async def _wait(self, armed: Armed, watch: Watch, before: Reach | None, seconds: float) -> str:
        """Wait until all answers; return what is missing when the time is over or the guard stands no more."""
        began = time.monotonic()
        while missing := await self._missing(watch, before, began):
            if time.monotonic() - began >= seconds or await self._gone(armed):
                return missing
            await asyncio.sleep(POLL)
        return ""

    async def _missing(self, watch: Watch, before: Reach | None, since: float) -> str:
        """Return what does not answer, empty when all does."""
        if watch.session is not None and before is not None:
            now = await self.guard.reach(watch.session)
            if problem := unreached(before, now, time.monotonic() - since):
                return problem
        if watch.api is None:
            return ""
        try:
            return "" if await watch.api() else "the Kubernetes API does not answer"
        except BeeyardError as error:
            return f"the Kubernetes API does not answer: {error.what}"

    async def _reach(self, watch: Watch) -> Reach | None:
        return await self.guard.reach(watch.session) if watch.session is not None else None

    async def _gone(self, armed: Armed) -> bool:
        current = await self.guard.current()
        return current is None or current.id != armed.id or current.remaining == 0

    async def _restored(self, armed: Armed) -> Restored | None:
        """Wait for the watchdog to put the network back, and return what it did."""
        end = time.monotonic() + armed.seconds + RESTORING
        while time.monotonic() < end:
            if await self.guard.current() is None:
                return await self.guard.last()
            await asyncio.sleep(POLL)
        return None


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, BeeyardError):
        await task
