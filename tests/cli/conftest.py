"""A real API server with Cilium's definitions, for the commands that work on a cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.apiserver import ApiServer, api_server
from tests.support.policy_server import install_crds, install_roles, make_namespace


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("apiserver")) as server:
        for name in ("kube-system", "demo", "other"):
            make_namespace(server, name)
        install_crds(server)
        install_roles(server)
        yield server
