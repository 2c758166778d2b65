"""Steps ``cilium`` and ``hubble``: one Helm release, brought to its values in two goes.

The first installs Cilium, with Hubble's server in the agents when it is wanted; the second adds Relay and the UI. Pods
are not waited for here: readiness is a step of its own.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from installer.domain.cilium_values import CiliumInputs
from installer.domain.errors import BeeyardError, ConnectError, RefusedError
from installer.domain.plan import Change, file_diff
from installer.domain.releases import Support, check_kubernetes, newer
from installer.pipeline import chart_values
from installer.pipeline.chart_values import Existing
from installer.pipeline.gateway_api import apply_definition
from installer.pipeline.run import Run
from installer.ports.cluster import CONFIG_MAPS, CRDS, NODES, Kube
from installer.ports.helm import Release

NAME = "cilium"
NAMESPACE = "kube-system"
_DEFINITION_FIX = "Put the file of that release there (a bundle brings it under `files`), or set gatewayAPI: false."


class _ReleaseStep:
    """What the two steps share: the release as it is, and as it should be."""

    background = False

    def __init__(self) -> None:
        self._release: Release | None = None
        self._full: dict[str, Any] = {}
        self._before: Release | None = None
        self._changed = False

    async def gather(self, run: Run) -> None:
        """Read the release and compose the values."""
        existing = await self._look(run)
        wanted = chart_values.inputs(
            run.spec,
            run.chart,
            existing,
            use_digests=_digests(run),
            upgrade_compatibility=run.installed.upgrade_compatibility,
        )
        composed = chart_values.compose_values(run.spec, run.tools.assets, wanted, run.bundled_values)
        await self._lint(run, wanted, composed)
        run.values = self._full = composed.values

    async def _look(self, run: Run) -> Existing:
        """Read what runs; nothing when there is no cluster yet."""
        self._release = run.release = None
        if run.tools.files.read(run.kubeconfig) is None or not (run.helm_binary or run.artifacts.has("helm")):
            return Existing()
        try:
            kube = await run.kube()
            if not await kube.healthy():
                return Existing()
            existing = await existing_cilium(kube)
            self._release = run.release = await (await run.helm()).release(NAME, NAMESPACE)
        except ConnectError:
            await run.forget_kube()
            return Existing()
        return existing

    async def _lint(self, run: Run, wanted: CiliumInputs, composed: Any) -> None:
        archive = await _chart_at_hand(run)
        chart = await run.tools.sources.chart_values(archive) if archive else None
        known = chart_values.known_keys(run.tools.assets, run.table, wanted.minor, chart)
        user = chart_values.user_values(run.spec)
        for finding in chart_values.examine(composed, wanted, user, known, run.table):
            run.warn(f"{finding.path}: {finding.what} {finding.fix}")

    def _target(self) -> dict[str, Any]:
        raise NotImplementedError

    async def check(self, run: Run) -> list[Change]:
        """Compare the release with what it should be."""
        self._refuse_version(run)
        release, target = self._release, self._target()
        if release is None:
            return [
                Change("helm", "install", f"{NAMESPACE}/{NAME}", f"chart cilium {run.chart_version}", self._diff(None))
            ]
        if release.status.startswith("pending") or release.status in ("failed", "uninstalling"):
            return [
                Change(
                    "helm", "upgrade", f"{NAMESPACE}/{NAME}", f"it is stuck in {release.status!r}", self._diff(release)
                )
            ]
        if release.version != run.chart_version or dict(release.values) != target:
            return [
                Change(
                    "helm", "upgrade", f"{NAMESPACE}/{NAME}", f"chart cilium {run.chart_version}", self._diff(release)
                )
            ]
        return []

    async def apply(self, run: Run) -> None:
        """Bring the release to its values."""
        helm = await run.helm()
        chart = await run.artifacts.get("chart")
        if self._release is not None and self._release.status.startswith(("pending", "uninstalling")):
            await helm.clear_pending(self._release)
        self._before, self._changed = self._release, True
        run.book.release(NAME, NAMESPACE, self._release.revision if self._release else 0)
        await helm.install_or_upgrade(NAME, NAMESPACE, chart, self._target())
        run.installed.chart_version = run.chart_version
        run.installed.digests = _digests(run)
        run.save()

    async def verify(self, run: Run) -> str:
        """Check that Helm recorded the release as deployed."""
        release = await (await run.helm()).release(NAME, NAMESPACE)
        if release is None or release.status != "deployed":
            raise BeeyardError(
                "Helm did not record the Cilium release as deployed",
                why=f"Its status is {release.status if release else 'absent'}.",
                fix="Run the same command again.",
                code="E-CILIUM-014",
            )
        return f"release {NAMESPACE}/{NAME}, chart {release.version}, revision {release.revision}"

    async def undo(self, run: Run) -> None:
        """Uninstall the release, or bring back the values it had."""
        if not self._changed:
            return
        helm = await run.helm()
        if self._before is None:
            await helm.uninstall(NAME, NAMESPACE)
            run.installed.chart_version = ""
        else:
            await helm.install_or_upgrade(NAME, NAMESPACE, await run.artifacts.get("chart"), self._before.values)
        run.save()

    def _diff(self, release: Release | None) -> str:
        before = yaml.safe_dump(dict(release.values)).encode() if release else None
        return file_diff("values.yaml", before, yaml.safe_dump(self._target()).encode())

    def _refuse_version(self, run: Run) -> None:
        verdict = check_kubernetes(run.chart, run.k3s_version)
        if verdict.support is Support.UNSUPPORTED and not run.options.allow_unsupported:
            raise RefusedError(verdict.what, fix=f"{verdict.fix} Or --allow-unsupported.", code="E-CILIUM-011")
        if verdict.support is not Support.TESTED:
            run.warn(f"{verdict.what}. {verdict.fix}")
        release = self._release
        if release is not None and newer(release.version, run.chart_version):
            raise RefusedError(
                f"Cilium {release.version} runs here, {run.chart_version} is older",
                why="Cilium cannot go back a minor.",
                fix=f"Set spec.cilium.version: {release.version}.",
                code="E-CILIUM-012",
            )
        if release is not None and newer(run.chart_version, release.version):
            raise RefusedError(
                f"Cilium {release.version} runs here, {run.chart_version} is newer",
                why="An install never changes the minor of a running Cilium.",
                fix=f"Set spec.cilium.version: {release.version}, or: beeyard upgrade --cilium {run.chart_version}",
                code="E-CILIUM-012",
            )


class CiliumStep(_ReleaseStep):
    """Installs Cilium."""

    id = "cilium"
    title = "Install Cilium"

    def _target(self) -> dict[str, Any]:
        return first_go(self._full, self._release)

    async def gather(self, run: Run) -> None:
        """Read the release, refuse a separate Hubble release, compose the values."""
        await super().gather(run)
        if self._release is not None:
            return
        if run.tools.files.read(run.kubeconfig) is not None and run.helm_binary:
            try:
                others = await (await run.helm()).releases()
            except ConnectError:
                return
            _refuse_others(others)

    async def apply(self, run: Run) -> None:
        """Install the Gateway API's definitions where they are needed, then the release."""
        if run.spec.cilium.gateway_api:
            await self._gateway_api(run)
        await super().apply(run)

    async def _gateway_api(self, run: Run) -> None:
        """Apply the definitions that are not there."""
        kube, api = await run.kube(), run.chart.data.gateway_api
        there = {item["metadata"]["name"] for item in await kube.list(CRDS)}
        for plural, sha256 in api.files.items():
            if f"{plural}.gateway.networking.k8s.io" in there:
                continue
            path = await run.artifacts.get(f"gateway-api/{plural}")
            await apply_definition(kube, path, sha256, api.version, fix=_DEFINITION_FIX)


