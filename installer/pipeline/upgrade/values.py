"""The cluster after each hop: specification and Helm values, migrated minor by minor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.domain.chart_keys import KeyNode, unknown_paths
from installer.domain.cilium_values import CiliumInputs, compose, merge
from installer.domain.errors import RefusedError
from installer.domain.releases import ChartRelease
from installer.domain.spec import ClusterSpec
from installer.domain.upgrade.migration import Done, KeyNote, carried, migrate, told_changes
from installer.domain.upgrade.path import Hop, Part, Versions, minor_of
from installer.domain.upgrade.target_spec import with_versions
from installer.domain.values_lint import take
from installer.pipeline import chart_values
from installer.pipeline.chart_values import Existing
from installer.pipeline.run import Run
from installer.pipeline.steps.cilium import NAME, NAMESPACE, existing_cilium
from installer.pipeline.upgrade.context import Prepared, Upgrade
from installer.ports.helm import Release

OWN = "spec.cilium.values"
User = list[tuple[str, dict[str, Any]]]


async def prepare(run: Run, upgrade: Upgrade) -> None:
    """Work out what is to be after every hop, and refuse values that somebody has to decide on.

    Raises:
        RefusedError: ``E-UPGRADE-011`` with the keys to decide on.
        UsageError: ``E-CILIUM-010`` the values are not valid for a minor on the way.
    """
    existing = upgrade.existing = upgrade.existing or await existing_cilium(await run.kube())
    if upgrade.carried is None:
        release = await (await run.helm()).release(NAME, NAMESPACE)
        upgrade.carried = _by_hand(_Composer(run, upgrade, existing), release)
    composer = _Composer(run, upgrade, existing)
    versions = upgrade.now
    for hop in upgrade.hops:
        versions = versions.after(hop)
        if hop.part is Part.K3S:
            upgrade.prepared[hop.id] = composer.after_k3s(versions)
        else:
            upgrade.prepared[hop.id] = await composer.after_cilium(hop, versions)


def digests(run: Run, upgrade: Upgrade) -> bool:
    """Whether images may be named by digest: from a registry always, from a bundle where its list has them."""
    if not any(hop.part is Part.CILIUM for hop in upgrade.hops):
        return run.installed.digests
    return run.bundle is None or any("cilium" in ref and "@sha256:" in ref for ref in run.bundle.image_refs)


def compatibility(run: Run, upgrade: Upgrade) -> str:
    """Return the minor that the cluster began with, as far as it is known; only an upgrade of Cilium sets it."""
    kept = run.installed.upgrade_compatibility
    if kept or not any(hop.part is Part.CILIUM for hop in upgrade.hops):
        return kept
    return minor_of(next(hop.source for hop in upgrade.hops if hop.part is Part.CILIUM))


@dataclass(slots=True)
class _Composer:
    """Goes along the way and composes what is to be after each hop."""

    run: Run
    upgrade: Upgrade
    existing: Existing
    _last: Prepared | None = field(default=None)

    def now(self) -> Prepared:
        """Return the cluster as the specification has it before the first hop of Cilium."""
        spec, installed = self.upgrade.spec, self.run.installed
        user = chart_values.user_values(spec)
        inputs = self._inputs(self.upgrade.now.cilium, installed.digests, installed.upgrade_compatibility)
        return Prepared(self.upgrade.now, spec, self._compose(inputs, user))

    def after_k3s(self, versions: Versions) -> Prepared:
        """Return the cluster with another k3s and the same values."""
        last = self._last or self.now()
        cilium = last.spec.cilium
        spec = self._spec(versions, dict(cilium.values), list(cilium.values_files))
        self._last = Prepared(versions, spec, last.values)
        return self._last

    async def after_cilium(self, hop: Hop, versions: Versions) -> Prepared:
        """Return the cluster with another Cilium, the values migrated to it."""
        minor, last = minor_of(hop.target), hop is self._cilium_hops[-1]
        known = await self._known(hop.target)
        inputs = self._inputs(hop.target, digests(self.run, self.upgrade), compatibility(self.run, self.upgrade))
        ours = self._compose(inputs, [])
        user: User = []
        notes: list[KeyNote] = []
        files: dict[Path, dict[str, Any]] = {}
        for name, values in self._user(None if last else known):
            moved = migrate(values, self.run.table, minor, known=known, others=[ours])
            notes += moved.notes
            place = name
            if moved.changed and name != OWN:
                copy = self.run.options.state_dir / "values" / f"{Path(name).stem}-{minor}.yaml"
                files[copy], place = moved.values, str(copy)
            user.append((place, moved.values))
        if undecided := [note for note in notes if note.done is Done.DECIDE]:
            raise _undecided(hop, undecided)
        values = self._compose(inputs, user, known=known)
        notes += told_changes(values, self.run.table, minor_of(hop.source), minor)
        spec = self._spec(versions, user[-1][1], [place for place, _ in user[:-1]])
        self._last = Prepared(versions, spec, values, files, tuple(notes))
        return self._last

    @property
    def _cilium_hops(self) -> list[Hop]:
        return [hop for hop in self.upgrade.hops if hop.part is Part.CILIUM]

    def _user(self, known: KeyNode | None) -> User:
        """Return the user's values by where they come from.

        Those of the release that no specification has are below the specification's own, those given for this upgrade
        above. Of the given ones, keys that a chart in between (``known``) does not know wait for the one that does.
        """
        *files, (name, own) = chart_values.user_values(self.upgrade.spec)
        given = merge({}, self.upgrade.given)
        for path in list(unknown_paths(given, known)) if known is not None else ():
            take(given, list(path))
        return [*files, (name, merge(merge(self.upgrade.carried or {}, own), given))]

    def _spec(self, versions: Versions, values: Mapping[str, Any], files: list[str]) -> ClusterSpec:
        upgrade = self.upgrade
        bundle = upgrade.bundle if upgrade.bundle and versions == upgrade.goal else None
        return with_versions(upgrade.spec, versions, values=values, values_files=files, bundle=bundle)

    def _compose(self, inputs: CiliumInputs, user: User, *, known: KeyNode | None = None) -> dict[str, Any]:
        bundle = self.run.bundle
        bundled = [(str(path), chart_values.read_values(path)) for path in (bundle.values if bundle else ())]
        layers: Mapping[str, Mapping[str, Any]] = chart_values.load_layers(self.run.tools.assets)
        composed = compose(inputs, layers, [*bundled, *user])
        if known is not None:
            for finding in chart_values.examine(composed, inputs, user, known, self.run.table):
                self.run.warn(f"{finding.path}: {finding.what} {finding.fix}")
        return composed.values

    def _inputs(self, version: str, by_digest: bool, began_with: str) -> CiliumInputs:
        chart, spec = self._chart(version), self.upgrade.spec
        return chart_values.inputs(spec, chart, self.existing, use_digests=by_digest, upgrade_compatibility=began_with)

    def _chart(self, version: str) -> ChartRelease:
        allowed = self.run.options.allow_unsupported
        return chart_values.chart_release(self.run.table, version, allow_unsupported=allowed)

    async def _known(self, version: str) -> KeyNode:
        """Return the keys that a chart knows: those recorded, and its own."""
        own = await self.run.tools.sources.chart_values(await self.run.artifacts.get(f"chart@{version}"))
        return chart_values.known_keys(self.run.tools.assets, self.run.table, minor_of(version), own)


def _by_hand(composer: _Composer, release: Release | None) -> dict[str, Any]:
    """Return values of the release that neither we nor the specification set; others of ours win, and that is told."""
    run, upgrade = composer.run, composer.upgrade
    if release is None or release.version != upgrade.now.cilium:
        return {}
    kept, differing = carried(release.values, composer.now().values)
    kept.pop("upgradeCompatibility", None)
    if not any(hop.part is Part.CILIUM for hop in upgrade.hops):
        return kept
    for path in differing:
        run.warn(f"{path} is another in the release than in the specification; it becomes that of the specification")
    for path in kept:
        run.warn(f"{path} is in the release and not in the specification; it is kept, in spec.cilium.values")
    return kept


def _undecided(hop: Hop, notes: list[KeyNote]) -> RefusedError:
    lines = [str(note) for note in notes]
    return RefusedError(
        f"Helm values of yours need a decision before Cilium {hop.target}"
        if len(lines) > 1
        else f"Helm value {lines[0]}",
        why="\n".join(lines) if len(lines) > 1 else "",
        fix="Give the new key, such as --set cilium.values.NEW.KEY=VALUE; the old one is left out then.",
        code="E-UPGRADE-011",
        details={"values": [note.to_dict() for note in notes]},
    )
