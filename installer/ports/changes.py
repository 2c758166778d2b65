"""Changing the host in ways that can be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from installer.domain.preflight.actions import Action


class HostChanges(Protocol):
    """Applies actions of fixes, and takes them back."""

    async def before(self, action: Action) -> dict[str, Any]:
        """Return what ``restore`` will need, as JSON-like data; changes nothing.

        Raises:
            BeeyardError: it cannot be read, so the action must not be applied.
        """
        ...

    async def apply(self, action: Action) -> None:
        """Do it; doing it again changes nothing more.

        Raises:
            BeeyardError: ``E-FIX-001`` or the host's own codes.
        """
        ...

    async def restore(self, action: Action, before: Mapping[str, Any]) -> str:
        """Put back what was there before, also after an action that was stopped half-way.

        Returns:
            Why it was left as it is, because someone changed it since; empty when all is as before.

        Raises:
            BeeyardError: it could not be put back.
        """
        ...
