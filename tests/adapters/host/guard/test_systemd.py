"""Under systemd the watchdog is a unit of its own; where systemd refuses, it is a detached process as elsewhere.

The guard stands over the real network here and is taken off at once: nothing is ever put back.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from installer.adapters.host.guard import guard as module
from installer.adapters.host.guard.guard import HostGuard
from installer.adapters.host.processes import LocalProcesses
from installer.domain.errors import BeeyardError, RefusedError
from installer.ports.guard import Watch

pytestmark = pytest.mark.root

RUNS = """#!/bin/sh
echo "$@" >> {log}
while case "$1" in --*) true;; *) false;; esac; do shift; done
setsid "$@" < /dev/null > /dev/null 2>&1 &
"""
REFUSES = """#!/bin/sh
echo "$@" >> {log}
echo "Failed to start transient service unit" >&2
exit 1
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "_under_systemd", lambda: True)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "systemd-run.log"


def systemd_run(log: Path, text: str) -> None:
    program = log.parent / "bin/systemd-run"
    program.write_text(text.format(log=log))
    program.chmod(0o755)


@pytest.mark.parametrize("text", [RUNS, REFUSES], ids=["unit", "refused"])
async def test_the_watchdog_stands_either_way(log: Path, text: str) -> None:
    systemd_run(log, text)
    guard = HostGuard(LocalProcesses(), folder=log.parent / "guard", log=log.parent / "guard.log")
    armed = await guard.arm(seconds=600, reason="a test", watch=Watch())
    try:
        asked = log.read_text()
        assert asked.startswith("--quiet --collect --unit=beeyard-guard-")
        assert "Restart=on-abnormal" in asked
        assert armed.watchdog > 0
        assert armed.remaining > 590
    finally:
        assert await guard.disarm(armed)
    assert await guard.current() is None
    assert (await guard.last(), await guard.disarm(armed)) == (None, False)


async def test_a_folder_that_cannot_be_written_refuses_before_anything_changes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    guard = HostGuard(LocalProcesses(), folder=tmp_path / "file/guard", log=tmp_path / "log")
    with pytest.raises(BeeyardError) as caught:
        await guard.arm(seconds=600, reason="a test", watch=Watch())
    assert caught.value.code == "E-GUARD-002"


async def test_a_reboot_makes_it_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = HostGuard(LocalProcesses(), folder=tmp_path / "guard", log=tmp_path / "log")
    armed = await guard.arm(seconds=600, reason="a test", watch=Watch())
    with monkeypatch.context() as patch:
        patch.setattr(module, "boot_id", lambda: "another boot")
        assert await guard.current() is None
        with pytest.raises(RefusedError) as caught:
            await guard.restore()
        assert caught.value.code == "E-GUARD-003"
    assert await guard.disarm(armed)
