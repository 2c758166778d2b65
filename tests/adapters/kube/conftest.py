from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from tests.support.apiserver import ApiServer, api_server


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture
def opener(tmp_path: Path) -> Kubeconfigs:
    """No kubeconfig of this machine is looked at."""
    return Kubeconfigs(env={"HOME": str(tmp_path)}, k3s=tmp_path / "absent.yaml")


@pytest.fixture
async def kube(api: ApiServer, opener: Kubeconfigs) -> AsyncIterator[KubeClient]:
    client = await opener.open(str(api.kubeconfig()))
    yield client
    await client.close()
