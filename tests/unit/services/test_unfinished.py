"""What can be gone on with after a run was killed, failed or was taken back: with real files, journals and locks."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from installer.adapters.host.files import LocalFiles
from installer.adapters.store.journal import FileRunStore
from installer.adapters.store.lock import FileLock
from installer.adapters.store.runlog import FileRunLog
from installer.domain.errors import BeeyardError
from installer.domain.events import Event, LogLine
from installer.domain.plan import Change
from installer.domain.redact import Redactor
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Options, Run, Step, Tools
from installer.services.install import InstallService

SPEC = ClusterSpec.model_validate({"k3s": {"clusterCIDR": "10.52.0.0/16", "config": {"token": "sesame-open"}}})


class KilledError(BaseException):
    """Stands for a signal that no handler sees."""


@dataclass
class OneStep:
    """A step that does what the test says."""

    apply_: Callable[[], None]
    id: str = "k3s"
    title: str = "Install k3s"
    background: bool = False
    undone: list[str] = field(default_factory=list)

    async def gather(self, run: Run) -> None: ...

    async def check(self, run: Run) -> list[Change]:
        return [Change("file", "create", "/x")]

    async def apply(self, run: Run) -> None:
        self.apply_()

    async def verify(self, run: Run) -> str:
        return "fine"

    async def undo(self, run: Run) -> None:
        self.undone.append(self.id)


def service(state: Path) -> InstallService:
    @asynccontextmanager
    async def tools(spec: ClusterSpec, environment: Mapping[str, str]) -> AsyncIterator[Tools]:
        made = {"now": lambda: 5.0, "files": LocalFiles(), "remember": lambda _: nullcontext(), "explain": None}
        yield cast(Tools, SimpleNamespace(**made))

    redactor = Redactor()
    return InstallService(
        tools=tools,
        table=cast(Any, None),
        runs=FileRunStore(state, redactor=redactor),
        open_log=lambda run_id: FileRunLog(run_id, redactor, fallback=state / "runs" / run_id, folder=state / "log"),
        lock=FileLock(state),
        redactor=redactor,
        read_current=lambda: LocalFiles().read(state / "cluster.yaml"),
        read=LocalFiles().read,
    )


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


async def run(state: Path, step: OneStep, *, undo: bool = False, **options: Any) -> None:
    behaviour = Options(state_dir=state, **options)
    async with service(state).open(SPEC, behaviour, lambda event: None, steps=lambda: [cast(Step, step)]) as job:
        plan = await job.plan()
        try:
            await job.execute(plan)
        except BeeyardError:
            if undo:
                await job.undo()


def fail() -> None:
    raise BeeyardError("it broke", code="E-X-001")


def nothing() -> None: ...


async def test_a_finished_run_is_not_gone_on_with(tmp_path: Path) -> None:
    assert service(tmp_path).unfinished() is None
    await run(tmp_path, OneStep(nothing))
    assert service(tmp_path).unfinished() is None


async def test_a_failed_run_is_gone_on_with_as_it_was(tmp_path: Path) -> None:
    await run(tmp_path, OneStep(fail), allow_unsupported=True, verify=False, ready_timeout=99.0)
    found = service(tmp_path).unfinished({"A": "b"})
    assert found is not None
    assert found.spec == SPEC
    assert found.step == "k3s"
    assert not found.killed
    assert (found.options.allow_unsupported, found.options.verify, found.options.ready_timeout) == (True, False, 99.0)
    assert found.options.environment == {"A": "b"}


async def test_what_a_run_is_to_bring_about_is_private(tmp_path: Path) -> None:
    await run(tmp_path, OneStep(fail))
    [kept] = tmp_path.glob("runs/*/cluster.yaml")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    [journal] = tmp_path.glob("runs/*/journal.jsonl")
    assert "sesame-open" not in journal.read_text()


async def test_a_killed_run_is_gone_on_with_until_one_reaches_the_goal(tmp_path: Path) -> None:
    def kill() -> None:
        # The journal of a killed process has no end; its lock is gone with it.
        raise KilledError

    with pytest.raises(KilledError):
        await run(tmp_path, OneStep(kill))
    [journal] = tmp_path.glob("runs/*/journal.jsonl")
    lines = [line for line in journal.read_text().splitlines() if '"end"' not in line]
    journal.write_text("\n".join(lines) + "\n")
    found = service(tmp_path).unfinished()
    assert found is not None
    assert found.killed
    assert found.step == "k3s"
    await run(tmp_path, OneStep(nothing))
    assert service(tmp_path).unfinished() is None


async def test_a_run_that_is_at_work_elsewhere_is_left_alone(tmp_path: Path) -> None:
    await run(tmp_path, OneStep(fail))
    with FileLock(tmp_path).hold("beeyard install"):
        assert service(tmp_path).unfinished() is None
    assert service(tmp_path).unfinished() is not None


@pytest.mark.parametrize("automatic", [True, False])
async def test_a_run_that_was_taken_back_is_not_gone_on_with(tmp_path: Path, automatic: bool) -> None:
    step = OneStep(fail)
    await run(tmp_path, step, undo=not automatic, undo_on_failure=automatic)
    assert step.undone == ["k3s"]
    assert service(tmp_path).unfinished() is None


@pytest.mark.parametrize("damage", ["spec: [", "spec: {nonsense: 1}", None])
async def test_a_damaged_goal_is_not_gone_on_with(tmp_path: Path, damage: str | None) -> None:
    await run(tmp_path, OneStep(fail))
    [kept] = tmp_path.glob("runs/*/cluster.yaml")
    if damage is None:
        kept.unlink()
    else:
        kept.write_text(damage)
    assert service(tmp_path).unfinished() is None


async def test_a_run_of_another_version_and_boot_is_gone_on_with_and_told(tmp_path: Path) -> None:
    def killed() -> None:
        raise KilledError

    with pytest.raises(KilledError):
        await run(tmp_path, OneStep(killed))
    (journal,) = tmp_path.glob("runs/*/journal.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines() if '"end"' not in line]
    lines[0]["data"].update(version="99.0", boot="another boot")
    next(line for line in lines if line["kind"] == "options")["data"]["an_option_of_tomorrow"] = True
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = service(tmp_path).unfinished()
    assert found is not None
    assert found.options.verify is True
    events: list[Event] = []
    step = OneStep(nothing)
    options = Options(state_dir=tmp_path)
    async with service(tmp_path).open(SPEC, options, events.append, steps=lambda: [cast(Step, step)]) as job:
        await job.execute(await job.plan())
    told = [event.text for event in events if isinstance(event, LogLine)]
    assert any("started anew" in text for text in told)
    assert any("beeyard 99.0" in text for text in told)
