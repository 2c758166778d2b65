"""Runs of the past and what can be taken back of them: real journals, files, locks and kills."""

from __future__ import annotations

import asyncio
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from installer.adapters.host.files import LocalFiles
from installer.adapters.store.journal import FileJournal, FileRunStore
from installer.adapters.store.lock import FileLock
from installer.adapters.store.runlog import FileRunLog
from installer.domain.errors import BeeyardError, RefusedError, UsageError
from installer.domain.events import Event
from installer.domain.history import Outcome, details, table
from installer.domain.redact import Redactor
from installer.domain.spec import ClusterSpec
from installer.pipeline.book import Book
from installer.pipeline.run import Tools
from installer.ports.host import ServiceState
from installer.services.runs import RunHistory
from installer.services.undo import UndoJob, UndoService

STANDS = ServiceState(installed=True, enabled=True, active=False)


@dataclass
class Host:
    """A host below a folder, where k3s is installed and does not run."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def runs(self) -> FileRunStore:
        return FileRunStore(self.state)

    def history(self) -> RunHistory:
        return RunHistory(self.runs, FileLock(self.state))

    def begin(self, kind: str = "install", resumed: str = "") -> tuple[FileJournal, Book]:
        journal = self.runs.begin(kind, "digest", resumed=resumed)
        return journal, Book(journal, LocalFiles)

    def change(self, path: Path, text: str, *, kind: str = "install", end: bool = True, resumed: str = "") -> str:
        """Be a run that writes a file; return its id."""
        journal, book = self.begin(kind, resumed)
        journal.append("step-started", step="k3s")
        book.before(path)
        LocalFiles().write(path, text.encode(), mode=0o600, backup=False)
        book.after(path)
        if end:
            journal.append("step-done", step="k3s", seconds=1.0)
            journal.end(ok=True)
        else:
            journal.close()
        return journal.run_id

    def undo(self) -> UndoService:
        @asynccontextmanager
        async def tools(spec: ClusterSpec, environment: Mapping[str, str]) -> AsyncIterator[Tools]:
            async def state(name: str) -> ServiceState:
                return STANDS

            async def no_helm() -> None:
                return None

            made = {
                "now": lambda: 5.0,
                "files": LocalFiles(),
                "services": SimpleNamespace(state=state),
                "sources": SimpleNamespace(local_helm=no_helm),
                "remember": lambda _: nullcontext(),
                "explain": None,
            }
            yield cast(Tools, SimpleNamespace(**made))

        redactor = Redactor()
        return UndoService(
            tools=tools,
            table=cast(Any, None),
            runs=self.runs,
            open_log=lambda run_id: FileRunLog(run_id, redactor, fallback=self.state, folder=self.root / "log"),
            lock=FileLock(self.state),
            uninstall=cast(Any, None),
            state_dir=self.state,
        )

    async def take_back(self, wanted: str = "") -> UndoJob:
        events: list[Event] = []
        async with self.undo().open(wanted, events.append, {}) as job:
            await job.execute(await job.plan())
        return job


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    made = Host(tmp_path)
    made.config.write_text("before")
    made.config.chmod(0o640)
    return made


async def test_a_file_goes_back_with_its_mode(host: Host) -> None:
    run = host.change(host.config, "after")
    job = await host.take_back()
    assert job.target.run_id == run
    assert host.config.read_text() == "before"
    assert stat.S_IMODE(host.config.stat().st_mode) == 0o640
    assert [one.outcome for one in host.history().list()] == [Outcome.DONE, Outcome.UNDONE]
    assert host.history().list()[1].by == host.history().list()[0].run_id
    with pytest.raises(RefusedError, match="nothing to undo"):
        host.undo().target()


async def test_a_new_file_goes_away(host: Host) -> None:
    host.change(host.root / "new", "text")
    await host.take_back()
    assert not (host.root / "new").exists()


async def test_what_somebody_changed_since_is_left_alone_and_told(host: Host) -> None:
    other = host.root / "other"
    other.write_text("before")
    journal, book = host.begin()
    for path in (host.config, other):
        book.before(path)
        path.write_text("after")
        book.after(path)
    journal.end(ok=True)
    host.config.write_text("mine")
    job = await host.take_back()
    assert host.config.read_text() == "mine"
    assert other.read_text() == "before"
    assert job.kept == [f"{host.config}: it was changed since by somebody else"]


async def test_runs_that_went_on_with_each_other_count_as_one(host: Host) -> None:
    first = host.change(host.config, "half", end=False)
    second = host.change(host.config, "after", resumed=first)
    job = await host.take_back()
    assert job.target.ids == [first, second]
    assert host.config.read_text() == "before"
    assert {one.outcome for one in host.history().list()[1:]} == {Outcome.UNDONE}


async def test_later_runs_have_to_go_first(host: Host) -> None:
    first = host.change(host.config, "one")
    second = host.change(host.config, "two", kind="hubble")
    with pytest.raises(RefusedError) as caught:
        host.undo().target(first)
    assert (caught.value.code, second in caught.value.why) == ("E-UNDO-002", True)
    await host.take_back()
    assert host.config.read_text() == "one"
    await host.take_back(first)
    assert host.config.read_text() == "before"


def test_an_upgrade_in_between_leaves_only_the_uninstall(host: Host) -> None:
    first = host.change(host.config, "one")
    host.change(host.config, "two", kind="upgrade")
    with pytest.raises(RefusedError) as caught:
        host.undo().target(first)
    assert (caught.value.code, "beeyard uninstall" in caught.value.fix) == ("E-UNDO-002", True)


@pytest.mark.parametrize("kind", ["upgrade", "uninstall"])
def test_what_cannot_be_undone(host: Host, kind: str) -> None:
    run = host.change(host.config, "after", kind=kind)
    with pytest.raises(RefusedError) as caught:
        host.undo().target(run)
    assert caught.value.code == "E-UNDO-003"


def test_after_an_uninstall_nothing_is_left_to_undo(host: Host) -> None:
    run = host.change(host.config, "after")
    host.runs.begin("uninstall", "").end(ok=True)
    with pytest.raises(RefusedError) as caught:
        host.undo().target(run)
    assert caught.value.code == "E-UNDO-001"
    assert host.history().show(run).outcome is Outcome.UNDONE


def test_a_host_without_runs(host: Host) -> None:
    assert host.history().list() == []
    with pytest.raises(RefusedError) as caught:
        host.undo().target()
    assert caught.value.code == "E-UNDO-001"


async def test_a_copy_that_is_damaged_is_not_written(host: Host) -> None:
    run = host.change(host.config, "after")
    next((host.state / "runs" / run / "before").iterdir()).write_text("forged")
    with pytest.raises(BeeyardError) as caught:
        await host.take_back()
    assert caught.value.code == "E-UNDO-005"
    assert host.config.read_text() == "after"


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.services.test_undo import Host
from installer.domain.events import StepStarted
host = Host(Path(sys.argv[1]))
def kill(event):
    if isinstance(event, StepStarted) and event.step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
async def main():
    async with host.undo().open("", kill, {}) as job:
        await job.execute(await job.plan())
asyncio.run(main())
"""


