"""Where a user's settings are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from installer.domain.errors import BeeyardError


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """What was found.

    Attributes:
        data: the settings as written, not yet checked; empty where there are none.
        problem: why the file could not be used: ``E-SET-001`` broken (kept aside under the name in it), ``E-SET-002``
            not readable; None when all is well.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    problem: BeeyardError | None = None


class SettingsStore(Protocol):
    """Keeps settings between runs."""

    @property
    def path(self) -> Path:
        """The file, for people who edit it."""
        ...

    def load(self) -> StoredSettings:
        """Read the settings; a broken file is moved aside, never lost."""
        ...

    def save(self, data: Mapping[str, Any]) -> None:
        """Write the settings atomically.

        Raises:
            BeeyardError: ``E-SET-003`` they cannot be written.
        """
        ...