class HubbleStep(_ReleaseStep):
    """Adds Hubble Relay and UI to the release."""

    id = "hubble"
    title = "Add Hubble Relay and UI"

    def _target(self) -> dict[str, Any]:
        return self._full

    async def check(self, run: Run) -> list[Change]:
        """Compare; while the release is not there yet, what the first go leaves out is to be added."""
        if not run.spec.hubble.enabled:
            return []
        if self._release is None:
            if self._full == first_go(self._full, None):
                return []
            return [Change("helm", "upgrade", f"{NAMESPACE}/{NAME}", "Hubble Relay and UI")]
        return await super().check(run)

    async def verify(self, run: Run) -> str:
        """Say what of Hubble is on."""
        if not run.spec.hubble.enabled:
            return "Hubble is off"
        return await super().verify(run)


async def existing_cilium(kube: Kube) -> Existing:
    """Return what of a running Cilium can never change, and how many nodes there are."""
    nodes = await kube.list(NODES)
    config = await kube.get(CONFIG_MAPS, "cilium-config", namespace=NAMESPACE)
    data = (config or {}).get("data") or {}
    pools = tuple(str(data.get("cluster-pool-ipv4-cidr", "")).split())
    return Existing(ipam=data.get("ipam"), pools=pools, nodes=len(nodes))


def first_go(full: dict[str, Any], release: Release | None) -> dict[str, Any]:
    """Return the values of the first go: Relay and UI as they are now (off when there is no release yet)."""
    values = copy.deepcopy(full)
    hubble = values.get("hubble") or {}
    if not hubble.get("enabled", True):
        return values
    current = (dict(release.values).get("hubble") or {}) if release else {}
    if current.get("relay") == hubble.get("relay") and current.get("ui") == hubble.get("ui"):
        return values
    for part in ("relay", "ui"):
        if (hubble.get(part) or {}).get("enabled"):
            hubble[part] = copy.deepcopy(current.get(part)) or {"enabled": False}
    return values


async def _chart_at_hand(run: Run) -> Path | None:
    """Return the chart where it is on this host already; while planning a download it is not."""
    if run.bundle is not None and run.bundle.chart.is_file():
        return run.bundle.chart
    if run.artifacts.has("chart"):
        return await run.artifacts.get("chart")
    return None


def _digests(run: Run) -> bool:
    """Whether images may be named by digest: a bundle's archives hold them only where its list says so."""
    if not run.spec.downloads.bundle or not run.bundle_path.exists():
        return run.installed.digests
    refs = run.tools.sources.read_bundle(run.bundle_path).image_refs
    return any("cilium" in ref and "@sha256:" in ref for ref in refs)


def _refuse_others(releases: list[Release]) -> None:
    for release in releases:
        if release.chart in ("cilium", "hubble") and (release.name, release.namespace) != (NAME, NAMESPACE):
            raise RefusedError(
                f"another Helm release, {release.namespace}/{release.name}, holds chart {release.chart}",
                why="Two releases would fight over the same objects; Hubble is part of the cilium chart today.",
                fix=f"Remove it first: helm uninstall -n {release.namespace} {release.name}",
                code="E-CILIUM-015",
            )
