"""Journals on a real disk, whole, torn and damaged."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import installer
from installer.adapters.store.journal import FileRunStore
from installer.domain.errors import BeeyardError
from installer.domain.redact import Redactor


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> FileRunStore:
    return FileRunStore(tmp_path, clock=clock, redactor=Redactor(["hush-hush"]))


def test_a_run_is_read_as_it_was_written(store: FileRunStore, clock: Clock) -> None:
    journal = store.begin("install", "digest", resumed="earlier")
    journal.append("step-started", step="k3s")
    clock.now += 2
    journal.append("kind", kind="a name of our own", n=1, deep={"x": [1, None]})
    journal.end(ok=True, seconds=2.0)
    run = store.read(journal.run_id)
    assert run is not None
    assert (run.kind, run.inputs_digest, run.resumed, run.ok) == ("install", "digest", "earlier", True)
    assert run.ended == run.started + 2
    assert [(record.kind, record.data) for record in run.records] == [
        ("step-started", {"step": "k3s"}),
        ("kind", {"kind": "a name of our own", "n": 1, "deep": {"x": [1, None]}}),
    ]


def test_only_the_owner_reads_it_and_secrets_are_not_in_it(store: FileRunStore) -> None:
    journal = store.begin("install", "digest")
    journal.append("note", text="password: x", deep={"a": ["it is hush-hush"]})
    path = journal.folder / "journal.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700
    assert "hush-hush" not in path.read_text()
    assert "***" in path.read_text()
    journal.close()


def test_the_newest_run_decides_what_is_unfinished(store: FileRunStore) -> None:
    assert store.unfinished() is None
    killed = store.begin("install", "one")
    killed.close()
    found = store.unfinished("install")
    assert found is not None
    assert (found.run_id, found.ok, found.ended) == (killed.run_id, None, None)
    failed = store.begin("install", "one", resumed=killed.run_id)
    failed.end(ok=False)
    found = store.unfinished()
    assert found is not None
    assert (found.run_id, found.ok) == (failed.run_id, False)
    store.begin("verify", "two").end(ok=True)
    assert store.unfinished() is None
    assert store.unfinished("install") is not None
    store.begin("install", "one", resumed=failed.run_id).end(ok=True)
    assert store.unfinished("install") is None


def test_ids_sort_by_time_even_when_the_clock_goes_back(store: FileRunStore, clock: Clock) -> None:
    ids = []
    for step in (0, 0, 0, 0.0004, -86_400, 5, 100_000):
        clock.now += step
        journal = store.begin("install", "x")
        journal.end(ok=True)
        ids.append(journal.run_id)
    assert ids == sorted(set(ids))
    assert [run.run_id for run in store.history()] == ids[::-1]


@pytest.mark.parametrize("tail", [b'{"at": 1, "kind": "st', b"\0\0\0\0", b'{"at": 1}\n', b"\xff\n"])
def test_a_torn_last_line_is_left_out(store: FileRunStore, tail: bytes) -> None:
    journal = store.begin("install", "x")
    journal.append("step-done", step="fetch")
    journal.close()
    with (journal.folder / "journal.jsonl").open("ab") as file:
        file.write(tail)
    run = store.unfinished()
    assert run is not None
    assert [record.data for record in run.records] == [{"step": "fetch"}]


def test_at_every_byte_where_a_crash_may_cut_it_can_be_read(store: FileRunStore) -> None:
    journal = store.begin("install", "x")
    journal.append("step-done", step="fetch")
    journal.end(ok=True)
    path = journal.folder / "journal.jsonl"
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        run = store.read(journal.run_id)
        if run is None:
            assert b"\n" not in whole[:size]
        else:
            assert run.ok is None


@pytest.mark.parametrize("damage", [b"x" * 10, b'{"at": "now", "kind": "k", "data": {}}', b"[]"])
def test_damage_elsewhere_is_told(store: FileRunStore, damage: bytes) -> None:
    journal = store.begin("install", "x")
    journal.end(ok=True)
    path = journal.folder / "journal.jsonl"
    first, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + b"\n" + last)
    with pytest.raises(BeeyardError, match=journal.run_id) as caught:
        store.read(journal.run_id)
    assert caught.value.code == "E-RUN-003"
    assert "line 2" in caught.value.why
    assert store.history() == []


def test_a_journal_without_its_begin_is_damaged(store: FileRunStore) -> None:
    journal = store.begin("install", "x")
    journal.append("step-done")
    journal.close()
    path = journal.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[1])
    with pytest.raises(BeeyardError):
        store.read(journal.run_id)


@pytest.mark.parametrize("run_id", ["", "..", "../../etc", "20260101T000000.000Z-abcdef"])
def test_runs_that_are_not_there(store: FileRunStore, run_id: str) -> None:
    assert store.read(run_id) is None


def test_a_state_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(BeeyardError) as caught:
        FileRunStore(tmp_path / "state").begin("install", "x")
    assert caught.value.code == "E-RUN-002"
    assert FileRunStore(tmp_path / "state").history() == []


_WRITER = """
import sys
from pathlib import Path
from installer.adapters.store.journal import FileRunStore
journal = FileRunStore(Path(sys.argv[1])).begin("install", "x")
number = 0
while True:
    journal.append("step", number=number)
    print(number, flush=True)
    number += 1
