"""How far an upgrade has come, as kept in ``/var/lib/beeyard/upgrade.json`` until it has reached its goal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.upgrade.path import Hop, Part, Versions

FORMAT = 1


class Phase(StrEnum):
    """Where an open hop is."""

    BACKUP = "backup"
    """The backup is being made; what runs is not changed yet."""
    CHANGE = "change"
    """The backup is complete; what runs is being changed, or to be proven."""
    ROLLBACK = "rollback"
    """It is being taken back."""


@dataclass(frozen=True, slots=True)
class OpenHop:
    """A hop that was begun and is not proven yet.

    Attributes:
        id: id of the hop.
        part: what it changes.
        source: version before.
        target: version after.
        phase: where it is.
        backup: folder with what is needed to take it back.
        stopped: UNIX time when the datastore was copied; what was written later is lost by taking back.
        revision: Helm revision before it.
        files: places of files replaced, with their copies in the backup; an empty copy stands for a new file.
    """

    id: str
    part: Part
    source: str
    target: str
    phase: Phase = Phase.BACKUP
    backup: str = ""
    stopped: float = 0.0
    revision: int = 0
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpgradeState:
    """An upgrade under way.

    Attributes:
        goal: versions wanted.
        bundle: path of its bundle, empty where the network is used.
        hop: the hop at work, None between two.
        carried: values that somebody had put into the release by hand when the upgrade began.
        existing: what of the running Cilium can never change (``ipam``, ``pools``), and ``nodes``.
        given: Helm values that were given for this upgrade.
    """

    goal: Versions
    bundle: str = ""
    hop: OpenHop | None = None
    carried: dict[str, Any] = field(default_factory=dict)
    existing: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)

    def dump(self) -> bytes:
        """Return the file's content."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n").encode()


def load(data: bytes | None, name: str) -> UpgradeState | None:
    """Read the file; None where there is none.

    Raises:
        BeeyardError: ``E-UPGRADE-004`` it cannot be understood.
    """
    if data is None:
        return None
    try:
        raw: dict[str, Any] = json.loads(data)
        if raw["format"] != FORMAT:
            raise ValueError(f"format {raw['format']}, this program knows {FORMAT}")
        hop = raw["hop"]
        if hop is not None:
            hop = OpenHop(**{**hop, "part": Part(hop["part"]), "phase": Phase(hop["phase"])})
        maps = {name: dict(raw[name]) for name in ("carried", "existing", "given")}
        return UpgradeState(Versions(**raw["goal"]), str(raw["bundle"]), hop, **maps)
    except (ValueError, KeyError, TypeError) as error:
        raise BeeyardError(
            f"{name} cannot be read",
            why=str(error),
            fix=f"It says how far an upgrade came. Look at `beeyard status`; if all is well, move {name} away.",
            code="E-UPGRADE-004",
        ) from error


def is_rolling_back(state: UpgradeState | None) -> bool:
    """Whether the upgrade was being taken back when it stopped."""
    return state is not None and state.hop is not None and state.hop.phase is Phase.ROLLBACK


def as_hop(record: OpenHop) -> Hop:
    """Return the hop of a record."""
    return Hop(record.part, record.source, record.target)
