"""Helm releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Release:
    """A Helm release as it is.

    Attributes:
        name: release name.
        namespace: namespace.
        revision: current revision.
        status: helm's word: ``deployed``, ``failed``, ``pending-install``, ``pending-upgrade``, ``pending-rollback``,
            ``uninstalling`` …
        chart: chart name.
        version: chart version.
        values: the user-supplied values.
    """

    name: str
    namespace: str
    revision: int
    status: str
    chart: str
    version: str
    values: Mapping[str, Any]


class Helm(Protocol):
    """The helm binary, one chart file at a time. No wait: readiness is judged elsewhere."""

    async def version(self) -> str:
        """Return the version of the helm binary, such as ``4.1.4``."""
        ...

    async def release(self, name: str, namespace: str) -> Release | None:
        """Return the release, or None where there is none."""
        ...

    async def releases(self, namespace: str | None = None) -> list[Release]:
        """Return all releases (values left empty)."""
        ...

    async def chart_values(self, chart: Path) -> dict[str, Any]:
        """Return the chart's own default values (its ``values.yaml``)."""
        ...

    async def chart_metadata(self, chart: Path) -> dict[str, Any]:
        """Return ``Chart.yaml`` of the chart."""
        ...

    async def template(
        self, name: str, namespace: str, chart: Path, values: Mapping[str, Any], *, kube_version: str = ""
    ) -> list[dict[str, Any]]:
        """Render the chart without a cluster.

        Raises:
            BeeyardError: ``E-HELM-010`` with the chart's own message.
        """
        ...

    async def install_or_upgrade(self, name: str, namespace: str, chart: Path, values: Mapping[str, Any]) -> Release:
        """Bring the release to exactly this chart and these values; does not wait for pods.

        Raises:
            BeeyardError: ``E-HELM-0xx``; ``E-HELM-011`` another operation is in progress.
            ConnectError: the API cannot be reached.
        """
        ...

    async def clear_pending(self, release: Release) -> None:
        """End a release's stuck ``pending-*`` state: roll back to the last good revision, or remove the lone record."""
        ...

    async def manifest(self, name: str, namespace: str) -> list[dict[str, Any]]:
        """Return the objects of the release as it was last rendered; an empty list where there is none."""
        ...

    async def rollback(self, name: str, namespace: str, revision: int) -> None:
        """Bring the release back to the chart and values of an earlier revision; does not wait for pods.

        Raises:
            BeeyardError: ``E-HELM-0xx``.
        """
        ...

    async def uninstall(self, name: str, namespace: str) -> None:
        """Remove the release; no error where there is none."""
        ...
