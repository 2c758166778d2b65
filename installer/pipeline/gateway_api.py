"""The Gateway API's definitions, which Cilium's operator looks for once, at its start."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from installer.domain.errors import RefusedError
from installer.domain.releases import GatewayApi
from installer.domain.spec import ClusterSpec
from installer.ports.cluster import Kube
from installer.ports.web import Download


def definitions(spec: ClusterSpec, api: GatewayApi, folder: Path) -> dict[str, Download]:
    """Return where the definitions come from and, below a folder, go to; by plural."""
    place, found = f"{spec.downloads.gateway_api}/v{api.version}/config/crd/standard", {}
    for plural, sha256 in api.files.items():
        name = f"gateway.networking.k8s.io_{plural}.yaml"
        found[plural] = Download(f"{place}/{name}", folder / api.version / name, sha256, f"Gateway API {plural}")
    return found


async def apply_definition(kube: Kube, path: Path, sha256: str, version: str, *, fix: str) -> None:
    """Apply a definition of a release of the Gateway API; ``fix`` is told where the file is not what it must be.

    Raises:
        RefusedError: ``E-CILIUM-016`` the file is missing or not the one expected.
    """
    data = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RefusedError(
            f"the Gateway API's definition {path.name} is {'not the one expected' if data else 'missing'}",
            why=f"Cilium needs release {version}; looked for {path}.",
            fix=fix,
            code="E-CILIUM-016",
        )
    for document in yaml.safe_load_all(data):
        if document:
            await kube.apply(document)
