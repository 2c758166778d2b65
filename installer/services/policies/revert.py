"""Commit-confirmed changes: they go back by themselves unless confirmed, also when beeyard is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from installer.domain.errors import BeeyardError, ConnectError, RefusedError
from installer.ports.cluster import Kube
from installer.ports.pending import Pending, PendingStore
from installer.ports.policy_history import Change
from installer.services.policies.apply import Policies

Open = Callable[[Pending], Awaitable[Kube]]
_LOOK_SECONDS = 0.2
_RETRY_SECONDS = 2.0
_GIVE_UP_SECONDS = 900.0


async def guard(
    pending_id: str,
    store: PendingStore,
    open_kube: Open,
    make: Callable[[Kube], Policies],
    *,
    now: Callable[[], float] = time.time,
) -> str:
    """Wait for the confirmation of changes and take them back when it does not come.

    Runs in a process of its own, so that it outlives the one that made the changes.

    Args:
        pending_id: what to wait for.
        store: where it is kept.
        open_kube: connects to its cluster.
        make: returns the service on a connection.
        now: UNIX time in seconds.

    Returns:
        ``confirmed``, how reverting ended, or that another process waits already.
    """
    with store.hold(pending_id) as mine:
        if not mine:
            return "another process waits for it"
        return await _guard(pending_id, store, open_kube, make, now)


async def _guard(
    pending_id: str,
    store: PendingStore,
    open_kube: Open,
    make: Callable[[Kube], Policies],
    now: Callable[[], float],
) -> str:
    waiting = next((one for one in store.all() if one.id == pending_id), None)
    if waiting is None:
        return store.outcome(pending_id) or "confirmed"
    while now() < waiting.deadline:
        await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, waiting.deadline - now())))
        if not any(one.id == pending_id for one in store.all()):
            return store.outcome(pending_id) or "confirmed"
    return await revert(pending_id, store, open_kube, make)


async def revert(pending_id: str, store: PendingStore, open_kube: Open, make: Callable[[Kube], Policies]) -> str:
    """Take changes back now, the last one first; an API that is away is waited for.

    Returns:
        ``reverted``, ``confirmed`` when somebody was faster, or what kept it from going back.
    """
    taken = store.take(pending_id) or store.resume(pending_id)
    if taken is None:
        return store.outcome(pending_id) or "confirmed"
    outcome = await _retried(taken, open_kube, make)
    store.finish(pending_id, outcome)
    return outcome


async def _retried(pending: Pending, open_kube: Open, make: Callable[[Kube], Policies]) -> str:
    loop = asyncio.get_running_loop()
    end = loop.time() + _GIVE_UP_SECONDS
    while True:
        try:
            kube = await open_kube(pending)
            try:
                return await _take_back(pending, make(kube))
            finally:
                await kube.close()
        except ConnectError as error:
            if loop.time() >= end:
                return f"not reverted: {error.what}: {error.why}"
            await asyncio.sleep(_RETRY_SECONDS)


async def _take_back(pending: Pending, policies: Policies) -> str:
    await policies.identify()
    known = {change.id: change for change in policies.history()}
    done = {change.reverts for change in known.values()}
    problems: list[str] = []
    for change in _newest_first(pending.changes, known):
        if change.id in done:
            continue
        try:
            await policies.rollback(change, reason="not confirmed in time")
        except ConnectError:
            raise
        except RefusedError as error:
            problems.append(f"{change.kind} {change.name} was changed by someone else since: {error.why}")
        except BeeyardError as error:
            problems.append(f"{change.kind} {change.name}: {error.what}: {error.why}")
    return "; ".join(problems) or "reverted"


def _newest_first(ids: Sequence[str], known: dict[str, Change]) -> list[Change]:
    return [known[one] for one in reversed(ids) if one in known]
