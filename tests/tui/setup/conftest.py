"""The setup alone: pictures and timing do not depend on other areas."""

from __future__ import annotations

from functools import partial

import pytest

from installer.tui.areas import AREAS
from tests.tui.conftest import Open


@pytest.fixture
def cockpit(cockpit: Open) -> Open:
    """Open the real app with the setup as its only area."""
    return partial(cockpit, areas=[area for area in AREAS if area.id == "setup"])
