"""A real helm binary for tests: the one named by ``BEEYARD_TEST_HELM``, else the testbed's (from a wheel, cached)."""

from __future__ import annotations

import os
from pathlib import Path


def helm_binary() -> Path:
    """Return the path of a helm that can be run."""
    if named := os.environ.get("BEEYARD_TEST_HELM"):
        return Path(named)
    from tests.testbed import bundle

    return bundle.helm()
