"""Where Kubernetes keeps its state on this host, copied and put back while k3s does not run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Protocol


class DatastoreKind(StrEnum):
    """Kinds of datastores."""

    SQLITE = "sqlite"
    ETCD = "etcd"
    NONE = "none"
    """None on this host: an external database, or a cluster that never ran."""


class Datastore(Protocol):
    """k3s' datastore below a data directory. All methods block."""

    def kind(self, data_dir: Path) -> DatastoreKind:
        """Return which one is there."""
        ...

    def size(self, data_dir: Path) -> int:
        """Return its size in bytes, 0 where there is none."""
        ...

    def copy(self, data_dir: Path, folder: Path) -> None:
        """Copy it into a folder, whole and proven or not at all; k3s must not run.

        Raises:
            BeeyardError: ``E-K3S-030`` it cannot be copied.
        """
        ...

    def put_back(self, data_dir: Path, folder: Path) -> Path | None:
        """Put a copy in place; what was there is kept and its place returned. May be called again after a kill.

        Raises:
            BeeyardError: ``E-K3S-031`` it cannot be put back.
        """
        ...
