"""A feature of the kernel that Cilium uses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from installer.domain.kernel.trials import Trial


class Weight(StrEnum):
    """What its absence means for those who need it."""

    REQUIRED = "required"
    FALLBACK = "fallback"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Attributes:
        id: stable short name, such as ``map.lpm-trie``.
        title: for people, such as ``LPM trie map``.
        purpose: what Cilium does with it.
        trials: how it is tried; all must work.
        settings: names in ``settings.SETTINGS``, any of which needs it.
        weight: what its absence means.
        without: what happens without it, for ``FALLBACK`` and ``NOTE``.
        instead: id of a feature that does as well; while it works, the absence of this one is no error.
        config: symbols of the kernel's configuration, without ``CONFIG_``; all are needed.
        module: module that holds it, where it can be one.
        since: Linux version it came with, empty for older than any that Cilium runs on.
    """

    id: str
    title: str
    purpose: str
    trials: tuple[Trial, ...]
    settings: tuple[str, ...] = ("cilium",)
    weight: Weight = Weight.REQUIRED
    without: str = ""
    instead: str = ""
    config: tuple[str, ...] = ()
    module: str = ""
    since: str = ""
