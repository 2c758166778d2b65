from __future__ import annotations

from typing import Any, cast

import pytest

from installer.domain.errors import BeeyardError
from installer.ports.cluster import Kube
from installer.services.cluster_versions import read_versions
from installer.services.cockpit import ClusterVersions


class Objects:
    """A cluster with given images; those that are an error may not be read."""

    def __init__(self, **images: str | BeeyardError):
        self.images = images

    async def version(self) -> str:
        return "v1.36.4+k3s1"

    async def get(self, resource: Any, name: str, *, namespace: str | None = None) -> Any:
        image = self.images.get(name.replace("-", "_"))
        if isinstance(image, BeeyardError):
            raise image
        return image and {"spec": {"template": {"spec": {"containers": [{"image": image}]}}}}


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("quay.io/cilium/cilium:v1.20.2@sha256:abc", "v1.20.2"),
        ("registry.local:5000/cilium/cilium:v1.19.0", "v1.19.0"),
        ("registry.local:5000/cilium/cilium", ""),
        ("cilium@sha256:abc", ""),
    ],
)
async def test_tags(image: str, tag: str) -> None:
    found = await read_versions(cast(Kube, Objects(cilium=image)))
    assert found == ClusterVersions("v1.36.4+k3s1", tag, "")


async def test_what_may_not_be_read_stays_empty() -> None:
    forbidden = BeeyardError("no", code="E-KUBE-003")
    found = await read_versions(cast(Kube, Objects(cilium=forbidden, hubble_relay="x/hubble-relay:v1.20.2")))
    assert found == ClusterVersions("v1.36.4+k3s1", "", "v1.20.2")
