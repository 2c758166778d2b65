"""Settings for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("beeyard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beeyard")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where there is none; as root everything runs."""
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root: run scripts/test with sudo")
    for item in items:
        if item.get_closest_marker("root") or item.get_closest_marker("testbed"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("BEEYARD_") and name not in ("BEEYARD_CACHE", "BEEYARD_TEST_BUNDLE"):
            monkeypatch.delenv(name)
    for name in ("NO_COLOR", "KUBECONFIG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
