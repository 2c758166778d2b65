"""Looking at a host thing by thing, taking things away, and keeping what it was before an install."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import Changed
from installer.domain.residue.scope import Scope


@dataclass(frozen=True, slots=True)
class Seen:
    """What an area has found.

    Attributes:
        items: the things.
        missing: what could not be looked at, with the reason.
    """

    items: tuple[Item, ...] = ()
    missing: tuple[str, ...] = ()


class Area(Protocol):
    """A part of the host: looks at it and clears it.

    Attributes:
        kinds: the kinds of things that it knows.
    """

    kinds: frozenset[Kind]

    async def look(self, scope: Scope, before: Inventory | None) -> Seen:
        """Return what is there; ``before`` names trees whose every file matters."""
        ...

    async def remove(self, items: Sequence[Item]) -> list[str]:
        """Take things away, and nothing else; return what failed, one line each. What is gone is no failure."""
        ...

    async def restore(self, changes: Sequence[Changed]) -> list[str]:
        """Put things back as they were; return what failed, one line each."""
        ...


class HostMemory(Protocol):
    """What is kept of the host's time before the install; below our state folder."""

    def before(self) -> Inventory | None:
        """Return the inventory of the install that stands, or of the last one that was taken away."""
        ...

    def stands(self) -> bool:
        """Whether an inventory is kept for an install that was not taken away yet."""
        ...

    def keep(self, inventory: Inventory) -> None:
        """Keep an inventory, and copies of the files in it whose fact ``kept`` is set.

        Raises:
            BeeyardError: ``E-HOST-011``, ``E-HOST-012``.
        """
        ...

    def arrived(self) -> tuple[str, ...]:
        """Return the files that came while beeyard installed."""
        ...

    def keep_arrived(self, names: Sequence[str]) -> None:
        """Add to them."""
        ...

    def goal(self) -> dict[str, Any] | None:
        """Return what an uninstall that is not finished yet set out to do."""
        ...

    def keep_goal(self, goal: dict[str, Any]) -> None:
        """Write it down, before anything is taken away."""
        ...

    def kept_data(self) -> tuple[str, ...]:
        """Return the folders of a cluster that an uninstall left on purpose."""
        ...

    def close(self, after: Inventory, kept_data: Sequence[str]) -> None:
        """End an uninstall: the goal goes, the inventory is the one of an install that was taken away."""
        ...

    def archive(self, paths: Sequence[Path], folder: Path) -> None:
        """Copy files of a user's own into a folder of ours before they go."""
        ...

    def purge(self) -> None:
        """Remove all of beeyard's state and logs."""
        ...
