"""What the steps of an uninstall share."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from installer.domain.plan import Change
from installer.domain.residue.inventory import Inventory, Kind
from installer.domain.residue.judge import Changed, Judgement, Owned, judge
from installer.domain.residue.report import Kept
from installer.domain.residue.scope import Choice, Scope
from installer.ports.guard import Guarding
from installer.ports.residue import Area, HostMemory

_SINGLY = 6
"""So many things of a kind are told one by one; of more, their number."""


@dataclass(slots=True)
class Removal:
    """One uninstall.

    Attributes:
        scope: what is known of the cluster.
        choice: what the user wants.
        areas: who looks and clears, in the order in which they clear.
        memory: what is kept of the time before the install.
        guarding: guards what can cut the host off; None where there is no guard.
        before: inventory of the time before the install.
        kept: what stays on purpose, told in the plan.
        failures: what the last round could not do.
    """

    scope: Scope
    choice: Choice
    areas: Sequence[Area]
    memory: HostMemory
    guarding: Guarding | None = None
    before: Inventory | None = None
    kept: list[Kept] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def look(self, kinds: Collection[Kind] = tuple(Kind), *, at: float = 0.0) -> Inventory:
        """Return what is on the host now."""
        return await take(self.areas, self.scope, before=self.before, kinds=kinds, at=at)

    async def judge(self, kinds: Collection[Kind] = tuple(Kind)) -> Judgement:
        """Return what is left of some kinds."""
        looked = {*kinds, Kind.LINK} if Kind.SYSCTL in kinds else kinds
        return judge(self.before, await self.look(looked), self.scope, kinds)

    async def clear(self, judgement: Judgement) -> None:
        """Take away and put back what a judgement names, area by area; failures are kept."""
        self.failures = []
        for area in self.areas:
            items = [one.item for one in judgement.left if one.item.kind in area.kinds]
            if items:
                self.failures += await area.remove(items)
            changes = [one for one in judgement.restore if one.item.kind in area.kinds]
            if changes:
                self.failures += await area.restore(changes)


async def take(
    areas: Sequence[Area],
    scope: Scope,
    *,
    before: Inventory | None = None,
    kinds: Collection[Kind] = tuple(Kind),
    at: float = 0.0,
) -> Inventory:
    """Return what is on the host.

    Args:
        areas: who looks.
        scope: where to look.
        before: inventory of the time before the install: folders that were there then are told file by file.
        kinds: only areas that know one of these look.
        at: UNIX time in seconds.
    """
    asked = [area for area in areas if area.kinds & set(kinds)]
    seen = await asyncio.gather(*(area.look(scope, before) for area in asked))
    items = [item for one in seen for item in one.items]
    return Inventory(items, at=at, missing=[text for one in seen for text in one.missing])


def changes_of(judgement: Judgement) -> list[Change]:
    """Return what clearing a judgement changes, many things of a kind in one line."""
    changes = []
    for kind in Kind:
        changes += _removals(kind, _outermost([one for one in judgement.left if one.item.kind is kind]))
        changes += _restorations(kind, [one for one in judgement.restore if one.item.kind is kind])
    return changes


def _outermost(owned: Sequence[Owned]) -> list[Owned]:
    """Leave out what goes with its folder."""
    names = {one.item.name for one in owned if one.item.kind in (Kind.FILE, Kind.PIN)}
    return [one for one in owned if not names & {str(parent) for parent in PurePosixPath(one.item.name).parents}]


def _removals(kind: Kind, owned: Sequence[Owned]) -> list[Change]:
    if len(owned) <= _SINGLY or kind is Kind.FILE:
        return [Change(str(kind), "delete", one.item.name, f"of {one.whose}") for one in owned]
    shown = ", ".join(one.item.name for one in owned[:3])
    whose = " and ".join(sorted({one.whose for one in owned}))
    return [Change(str(kind), "delete", f"{len(owned)} of {whose}", f"{shown}, …")]


def _restorations(kind: Kind, changed: Sequence[Changed]) -> list[Change]:
    if len(changed) <= _SINGLY or kind is Kind.FILE:
        return [Change(str(kind), "restore", one.item.name, one.how) for one in changed]
    shown = ", ".join(one.item.name for one in changed[:3])
    return [Change(str(kind), "restore", f"{len(changed)} values", f"{shown}, …")]
