"""What tests of the cockpit share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from installer.domain.errors import BeeyardError
from installer.tui.app import Cockpit
from installer.tui.areas import AREAS, Area
from installer.tui.services import CockpitServices
from installer.tui.settings import Settings
from tests.support.cockpit import stable_svg, stub_services

Open = Callable[..., AbstractAsyncContextManager[Pilot[int]]]


@pytest.fixture(autouse=True)
def _calm_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no cursor blink, so that pictures do not depend on the moment."""
    for widget in (Input, TextArea):
        monkeypatch.setattr(widget.cursor_blink, "_default", False)


@pytest.fixture
def cockpit() -> Open:
    """Open the real app: ``async with cockpit(services, size=(80, 24), area="setup") as pilot``.

    Connecting goes on by itself; wait for what you need with ``wait_for``.
    """

    @asynccontextmanager
    async def opened(
        services: CockpitServices | None = None,
        *,
        settings: Settings | None = None,
        size: tuple[int, int] = (80, 24),
        area: str = "",
        areas: Sequence[Area] = AREAS,
        notes: Sequence[BeeyardError] = (),
        message_hook: Callable[[Any], None] | None = None,
    ) -> AsyncIterator[Pilot[int]]:
        app = Cockpit(services or stub_services(), settings or Settings(), area=area, areas=areas, notes=notes)
        app.animation_level = "none"
        async with app.run_test(size=size, notifications=True, message_hook=message_hook) as pilot:
            yield pilot

    return opened


class _Pictures(SingleFileSnapshotExtension):
    _write_mode = WriteMode.TEXT
    _file_extension = "svg"
    file_extension = "svg"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Compare with kept pictures: ``assert stable_svg(app) == snapshot``; ``--snapshot-update`` keeps new ones."""
    return snapshot.use_extension(_Pictures)


@pytest.fixture
def picture(snapshot: SnapshotAssertion) -> Callable[[Pilot[Any]], bool]:
    """Say whether the screen looks as it should: ``assert picture(pilot)``."""
    return lambda pilot: stable_svg(pilot.app) == snapshot
