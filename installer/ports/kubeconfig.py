"""The user's own kubeconfig."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KubeconfigChange:
    """What merging would do.

    Attributes:
        path: the user's file.
        exists: whether it is there already.
        changed: whether anything would change.
        summary: one line, such as ``context beeyard added, current-context set``.
    """

    path: Path
    exists: bool
    changed: bool
    summary: str


class UserKubeconfigs(Protocol):
    """Merges a cluster into the invoking user's kubeconfig (under sudo: that user's, with that owner)."""

    def plan(self, source: bytes | None, path: str | None, name: str) -> KubeconfigChange:
        """Say what merging would do; ``source`` None stands for a kubeconfig that does not exist yet."""
        ...

    def merge(self, source: bytes, path: str | None, name: str) -> KubeconfigChange:
        """Merge k3s' kubeconfig by name; atomic, backed up, 0600.

        Raises:
            BeeyardError: ``E-KUBECONFIG-0xx``.
        """
        ...

    def remove(self, path: str, name: str) -> bool:
        """Take the named entries out again; True when something was removed."""
        ...
