"""What is kept of changes to policies, so that each can be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object.

    Attributes:
        id: UTC time and a few random letters; ids sort by time.
        at: UNIX time in seconds.
        cluster: the API's URL, and after ``#`` the UID of kube-system where it may be read.
        author: who made it.
        reason: why, may be empty.
        kind: kind of the object.
        namespace: its namespace, empty for clusterwide ones.
        name: its name.
        before: the object before, None when it was made.
        after: the object after, None when it was deleted.
        reverts: id of the change that this one took back, or empty.
    """

    id: str
    at: float
    cluster: str
    author: str
    reason: str
    kind: str
    namespace: str
    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reverts: str = ""

    @property
    def action(self) -> str:
        """``create``, ``update`` or ``delete``."""
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "update"


class History(Protocol):
    """Changes made from this machine, the newest last."""

    def add(self, change: Change) -> None:
        """Keep a change; it is on the disk when this returns.

        Raises:
            BeeyardError: ``E-POL-030`` it cannot be written; nothing must be changed then.
        """
        ...

    def fail(self, change_id: str) -> None:
        """Say that a change that was kept did not come about."""
        ...

    def all(self) -> list[Change]:
        """Return the changes in all clusters, the oldest first; damaged lines are left out."""
        ...
