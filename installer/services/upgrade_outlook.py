"""Where the cluster can go: from what is asked for to a way of hops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from installer.domain.config_layers import Layer
from installer.domain.errors import BeeyardError, RefusedError, UsageError
from installer.domain.k3s_release import is_version, parse_version
from installer.domain.releases import Releases
from installer.domain.spec import ClusterSpec
from installer.domain.upgrade.path import (
    Hop,
    Versions,
    cilium_chain,
    find_path,
    is_older,
    k3s_chain,
    minor_of,
    minors_between,
    newest_supported,
)
from installer.domain.upgrade.state import Phase, UpgradeState, as_hop, is_rolling_back
from installer.pipeline.chart_values import chart_release
from installer.ports.sources import Sources


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        k3s: version or channel, empty leaves k3s as it is.
        cilium: version or minor, empty leaves Cilium as it is.
        bundle: bundle that brings both, empty for the network.
        latest: the newest supported versions of both.
        rollback: take back what an earlier run left open.
        sets: further Helm values, as layers of the specification.
    """

    k3s: str = ""
    cilium: str = ""
    bundle: str = ""
    latest: bool = False
    rollback: bool = False
    sets: Sequence[Layer] = ()

    @property
    def nothing(self) -> bool:
        """Whether nothing is asked for: then one only looks, or goes on with what is unfinished."""
        return not (self.k3s or self.cilium or self.bundle or self.latest or self.rollback)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where the cluster is and where it can go.

    Attributes:
        now: versions that run.
        goal: versions wanted; those that run where nothing is.
        hops: the way there.
        spec: specification of the cluster.
        given: Helm values for the new version, also those that an unfinished upgrade was given.
        bundle: bundle used, empty for the network.
        newest: newest supported versions; None where it was not asked.
        newest_hops: the way to them.
        unknown: why the newest k3s is not known, empty where it is.
        blocked: why there is no way to the newest versions, empty where there is.
        state: upgrade of an earlier run that is unfinished.
        rollback: the open hop is to be taken back.
    """

    now: Versions
    goal: Versions
    hops: tuple[Hop, ...]
    spec: ClusterSpec
    bundle: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    newest: Versions | None = None
    newest_hops: tuple[Hop, ...] = ()
    unknown: str = ""
    blocked: str = ""
    state: UpgradeState | None = None
    rollback: bool = False

    @property
    def unfinished(self) -> bool:
        """Whether an earlier upgrade is to be gone on with or to be taken back."""
        return self.state is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        found: dict[str, Any] = {
            "now": self.now.to_dict(),
            "goal": self.goal.to_dict(),
            "path": [hop.to_dict() for hop in self.hops],
            "unfinished": self.unfinished,
        }
        if self.newest is not None:
            found |= {
                "newest": self.newest.to_dict(),
                "pathToNewest": [hop.to_dict() for hop in self.newest_hops],
                "unknown": self.unknown,
                "blocked": self.blocked,
            }
        return found


@dataclass(slots=True)
class Ways:
    """Finds goals and the ways to them.

    Attributes:
        table: the support table.
        sources: tells versions of channels and bundles.
        allow_unsupported: versions outside the table may be gone through.
    """

    table: Releases
    sources: Sources
    allow_unsupported: bool = False
    _versions: dict[str, str] = field(default_factory=dict)

    async def to_goal(self, wanted: Wanted, outlook: Outlook) -> Outlook:
        """Return the outlook with the goal that is asked for, and the way to it.

        Raises:
            RefusedError: ``E-UPGRADE-00x`` there is no such way, or another upgrade is unfinished.
            UsageError: ``E-UPGRADE-012`` the bundle brings other versions than those named.
        """
        state = outlook.state
        if wanted.rollback or is_rolling_back(state):
            return _to_take_back(outlook)
        if state is not None and wanted.nothing:
            return await self._way(replace(outlook, goal=state.goal, bundle=state.bundle))
        goal, bundle = outlook.now, ""
        if wanted.bundle:
            brings = self.sources.read_bundle(Path(wanted.bundle))
            goal, bundle = Versions(brings.k3s_version, brings.chart_version), str(Path(wanted.bundle).absolute())
            _refuse_beside_bundle(wanted, goal)
        elif wanted.latest:
            goal = newest_supported(self.table, await self._channels(outlook), outlook.now)
        k3s = goal.k3s if bundle or not wanted.k3s else await self._k3s(wanted.k3s)
        cilium = goal.cilium if bundle or not wanted.cilium else self._cilium(wanted.cilium, outlook.now)
        goal = Versions(k3s, cilium)
        if state is not None and state.hop is not None and (goal, bundle) != (state.goal, state.bundle):
            raise _other_goal(state)
        return await self._way(replace(outlook, goal=goal, bundle=bundle))

    async def _way(self, outlook: Outlook) -> Outlook:
        now, goal, first = outlook.now, outlook.goal, []
        if outlook.state is not None and outlook.state.hop is not None:
            first = [as_hop(outlook.state.hop)]
            now = now.after(first[0])
        newest = {} if outlook.bundle else await self._between(now.k3s, goal.k3s)
        hops = find_path(
            now,
            k3s_chain(now.k3s, goal.k3s, newest),
            cilium_chain(now.cilium, goal.cilium, self.table, only=bool(outlook.bundle)),
            self.table,
            allow_unsupported=self.allow_unsupported,
        )
        return replace(outlook, hops=(*first, *hops))

    async def to_newest(self, outlook: Outlook) -> Outlook:
        """Return the outlook with the newest supported versions, and why they are not known where they are not."""
        unknown, channels = "", {}
        try:
            channels = await self._channels(outlook)
        except BeeyardError as error:
            unknown = f"{error.what}. {error.why}".strip()
        newest = newest_supported(self.table, channels, outlook.now)
        try:
            way = await self._way(replace(outlook, goal=newest, bundle="", state=None))
        except BeeyardError as error:
            return replace(outlook, newest=newest, unknown=unknown, blocked=f"{error.what}. {error.fix}".strip())
        return replace(outlook, newest=newest, newest_hops=way.hops, unknown=unknown)

    async def _channels(self, outlook: Outlook) -> dict[str, str]:
        """Return the versions of the stable channel and of the newest minor that Cilium was tested with."""
        cilium = newest_supported(self.table, {}, outlook.now).cilium
        release = chart_release(self.table, cilium, allow_unsupported=self.allow_unsupported)
        tested = release.data.kubernetes.tested[-1]
        found = {"stable": await self._version("stable")}
        if parse_version(found["stable"]).minor > int(tested.split(".")[1]):
            found[f"v{tested}"] = await self._version(f"v{tested}")
        return found

    async def _between(self, source: str, target: str) -> dict[str, str]:
        return {minor: await self._version(f"v{minor}") for minor in minors_between(source, target)}

    async def _version(self, channel: str) -> str:
        if channel not in self._versions:
            self._versions[channel] = await self.sources.k3s_version(channel)
        return self._versions[channel]

    async def _k3s(self, asked: str) -> str:
        return str(parse_version(asked)) if is_version(asked) else await self._version(asked)

    def _cilium(self, asked: str, now: Versions) -> str:
        """Return the version asked for; a minor that runs already at a newer patch than ours stays there."""
        found = chart_release(self.table, asked, allow_unsupported=self.allow_unsupported).version
        is_minor = asked.count(".") == 1
        return (
            now.cilium
            if is_minor and minor_of(now.cilium) == minor_of(found) and is_older(found, now.cilium)
            else found
        )


def _to_take_back(outlook: Outlook) -> Outlook:
    if outlook.state is None or outlook.state.hop is None:
        raise RefusedError(
            "no upgrade is open that could be taken back",
            why="Each hop was proven, or none was begun. What was proven stays: there is no supported way back.",
            fix="See `beeyard upgrade` for what runs.",
            code="E-UPGRADE-006",
        )
    return replace(outlook, goal=outlook.now, hops=(), rollback=True)


def _refuse_beside_bundle(wanted: Wanted, brings: Versions) -> None:
    for name, asked, has in (("--k3s", wanted.k3s, brings.k3s), ("--cilium", wanted.cilium, brings.cilium)):
        if asked and asked.removeprefix("v") not in (has.removeprefix("v"), minor_of(has)):
            raise UsageError(
                f"{name} {asked} is asked for, the bundle brings {has}",
                fix=f"Leave {name} out, or use a bundle of that version.",
                code="E-UPGRADE-012",
            )


def _other_goal(state: UpgradeState) -> RefusedError:
    return RefusedError(
        f"an upgrade to k3s {state.goal.k3s} and Cilium {state.goal.cilium} is unfinished",
        why=f"It stopped in {state.hop.id}." if state.hop else "",
        fix="Go on with it: beeyard upgrade --yes. Or take it back: beeyard upgrade --rollback.",
        code="E-UPGRADE-005",
    )


def phase_text(state: UpgradeState | None) -> str:
    """Return how far an unfinished upgrade came, for people; empty where there is none."""
    if state is None:
        return ""
    if state.hop is None:
        return "it stopped between two steps"
    words = {
        Phase.BACKUP: "while copies were made; nothing was changed yet",
        Phase.CHANGE: "in the middle",
        Phase.ROLLBACK: "while it was taken back",
    }
    return f"{as_hop(state.hop).title} stopped {words[state.hop.phase]}"