async def test_two_books_of_one_run_keep_their_copies_apart(host: Host) -> None:
    other = host.root / "other"
    other.write_text("other before")
    journal, first = host.begin()
    second = Book(journal, LocalFiles)
    for book, path in ((first, host.config), (second, other)):
        book.before(path)
        path.write_text("after")
        book.after(path)
    journal.end(ok=True)
    await host.take_back()
    assert (host.config.read_text(), other.read_text()) == ("before", "other before")


@pytest.mark.root
@pytest.mark.parametrize("step", ["files", "service", "records"])
async def test_a_killed_undo_goes_on(host: Host, step: str) -> None:
    records = host.state / "installed.json"
    journal, book = host.begin()
    for path in (records, host.config):
        book.before(path)
        LocalFiles().write(path, b"{}", mode=0o600, backup=False)
        book.after(path)
    journal.end(ok=True)
    records.write_bytes(b'{"format": 1}')
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-c", _KILLED, str(host.root), step]
    done = await asyncio.to_thread(subprocess.run, argv, cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert host.history().list()[0].outcome is Outcome.KILLED
    await host.take_back()
    assert host.config.read_text() == "before"
    assert not records.exists()
    newest, killed, undone = host.history().list()
    assert (newest.outcome, newest.resumed, killed.by) == (Outcome.DONE, killed.run_id, newest.run_id)
    assert undone.outcome is Outcome.UNDONE


def test_the_history_in_words(host: Host) -> None:
    run = host.change(host.config, "after", end=False)
    journal, _ = host.begin(resumed=run)
    journal.append("step-failed", step="cilium", code="E-X-001", what="it broke")
    journal.end(ok=False)
    stopped, _ = host.begin("verify")
    stopped.append("step-interrupted", step="verify")
    stopped.end(ok=False)
    runs = host.history().list()
    assert [one.outcome for one in runs] == [Outcome.STOPPED, Outcome.FAILED, Outcome.KILLED]
    lines = table(runs).splitlines()
    assert lines[0].split() == ["RUN", "KIND", "WHEN", "(UTC)", "OUTCOME", "TOOK", "CHANGES"]
    assert "killed, continued" in lines[3]
    shown = details(host.history().show(run))
    assert f"continued by {journal.run_id}" in shown
    assert f"file {host.config} changed" in shown
    assert "k3s: begun" in shown
    assert "cilium: failed (E-X-001 it broke)" in details(host.history().show(journal.run_id))


def test_a_damaged_journal_is_told_and_hides_no_other(host: Host) -> None:
    good = host.change(host.config, "after")
    bad = host.change(host.root / "x", "text")
    (host.state / "runs" / bad / "journal.jsonl").write_text("nonsense\n{}\n")
    damaged, other = host.history().list()
    assert (damaged.run_id, damaged.outcome, "E-RUN-003" in damaged.note) == (bad, Outcome.DAMAGED, True)
    assert (other.run_id, other.outcome) == (good, Outcome.DONE)
    assert bad in table([damaged])


def test_a_run_that_goes_on_is_told_as_such(host: Host) -> None:
    with FileLock(host.state).hold("beeyard install"):
        host.change(host.config, "half", end=False)
        assert host.history().list()[0].outcome is Outcome.RUNNING
    assert host.history().list()[0].outcome is Outcome.KILLED


@pytest.mark.parametrize("wanted", ["1999", "2"])
def test_a_run_is_named_by_the_beginning_of_its_id(host: Host, wanted: str) -> None:
    host.change(host.config, "one")
    run = host.change(host.config, "two")
    assert host.history().show(run[:-2]).run_id == run
    with pytest.raises(UsageError) as caught:
        host.history().show(wanted)
    assert caught.value.code == "E-RUN-005"
