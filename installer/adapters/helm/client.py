"""Helm releases by the helm binary, driven through pyhelm3.

helm never waits for pods (readiness is judged by ourselves), sees local chart files only, and gets values on standard
input: they may hold secrets, and argument lists can be read by everyone on the host.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from installer.adapters.helm.charts import ChartFiles, YamlLoader, missing_chart, read_chart
from installer.adapters.helm.command import HelmCommand
from installer.adapters.helm.failures import ReleaseAbsentError
from installer.adapters.helm.home import make_home
from installer.domain.errors import BeeyardError
from installer.ports.helm import Release

_CHART_NAME = re.compile(r"(?P<name>.+?)-(?P<version>v?\d+\.\d+\.\d+.*)")
_GOOD = ("deployed", "superseded")
_MANY = 10_000


class HelmClient:
    """Releases of one cluster; implements ``installer.ports.helm.Helm``."""

    def __init__(
        self,
        binary: Path,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        home: Path | None = None,
        timeout: float = 120.0,
    ) -> None:
        """Set up; nothing is run and no file is read.

        Args:
            binary: helm 3 or 4.
            kubeconfig: file that names the cluster; not needed for charts and templates.
            context: context in it, the current one by default.
            home: private folder for helm's caches; by default a temporary one that goes with this object.
            timeout: seconds for one helm command.
        """
        self._command = HelmCommand(binary, kubeconfig, context, home or self._temporary_home(), timeout)
        self._version = ""

    def _temporary_home(self) -> Path:
        home = make_home()
        weakref.finalize(self, shutil.rmtree, home, ignore_errors=True)
        return home

    async def version(self) -> str:
        """Return the version of the helm binary, such as ``4.1.4``.

        Raises:
            BeeyardError: ``E-HELM-006`` it cannot be run.
        """
        if not self._version:
            self._version = (await self._command.version()).strip().removeprefix("v")
        return self._version

    async def release(self, name: str, namespace: str) -> Release | None:
        """Return the release, or None where there is none.

        Raises:
            ConnectError: ``E-HELM-001`` the API cannot be reached, ``E-HELM-002`` no such context.
        """
        try:
            status = await self._command.status(name, namespace=namespace)
        except ReleaseAbsentError:
            return None
        listed = next((found for found in await self.releases(namespace) if found.name == name), None)
        chart, version = (listed.chart, listed.version) if listed else ("", "")
        return _from_status(status, chart, version)

    async def releases(self, namespace: str | None = None) -> list[Release]:
        """Return all releases in any state (values left empty)."""
        before_4 = (await self.version()).split(".")[0] == "3"
        listed = await self._command.list(
            all=before_4,  # helm 4 lists all states unless told otherwise, and does not know --all
            all_namespaces=namespace is None,
            include_deployed=False,
            namespace=namespace,
            max_releases=_MANY,
        )
        return [_from_list(entry) for entry in listed]

    async def chart_values(self, chart: Path) -> dict[str, Any]:
        """Return the chart's own default values (its ``values.yaml``).

        Raises:
            BeeyardError: ``E-HELM-020`` no such file, ``E-HELM-021`` no chart archive.
        """
        return (await self._read(chart)).values

    async def chart_metadata(self, chart: Path) -> dict[str, Any]:
        """Return ``Chart.yaml`` of the chart.

        Raises:
            BeeyardError: ``E-HELM-020`` no such file, ``E-HELM-021`` no chart archive.
        """
        return (await self._read(chart)).metadata

    async def _read(self, chart: Path) -> ChartFiles:
        return await asyncio.to_thread(read_chart, chart)

    async def template(
        self, name: str, namespace: str, chart: Path, values: Mapping[str, Any], *, kube_version: str = ""
    ) -> list[dict[str, Any]]:
        """Render the chart without a cluster.

        Raises:
            BeeyardError: ``E-HELM-010`` with the chart's own message, ``E-HELM-020`` no such file.
        """
        # Not pyhelm3's template(): it cannot be told the Kubernetes version.
        command = ["template", name, str(_local(chart)), "--namespace", namespace, "--include-crds", "--values", "-"]
        command += ["--kube-version", kube_version] if kube_version else []
        text = await self._command.run(command, json.dumps(_plain(values)).encode())
        return await asyncio.to_thread(_documents, text)

    async def install_or_upgrade(self, name: str, namespace: str, chart: Path, values: Mapping[str, Any]) -> Release:
        """Bring the release to exactly this chart and these values; does not wait for pods.

        Raises:
            BeeyardError: ``E-HELM-010`` the chart refuses the values, ``E-HELM-011`` another operation is in progress,
                ``E-HELM-012`` objects of someone else, ``E-HELM-013`` conflicting fields, ``E-HELM-014`` the API
                rejects an object, ``E-HELM-009`` anything else.
            ConnectError: ``E-HELM-001`` the API cannot be reached.
            DeadlineError: ``E-HELM-003``.
        """
        path = _local(chart)
        metadata = await self.chart_metadata(path)
        status = await self._command.install_or_upgrade(
            name, path, _plain(values), namespace=namespace, reset_values=True
        )
        return _from_status(status, str(metadata["name"]), str(metadata["version"]))

    async def clear_pending(self, release: Release) -> None:
        """End a release's stuck ``pending-*`` state: roll back to the last good revision.

        A first install that was killed has none; it is brought to its own values again, so that nothing that already
        runs is taken away. A release stuck in ``uninstalling`` is uninstalled to its end.

        Raises:
            BeeyardError: ``E-HELM-015`` the state did not end; others as for ``install_or_upgrade``.
        """
        if release.status == "uninstalling":
            await self.uninstall(release.name, release.namespace)
            return
        if not release.status.startswith("pending-"):
            return
        target = await self._last_good(release) or release.revision
        try:
            await self._command.rollback(release.name, target, namespace=release.namespace)
        except ReleaseAbsentError:
            return
        now = await self.release(release.name, release.namespace)
        if now is not None and now.status.startswith("pending-"):
            raise _still_pending(now)

    async def _last_good(self, release: Release) -> int:
        """Return the newest revision that was deployed once, or 0."""
        try:
            history = await self._command.history(release.name, namespace=release.namespace)
        except ReleaseAbsentError:
            return 0
        return max((int(entry["revision"]) for entry in history if str(entry["status"]).lower() in _GOOD), default=0)

    async def manifest(self, name: str, namespace: str) -> list[dict[str, Any]]:
        """Return the objects of the release as it was last rendered; an empty list where there is none.

        Raises:
            ConnectError: ``E-HELM-001`` the API cannot be reached.
        """
        try:
            text = await self._command.run(["get", "manifest", name, "--namespace", namespace])
        except ReleaseAbsentError:
            return []
        return await asyncio.to_thread(_documents, text)

    async def rollback(self, name: str, namespace: str, revision: int) -> None:
        """Bring the release back to the chart and values of an earlier revision; does not wait for pods.

        Raises:
            BeeyardError: ``E-HELM-016`` there is no such release; others as for ``install_or_upgrade``.
            ConnectError: ``E-HELM-001`` the API cannot be reached.
        """
        try:
            await self._command.rollback(name, revision, namespace=namespace)
        except ReleaseAbsentError:
            raise BeeyardError(
                f"there is no revision {revision} of release {name} to go back to",
                fix=f"See helm history {name} -n {namespace}.",
                code="E-HELM-016",
            ) from None

    async def uninstall(self, name: str, namespace: str) -> None:
        """Remove the release; no error where there is none.

        Raises:
            ConnectError: ``E-HELM-001`` the API cannot be reached.
        """
        try:
            await self._command.uninstall(name, namespace=namespace)
        except ReleaseAbsentError:
            return


def _local(chart: Path) -> Path:
    """Return the absolute path of a chart file; helm must never take it for a name in a repository."""
    if not chart.is_file():
        raise missing_chart(chart)
    return chart.absolute()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them (YAML also knows dates, and our mappings need not be dicts)."""
    plain: dict[str, Any] = json.loads(json.dumps(values, default=_jsonable))
    return plain


def _jsonable(value: object) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _documents(text: bytes) -> list[dict[str, Any]]:
    return [document for document in yaml.load_all(text, YamlLoader) if document]


def _from_status(status: Mapping[str, Any], chart: str, version: str) -> Release:
    return Release(
        name=status["name"],
        namespace=status["namespace"],
        revision=int(status["version"]),
        status=str(status["info"]["status"]).lower(),
        chart=chart,
        version=version,
        values=status.get("config") or {},
    )


def _from_list(entry: Mapping[str, Any]) -> Release:
    match = _CHART_NAME.fullmatch(str(entry["chart"]))
    return Release(
        name=entry["name"],
        namespace=entry["namespace"],
        revision=int(entry["revision"]),
        status=str(entry["status"]).lower(),
        chart=match["name"] if match else str(entry["chart"]),
        version=match["version"] if match else "",
        values={},
    )


def _still_pending(release: Release) -> BeeyardError:
    return BeeyardError(
        f"release {release.name} is still {release.status}",
        fix=f"Look at helm history {release.name} -n {release.namespace}.",
        code="E-HELM-015",
    )
