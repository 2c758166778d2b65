from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from installer.adapters.web.download import HttpDownloader
from tests.support.registry import Options, Registry, running


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One that wants a password."""
    with running(tmp_path_factory.mktemp("locked"), Options(password=True)) as found:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[HttpDownloader]:
    """A client whose pauses take no time."""

    async def pause(_seconds: float) -> None:
        pass

    async with HttpDownloader(environment={}, pause=pause, chance=lambda: 0.0) as ours:
        yield ours
