"""Fixtures of the end-to-end tests: a bundle, a bare host, a cluster on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import STATE, install, run_testbed


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
left_running: list[Path] = []
"""The run that made the cluster which a module has left to the next one."""


@pytest.fixture(scope="session")
def _no_cluster_left() -> Iterator[None]:
    yield
    if left_running:
        run_testbed("down")
        KUBECONFIG.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def cluster(bundle: Path, _no_cluster_left: None) -> Path:
    """A cluster that beeyard installed, for all tests of a module, and of others that use it; its kubeconfig.

    It is left to the next module, whichever that is: one that needs a bare host takes it down, and its record with it.
    """
    if not (left_running and left_running[0].exists()):
        run_testbed("down")
        done = install(bundle, "--kubeconfig", str(KUBECONFIG))
        assert done.rc == 0, done.err
        left_running[:] = [min((STATE / "runs").iterdir())]
    return Path("/etc/rancher/k3s/k3s.yaml")
