"""Builds the guard of the host's network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from installer.adapters.host.guard.guard import HostGuard
from installer.adapters.host.processes import LocalProcesses
from installer.services.guard import GuardService


def guard_service(environment: Mapping[str, str], tell: Callable[[str], None] = lambda _: None) -> GuardService:
    """Return the guard of this host.

    Args:
        environment: variables of the invoking process.
        tell: receives lines for people.
    """
    return GuardService(HostGuard(LocalProcesses()), environment, tell)
