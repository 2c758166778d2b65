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


@pytest.fixture(scope="module")
def cluster(bundle: Path) -> Iterator[Path]:
    """A cluster that beeyard installed, for all tests of a module; its kubeconfig."""
    run_testbed("down")
    done = install(bundle, "--kubeconfig", "/root/.kube/beeyard-test")
    assert done.rc == 0, done.err
    yield Path("/etc/rancher/k3s/k3s.yaml")
    run_testbed("down")
    Path("/root/.kube/beeyard-test").unlink(missing_ok=True)
