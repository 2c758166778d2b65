"""Fixtures of the end-to-end tests: a bundle, a bare host, a cluster on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import install, run_testbed


@pytest.fixture(scope="session")
def bundle() -> Path:
    """A bundle to install from: the one given, or the testbed's."""
    return Path(os.environ.get("BEEYARD_TEST_BUNDLE") or run_testbed("bundle"))


@pytest.fixture
def bare_host() -> Iterator[None]:
    """A host without a cluster, before and after."""
    run_testbed("down")
    yield
    run_testbed("down")


KUBECONFIG = Path("/root/.kube/beeyard-test")
left_running: list[str] = []
"""The module that left its cluster to the next one."""


@pytest.fixture(scope="module")
def cluster(bundle: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A cluster that beeyard installed, for all tests of a module, and of the next that uses it; its kubeconfig."""
    if left_running:
        left_running.clear()
    else:
        run_testbed("down")
        done = install(bundle, "--kubeconfig", str(KUBECONFIG))
        assert done.rc == 0, done.err
    yield Path("/etc/rancher/k3s/k3s.yaml")
    if next_module_uses_it(request):
        left_running.append(request.node.name)
        return
    run_testbed("down")
    KUBECONFIG.unlink(missing_ok=True)


def next_module_uses_it(request: pytest.FixtureRequest) -> bool:
    """Tell whether the first test after this module's starts with the cluster."""
    items = request.session.items
    last = max(index for index, item in enumerate(items) if item.path == request.path)
    following = items[last + 1] if last + 1 < len(items) else None
    return isinstance(following, pytest.Function) and "cluster" in following.fixturenames
