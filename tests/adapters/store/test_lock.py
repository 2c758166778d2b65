"""The lock between real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from installer.adapters.store.lock import FileLock
from installer.domain.errors import BeeyardError, RefusedError

_HOLDER = """
import sys
from pathlib import Path
from installer.adapters.store.lock import FileLock
with FileLock(Path(sys.argv[1])).hold("beeyard install --yes"):
    print("held", flush=True)
    sys.stdin.read()
"""

_RACER = """
import sys
from pathlib import Path
from installer.adapters.store.lock import FileLock
from installer.domain.errors import RefusedError
print("ready", flush=True)
sys.stdin.readline()
try:
    with FileLock(Path(sys.argv[1])).hold(sys.argv[2]):
        print("won", flush=True)
        sys.stdin.readline()
except RefusedError as error:
    print(error.code, flush=True)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@contextmanager
def holder(state: Path) -> Iterator[subprocess.Popen[str]]:
    with start(_HOLDER, str(state)) as process:
        assert hear(process) == "held"
        yield process


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(RefusedError) as caught, FileLock(tmp_path).hold("beeyard status"):
            pass
        error = caught.value
        assert (error.code, error.exit_code) == ("E-RUN-001", 5)
        assert "beeyard install --yes" in error.why
        assert str(process.pid) in error.why
        assert datetime.fromisoformat(error.details["started"]).tzinfo == UTC
    with FileLock(tmp_path).hold("beeyard status"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_a_holder_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert json.loads((tmp_path / "lock").read_text())["pid"] == process.pid
        with FileLock(tmp_path).hold("beeyard install"):
            assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_a_child_of_the_holder_does_not_keep_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as outside:
        with FileLock(tmp_path).hold("one"):
            child = subprocess.Popen(
                [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False,
            )  # fmt: skip
            assert child.stdout is not None
            child.stdout.readline()  # it runs: what it does not inherit is closed
        with child, FileLock(tmp_path).hold("two"):
            child.communicate()
        outside.communicate()


def test_of_many_that_race_one_wins(tmp_path: Path) -> None:
    racers = [start(_RACER, str(tmp_path), f"racer {number}") for number in range(6)]
    assert {hear(racer) for racer in racers} == {"ready"}
    for racer in racers:
        tell(racer)
    assert sorted(hear(racer) for racer in racers) == ["E-RUN-001"] * 5 + ["won"]
    for racer in racers:
        racer.communicate("\n")


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), FileLock(tmp_path).hold("one"):
        raise KeyError
    with FileLock(tmp_path).hold("two"):
        pass


def test_a_holder_that_has_not_written_its_name(tmp_path: Path) -> None:
    with holder(tmp_path):
        os.truncate(tmp_path / "lock", 0)
        with pytest.raises(RefusedError) as caught, FileLock(tmp_path).hold("two"):
            pass
    assert "None" not in str(caught.value.to_dict())


def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BeeyardError) as caught, FileLock(tmp_path / "file").hold("one"):
        pass
    assert caught.value.code == "E-RUN-002"


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to("victim")
    with pytest.raises(BeeyardError), FileLock(tmp_path).hold("one"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"
