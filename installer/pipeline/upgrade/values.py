"""The cluster after each hop: specification and Helm values, migrated minor by minor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from installer.domain.chart_keys import KeyNode
from installer.domain.cilium_values import CiliumInputs, Composed, compose, merge
from installer.domain.errors import RefusedError
from installer.domain.releases import ChartRelease
from installer.domain.upgrade.migration import Done, KeyNote, carried, migrate, told_changes
from installer.domain.upgrade.path import Hop, Part, Versions, minor_of
from installer.domain.upgrade.target_spec import with_versions
from installer.pipeline import chart_values
from installer.pipeline.chart_values import Existing
from installer.pipeline.run import Run
from installer.pipeline.steps.cilium import NAME, NAMESPACE, existing_cilium
from installer.pipeline.upgrade.context import Prepared, Upgrade
from installer.ports.helm import Release

OWN = "spec.cilium.values"


async def prepare(run: Run, upgrade: Upgrade) -> None:
    """Work out what is to be after every hop, and refuse values that somebody has to decide on.

    Raises:
        RefusedError: ``E-UPGRADE-011`` with the keys to decide on.
        UsageError: ``E-CILIUM-010`` the values are not valid for a minor on the way.
    """
    existing = upgrade.existing = upgrade.existing or await existing_cilium(await run.kube())
    if upgrade.carried is None:
        release = await (await run.helm()).release(NAME, NAMESPACE)
        upgrade.carried = _by_hand(run, upgrade, existing, release)
    versions = upgrade.now
    for hop in upgrade.hops:
        versions = versions.after(hop)
        prepared = await _after(run, upgrade, versions, existing, hop)
        undecided = [note for note in prepared.notes if note.done is Done.DECIDE]
        if undecided:
            raise _undecided(hop, undecided)
        upgrade.prepared[hop.id] = prepared


def sources(upgrade: Upgrade) -> list[tuple[str, dict[str, Any]]]:
    """Return the user's own values by where they come from; those put in by hand are below the specification's."""
    *files, (name, own) = chart_values.user_values(upgrade.spec)
    return [*files, (name, merge(upgrade.carried or {}, own))]


def _by_hand(run: Run, upgrade: Upgrade, existing: Existing, release: Release | None) -> dict[str, Any]:
    """Return values of the release that neither we nor the specification set; others of ours win, and that is told."""
    if release is None or release.version != upgrade.now.cilium:
        return {}
    chart = _chart(run, upgrade.now.cilium)
    composed = _compose(run, upgrade, chart, existing, chart_values.user_values(upgrade.spec), run.installed.digests)
    kept, differing = carried(release.values, composed.values)
    kept.pop("upgradeCompatibility", None)
    for path in differing:
        run.warn(
            f"{path} was changed in the release by hand; it is set back. Put it into spec.cilium.values to keep it"
        )
    for path in kept:
        run.warn(f"{path} is in the release and not in the specification; it is kept, in spec.cilium.values")
    return kept


async def _after(run: Run, upgrade: Upgrade, versions: Versions, existing: Existing, hop: Hop) -> Prepared:
    chart = _chart(run, versions.cilium)
    minor = minor_of(versions.cilium)
    known = await _known(run, chart, versions.cilium)
    user: list[tuple[str, dict[str, Any]]] = []
    notes: list[KeyNote] = []
    files: dict[Path, dict[str, Any]] = {}
    before = _ours(run, upgrade, chart, existing)
    for name, values in sources(upgrade):
        moved = migrate(values, run.table, minor, known=known, others=[before])
        notes += moved.notes
        if moved.changed and name != OWN:
            copy = run.options.state_dir / "values" / f"{Path(name).stem}-{minor}.yaml"
            files[copy] = moved.values
            name = str(copy)
        user.append((name, moved.values))
    by_digest = digests(run, upgrade)
    wanted = _inputs(run, upgrade, chart, existing, by_digest)
    composed = _compose(run, upgrade, chart, existing, user, by_digest)
    if hop.part is Part.CILIUM and not any(note.done is Done.DECIDE for note in notes):
        for finding in chart_values.examine(composed, wanted, user, known, run.table):
            run.warn(f"{finding.path}: {finding.what} {finding.fix}")
        notes += told_changes(composed.values, run.table, minor_of(hop.source), minor)
    spec = with_versions(
        upgrade.spec,
        versions,
        values=user[-1][1],
        values_files=[name for name, _ in user[:-1]],
        bundle=upgrade.bundle if upgrade.bundle and versions == upgrade.goal else None,
    )
    return Prepared(versions, spec, composed.values, files, tuple(notes))


def _ours(run: Run, upgrade: Upgrade, chart: ChartRelease, existing: Existing) -> dict[str, Any]:
    """Return the values that we give by ourselves."""
    wanted = _inputs(run, upgrade, chart, existing, True)
    return compose(wanted, chart_values.load_layers(run.tools.assets)).values


def _compose(
    run: Run,
    upgrade: Upgrade,
    chart: ChartRelease,
    existing: Existing,
    user: list[tuple[str, dict[str, Any]]],
    by_digest: bool,
) -> Composed:
    bundled = [(str(path), chart_values.read_values(path)) for path in (run.bundle.values if run.bundle else ())]
    wanted = _inputs(run, upgrade, chart, existing, by_digest)
    layers: Mapping[str, Mapping[str, Any]] = chart_values.load_layers(run.tools.assets)
    return compose(wanted, layers, [*bundled, *user])


def _inputs(run: Run, upgrade: Upgrade, chart: ChartRelease, existing: Existing, by_digest: bool) -> CiliumInputs:
    return chart_values.inputs(
        upgrade.spec,
        chart,
        existing,
        use_digests=by_digest,
        upgrade_compatibility=compatibility(run, upgrade),
    )


def compatibility(run: Run, upgrade: Upgrade) -> str:
    """Return the minor that the cluster began with, as far as it is known; only an upgrade of Cilium sets it."""
    kept = run.installed.upgrade_compatibility
    if kept or not any(hop.part is Part.CILIUM for hop in upgrade.hops):
        return kept
    return minor_of(next(hop.source for hop in upgrade.hops if hop.part is Part.CILIUM))


def _chart(run: Run, version: str) -> ChartRelease:
    return chart_values.chart_release(run.table, version, allow_unsupported=run.options.allow_unsupported)


async def _known(run: Run, chart: ChartRelease, version: str) -> KeyNode:
    """Return the keys that a chart knows: those recorded, and the chart's own where it is at hand."""
    name = f"chart@{version}"
    own = None
    if run.artifacts.has(name):
        own = await run.tools.sources.chart_values(await run.artifacts.get(name))
    return chart_values.known_keys(run.tools.assets, run.table, chart.minor, own)


def digests(run: Run, upgrade: Upgrade) -> bool:
    """Whether images may be named by digest: from a registry always, from a bundle where its list has them."""
    if not any(hop.part is Part.CILIUM for hop in upgrade.hops):
        return run.installed.digests
    return run.bundle is None or any("cilium" in ref and "@sha256:" in ref for ref in run.bundle.image_refs)


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
