"""The cockpit on a real Kubernetes: through the wizard to a ready cluster, and on after its process was killed."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from installer.pipeline.run import Options
from installer.services.setup import SetupService
from installer.tui.app import Cockpit
from installer.tui.dialogs.confirm import Confirm
from installer.tui.dialogs.error import ErrorDialog
from installer.tui.run.host import RunState
from installer.tui.run.screen import RunScreen
from installer.tui.settings import Settings
from installer.tui.setup.fields import Field, field_id
from installer.tui.setup.screen import SetupScreen
from installer.wiring.cockpit import cockpit_services
from tests.support.cluster import ROOT, STATE, beeyard, objects
from tests.support.cockpit import text_of

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

MERGED = Path("/root/.kube/beeyard-test")
SECONDS = 240


class LenientSetup(SetupService):
    """The setup with Kubernetes 1.20 allowed, which is older than any Cilium supports."""

    def options(self, *, allow_unsupported: bool = True) -> Options:
        return super().options(allow_unsupported=True)


@pytest.fixture(autouse=True)
def _no_kubeconfig_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BEEYARD_K3S_KUBECONFIG_PATH", str(MERGED))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    MERGED.unlink(missing_ok=True)


@asynccontextmanager
async def real_cockpit() -> AsyncIterator[tuple[Cockpit, Pilot[int]]]:
    """Open the cockpit with its real services."""
    services = cockpit_services()
    make = services.setup
    assert make is not None

    def lenient() -> SetupService:
        usual = make()
        return LenientSetup(usual.install, usual.files, usual.environment, usual.state_dir, usual.root)

    services.setup = lenient
    app = Cockpit(services, Settings(), area="setup")
    app.animation_level = "none"
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        yield app, pilot


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Let the app work until the condition holds; a real install takes its time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    while not condition():
        late = loop.time() > end or isinstance(pilot.app.screen, ErrorDialog)
        assert not late, f"did not come true; the screen says:\n{text_of(pilot.app)}"
        await pilot.pause(0.05)


def field(pilot: Pilot[Any], question: str) -> Field:
    return pilot.app.screen.query_one(f"#{field_id(question)}", Field)


def wizard(pilot: Pilot[Any]) -> SetupScreen:
    screen = pilot.app.screen
    assert isinstance(screen, SetupScreen)
    return screen


def cluster_is_ready() -> bool:
    pods = objects("pods", "-A")["items"]
    return bool(pods) and {pod["status"]["phase"] for pod in pods} == {"Running"} and beeyard("status").rc == 0


async def test_from_the_first_question_to_a_ready_cluster(bare_host: None, bundle: Path) -> None:
    async with real_cockpit() as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, SetupScreen) and wizard(pilot).settled)
        await pilot.press("ctrl+n", "ctrl+n", "ctrl+n", "down", "down", "enter")
        await until(pilot, lambda: app.screen.query(f"#{field_id('bundle')}") and field(pilot, "bundle").display)
        field(pilot, "bundle").query_one(Input).value = str(bundle)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: wizard(pilot).plan is not None)
        assert "Plan: " in text_of(app)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: app.run_host.view.snapshot is not None)
        await until(pilot, lambda: app.run_host.state is not RunState.RUNNING)
        view = app.run_host.view
        assert app.run_host.state is RunState.DONE, view.error
        assert "cilium" in {component.name for component in view.snapshot.components}  # type: ignore[union-attr]
        assert {container.name for pod in view.snapshot.pods for container in pod.containers} >= {"cilium-agent"}  # type: ignore[union-attr]
        await until(pilot, lambda: "Where the time went" in text_of(app))
        await until(pilot, lambda: app.connection.state == "connected")
    assert cluster_is_ready()


@contextmanager
def in_a_terminal(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a terminal of its own, whose output is read and dropped; it is killed at the end."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    child = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=environment, start_new_session=True
    )
    os.close(slave)
    drawn = bytearray()
    reader = threading.Thread(target=_drain, args=(master, drawn), daemon=True)
    reader.start()
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        child.wait()
        reader.join(timeout=10)
        os.close(master)
        print(f"the child drew {len(drawn)} bytes, last: {bytes(drawn[-2000:])!r}")


def _drain(master: int, drawn: bytearray) -> None:
    with suppress(OSError):
        while some := os.read(master, 65536):
            drawn += some


def steps_begun() -> list[str]:
    """Return the steps that the newest run's journal names."""
    journals = sorted(STATE.glob("runs/*/journal.jsonl"))
    lines = journals[-1].read_text().splitlines() if journals else []
    records = [json.loads(line) for line in lines if line.endswith("}")]
    return [record["data"]["step"] for record in records if record["kind"] == "step-started"]


def wait_until_begun(step: str, child: subprocess.Popen[bytes]) -> None:
    for _ in range(90 * 10):
        if step in steps_begun():
            return
        assert child.poll() is None, "the cockpit ended by itself"
        threading.Event().wait(0.1)
    raise AssertionError(f"{step} did not begin: {steps_begun()}")


async def test_a_killed_install_is_offered_and_finished(bare_host: None, bundle: Path) -> None:
    child_command = (sys.executable, "-m", "tests.support.cockpit_child", str(bundle), str(MERGED))
    with in_a_terminal(*child_command) as child:
        await asyncio.to_thread(wait_until_begun, "k3s", child)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    async with real_cockpit() as (app, pilot):
        await until(pilot, lambda: "was killed in step k3s" in " ".join(text_of(app).split()))
        assert isinstance(app.screen, Confirm)
        app.screen.query_one("#yes", Button).press()
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: app.run_host.state is not RunState.RUNNING)
        assert app.run_host.state is RunState.DONE, app.run_host.view.error
        assert app.run_host.view.resumed
    assert cluster_is_ready()
    assert MERGED.exists()
    async with real_cockpit() as (app, pilot):
        assert await app.run_host.unfinished({}) is None
