"""Changes that go back by themselves unless somebody confirms them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Pending:
    """Changes that wait for their confirmation.

    Attributes:
        id: its name.
        deadline: UNIX time in seconds at which they go back.
        kubeconfig: path of the kubeconfig, empty for the usual ones.
        context: its context, empty for the current one.
        changes: ids in the history, in the order in which they were made.
    """

    id: str
    deadline: float
    kubeconfig: str
    context: str
    changes: tuple[str, ...]


class PendingStore(Protocol):
    """What waits, on the disk: it outlives the process that made it."""

    def add(self, pending: Pending) -> None:
        """Keep it; it is on the disk when this returns.

        Raises:
            BeeyardError: ``E-POL-031`` it cannot be written.
        """
        ...

    def all(self) -> list[Pending]:
        """Return all that wait, the next deadline first."""
        ...

    def confirm(self, pending_id: str) -> bool:
        """Keep the changes for good; False when they are not waiting (any more)."""
        ...

    def take(self, pending_id: str) -> Pending | None:
        """Take it to revert it: only one caller gets it, and nobody can confirm it after that."""
        ...

    def resume(self, pending_id: str) -> Pending | None:
        """Return what somebody took and did not finish, such as a process that was killed."""
        ...

    def hold(self, pending_id: str) -> AbstractContextManager[bool]:
        """Say that this process waits for the confirmation; False when another one does. It ends with the process."""
        ...

    def held(self, pending_id: str) -> bool:
        """Whether a process that lives waits for the confirmation."""
        ...

    def finish(self, pending_id: str, outcome: str) -> None:
        """Write down how reverting ended."""
        ...

    def outcome(self, pending_id: str) -> str:
        """Return how reverting ended, empty when it did not end."""
        ...
