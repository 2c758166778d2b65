"""The guard: what puts the host's network back when a change has cut the host off.

A guard is armed before the change: the host's network is written to the disk, and a process of its own, which outlives
ours, puts it back when the time is over, unless the guard was taken off. Whoever changes something uses ``Guarding``:

    async with guarding.over("Cilium replaces kube-proxy", api=answers):
        ...  # links, routes, rules, firewall, sysctls may change in here
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from installer.domain.guard import Reach, Restored, Session

Answers = Callable[[], Awaitable[bool]]
"""Asks whether the Kubernetes API answers. An error of ours counts as no answer."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What has to answer again before the guard may be taken off.

    Attributes:
        api: asks the Kubernetes API; None where it is not to answer (an uninstall).
        session: the SSH connection over which beeyard was started, None where there is none.
    """

    api: Answers | None = None
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Armed:
    """A guard that stands.

    Attributes:
        id: its name.
        reason: what it guards, for people.
        armed_at: UNIX time in seconds.
        seconds: time between the last renewal and the restore.
        remaining: seconds left now.
        owner: pid of the process that armed it; ``owned`` tells whether it lives.
        owned: whether its owner lives: only then another guard is refused.
        watchdog: pid of the process that will restore, 0 where it died.
        session: the SSH connection that it watches.
    """

    id: str
    reason: str
    armed_at: float
    seconds: float
    remaining: float
    owner: int
    owned: bool
    watchdog: int
    session: Session | None = None


class Guard(Protocol):
    """One guard a host."""

    async def arm(self, *, seconds: float, reason: str, watch: Watch) -> Armed:
        """Write the network down and start the watchdog; it stands when this returns.

        A guard whose owner died is taken over: the network is the one that was written down then.

        Raises:
            RefusedError: ``E-GUARD-001`` another guard stands, and its owner lives.
            BeeyardError: ``E-GUARD-002`` it cannot be armed (nothing may be changed then).
        """
        ...

    async def current(self) -> Armed | None:
        """Return the guard that stands."""
        ...

    async def renew(self, armed: Armed) -> bool:
        """Give it its whole time again; False when it stands no more (it was restored, or taken off by somebody)."""
        ...

    async def disarm(self, armed: Armed) -> bool:
        """Take it off for good: nothing is restored; False when the watchdog had begun to restore."""
        ...

    async def restore(self) -> Restored:
        """Put the network back now, also from the last guard that was taken off.

        Raises:
            RefusedError: ``E-GUARD-003`` there is nothing to restore.
        """
        ...

    async def last(self) -> Restored | None:
        """Return what the last restore did, None where none happened since the guard before."""
        ...

    async def untold(self) -> Restored | None:
        """Return what the last restore did, once: the next call gives None."""
        ...

    def session(self, environment: Mapping[str, str]) -> Session | None:
        """Return the SSH session that drives this process, also below sudo; None where there is none."""
        ...

    async def reach(self, session: Session, /) -> Reach:
        """Return how the session's other side is reached now."""
        ...


class Settled(str):
    """What is to be told of a guard that an earlier run has left, empty for nothing.

    Attributes:
        put_back: it has put the network back since, which took from it what Cilium's agents had made.
    """

    put_back: bool

    def __new__(cls, text: str = "", *, put_back: bool = False) -> Settled:
        """Make it of its text."""
        made = super().__new__(cls, text)
        made.put_back = put_back
        return made


class Guarding(Protocol):
    """Arms a guard around a change, and takes it off when the host answers."""

    async def settle(self) -> Settled:
        """Take off the guard of a run that was killed: that somebody runs this speaks for the host's being reached."""
        ...

    def over(
        self, reason: str, *, seconds: float = 120.0, api: Answers | None = None
    ) -> AbstractAsyncContextManager[Armed]:
        """Guard what the context does.

        While it lasts, the guard is renewed as long as the SSH session (where there is one) is reached; a run that is
        killed or cut off therefore has its network put back after ``seconds``. At its end the guard waits for the API
        and the session to answer, at most ``seconds``, and is taken off. With an error in the context it looks only
        shortly, takes itself off where all answers, and otherwise leaves the restore to the watchdog.

        Args:
            reason: what it guards, for people.
            seconds: time until the restore.
            api: asks the API; None where it is not to answer.

        Raises:
            RefusedError: ``E-GUARD-001`` another guard stands.
            BeeyardError: ``E-GUARD-002`` it cannot be armed, ``E-GUARD-004`` the host did not answer in time and its
                network was put back.
        """
        ...