"""


def test_what_was_said_to_be_written_survives_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        said = max([said, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    run = FileRunStore(tmp_path).unfinished()
    assert run is not None
    assert [record.data["number"] for record in run.records][: said + 1] == list(range(said + 1))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """A file system at the test's folder; the returned function fills it up."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tmp_path], check=True)

    def fill() -> None:
        fd = os.open(tmp_path / "filler", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(fd, bytes(4096)):
                pass
        except OSError:
            os.close(fd)

    yield fill
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.root
def test_on_a_full_disk_what_is_kept_free_takes_the_end(full_disk: Callable[[], None], tmp_path: Path) -> None:
    store = FileRunStore(tmp_path)
    journal = store.begin("install", "x")
    full_disk()
    journal.append("step-failed", step="k3s", text="x" * 8192)
    journal.end(ok=False)
    run = store.read(journal.run_id)
    assert run is not None
    assert (run.ok, [record.kind for record in run.records]) == (False, ["step-failed"])
    assert [path.name for path in journal.folder.iterdir()] == ["journal.jsonl"]


@pytest.mark.root
def test_a_full_disk_is_told_and_no_line_is_torn(full_disk: Callable[[], None], tmp_path: Path) -> None:
    store = FileRunStore(tmp_path)
    journal = store.begin("install", "x")
    full_disk()
    written = 0

    def write_on() -> None:
        nonlocal written
        while True:
            journal.append("step", text="x" * 10_000)
            written += 1

    with pytest.raises(BeeyardError) as caught:
        write_on()
    assert caught.value.code == "E-RUN-002"
    assert "space" in caught.value.why.lower()
    (tmp_path / "filler").unlink()
    journal.append("again")
    journal.close()
    run = store.unfinished()
    assert run is not None
    assert [record.kind for record in run.records] == [*["step"] * written, "again"]


def test_times_never_go_back(store: FileRunStore, clock: Clock) -> None:
    journal = store.begin("install", "x")
    for seconds in (5, -86_400, 86_401):
        clock.now += seconds
        journal.append("tick")
    journal.end(ok=True)
    run = store.read(journal.run_id)
    assert run is not None
    assert run.ended is not None
    times = [run.started, *(record.at for record in run.records), run.ended]
    assert times == sorted(times)


def test_boots_and_versions_are_told_apart(tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("first\n")
    store = FileRunStore(tmp_path / "state", boot_id=boot)
    store.begin("install", "x").close()
    boot.write_text("second\n")
    run = store.unfinished()
    assert run is not None
    assert (run.boot, store.boot()) == ("first", "second")
    assert run.version == installer.__version__


def test_the_journal_of_a_newer_format_is_not_guessed_at(store: FileRunStore) -> None:
    journal = store.begin("install", "x")
    journal.end(ok=True)
    path = journal.folder / "journal.jsonl"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(BeeyardError) as caught:
        store.read(journal.run_id)
    assert caught.value.code == "E-RUN-004"
    assert (store.history(), store.ids()) == ([], [journal.run_id])


def test_a_journal_from_before_formats_is_read(store: FileRunStore) -> None:
    journal = store.begin("install", "x")
    journal.end(ok=True)
    path = journal.folder / "journal.jsonl"
    first, rest = path.read_text().split("\n", 1)
    begin = json.loads(first)
    begin["data"] = {"kind": "install", "inputs_digest": "x", "resumed": ""}
    path.write_text(json.dumps(begin) + "\n" + rest)
    run = store.read(journal.run_id)
    assert run is not None
    assert (run.ok, run.boot, run.version) == (True, "", "")


def test_what_a_killed_run_kept_free_is_given_back(store: FileRunStore) -> None:
    killed = store.begin("install", "x")
    assert (killed.folder / ".spare").stat().st_size > 0
    store.begin("install", "x").end(ok=True)
    assert not (killed.folder / ".spare").exists()
