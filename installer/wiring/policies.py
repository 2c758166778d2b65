"""Services on policies."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from installer.adapters.store.assets import asset
from installer.adapters.store.pending import FilePending
from installer.adapters.store.policy_history import FileHistory
from installer.adapters.store.settings import log_path
from installer.domain.errors import BeeyardError
from installer.ports.pending import Pending
from installer.services.policies.apply import Policies
from installer.services.policies.cookbook import Recipe, read_cookbook
from installer.wiring.cluster import LazyKubes

if TYPE_CHECKING:
    from installer.domain.policy.world import World
    from installer.ports.cluster import Kube
    from installer.services.policies.rollout import PolicyTools

_START_LOOKS, _START_PAUSE = 300, 0.1
_guards: set[int] = set()
"""Processes that were started here to wait for a confirmation."""


def state_folder() -> Path:
    """Return the folder of the user's state."""
    return log_path().parent


def history() -> FileHistory:
    """Return the history of policy changes made by this user."""
    return FileHistory(state_folder() / "policy-history.jsonl")


def pending() -> FilePending:
    """Return the changes that wait for their confirmation."""
    return FilePending(state_folder() / "pending")


def author() -> str:
    """Return who makes changes: the user who called sudo, or this one, with the host's name."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{os.uname().nodename}"


def policies(kube: Kube) -> Policies:
    """Return the service on a cluster."""
    return Policies(kube, history(), author=author())


def cookbook() -> dict[str, Recipe]:
    """Return the recipes that beeyard ships, by name."""
    return read_cookbook(asset("manifests/policies"))


@dataclass(frozen=True, slots=True)
class PolicyCluster:
    """A cluster to read policies from and to change them in.

    Attributes:
        kube: the connection.
        policies: changes policies.
        cilium_namespace: where Cilium's configuration is.
    """

    kube: Kube
    policies: Policies
    cilium_namespace: str

    async def world(self) -> World:
        """Read all that verdicts depend on."""
        from installer.services.policies.world import read_world

        return await read_world(self.kube, cilium_namespace=self.cilium_namespace)


@asynccontextmanager
async def policy_cluster(
    kubeconfig: str | None, context: str | None, cilium_namespace: str = "kube-system"
) -> AsyncIterator[PolicyCluster]:
    """Connect to a cluster.

    Raises:
        ConnectError: ``E-KUBE-001`` out of reach, ``E-KUBE-002`` no usable kubeconfig.
    """
    kube = await LazyKubes().open(kubeconfig, context)
    try:
        yield PolicyCluster(kube, policies(kube), cilium_namespace)
    finally:
        await kube.close()


def start_guard(one: Pending) -> int:
    """Start the process that takes changes back, free of this one's life and terminal; return its pid."""
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    _forget_ended()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "installer", "policy", "guard", one.id],
        {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / "guard.log"), log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    _guards.add(pid)
    return pid


async def guarded(one: Pending) -> None:
    """Start the process that takes changes back, and wait until it watches over them: none is made without it.

    Raises:
        BeeyardError: ``E-POL-032`` it does not start; nothing waits any more.
    """
    store, pid = pending(), start_guard(one)
    for _ in range(_START_LOOKS):
        if store.held(one.id):
            return
        _forget_ended()
        if pid not in _guards:
            break
        await asyncio.sleep(_START_PAUSE)
    store.confirm(one.id)
    raise BeeyardError(
        "the process that takes changes back does not start",
        why=f"Its log is {state_folder() / 'guard.log'}.",
        fix="Nothing was changed. Mend what the log tells, or apply without --confirm-within.",
        code="E-POL-032",
    )


def revive_guards() -> list[Pending]:
    """Start anew what waits for confirmations and was ended, such as by a reboot; return what it waits for."""
    store = pending()
    lost = [one for one in store.all() if not store.held(one.id)]
    for one in lost:
        start_guard(one)
    return lost


def _forget_ended() -> None:
    """Let guards that have ended go, which a program that lives long would keep as zombies."""
    _guards.difference_update([pid for pid in _guards if os.waitpid(pid, os.WNOHANG)[0]])


async def connect(one: Pending) -> Kube:
    """Connect to the cluster that pending changes are in."""
    return await LazyKubes().open(one.kubeconfig or None, one.context or None)


async def run_guard(pending_id: str) -> str:
    """Wait for the confirmation of changes, and take them back when it does not come."""
    from installer.services.policies.revert import guard

    return await guard(pending_id, pending(), connect, policies)


async def revert_now(pending_id: str) -> str:
    """Take changes back that wait for their confirmation."""
    from installer.services.policies.revert import revert

    return await revert(pending_id, pending(), connect, policies)


def policy_tools() -> PolicyTools:
    """Return what the cockpit changes policies with."""
    from installer.services.policies.rollout import PolicyTools

    return PolicyTools(policies, pending, guarded, revert_now, revive_guards, cookbook)
