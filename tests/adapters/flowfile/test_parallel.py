"""The shared reading of one recording, by processes that are forks of the test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.adapters.flowfile.blocks import Recording, opened
from installer.adapters.flowfile.parallel import Printed, Totals, can_share, print_shared
from installer.domain.errors import BeeyardError


def numbered(data: bytes) -> Printed:
    """Print every line that is not ``bad``; tell the numbers of those that are."""
    lines = data.split(b"\n")
    lines = lines[:-1] if not lines[-1] else lines
    bad = [index for index, line in enumerate(lines) if line == b"bad"]
    good = [line for line in lines if line != b"bad"]

    def told(first: int, before: int) -> bytes:
        return b"".join(b"%d is bad (%d before)\n" % (first + index, before) for index in bad)

    return Printed(b"".join(line + b"\n" for line in good), told, len(good), len(bad))


def run(folder: Path, data: bytes, *, processes: int, chunk: int) -> tuple[Totals, bytes, bytes]:
    path, out, err = folder / "in", folder / "out", folder / "err"
    path.write_bytes(data)
    with opened(str(path)) as recording, out.open("wb") as stdout, err.open("wb") as stderr:
        totals = print_shared(
            recording, numbered, out=stdout.fileno(), err=stderr.fileno(), processes=processes, chunk=chunk
        )
    return totals, out.read_bytes(), err.read_bytes()


@settings(max_examples=40)
@given(
    lines=st.lists(st.sampled_from([b"", b"a", b"bb", b"a longer line than the rest", b"bad"]), max_size=40),
    ended=st.booleans(),
    processes=st.integers(1, 4),
    chunk=st.integers(1, 60),
)
def test_the_order_and_the_numbers_are_those_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool, processes: int, chunk: int
) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    folder = tmp_path_factory.mktemp("shared")
    totals, out, err = run(folder, data, processes=processes, chunk=chunk)
    there = data.split(b"\n")
    there = there[:-1] if not there[-1] else there
    good = [line for line in there if line != b"bad"]
    assert out == b"".join(line + b"\n" for line in good)
    numbers = [number for number, line in enumerate(there, 1) if line == b"bad"]
    assert [int(line.split()[0]) for line in err.splitlines()] == numbers
    assert (totals.lines, totals.answers, totals.bad) == (len(there), len(good), len(numbers))


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_failed_write_is_told_whoever_made_it(tmp_path: Path, processes: int) -> None:
    (tmp_path / "in").write_bytes(b"line\n" * 100)
    with (
        opened(str(tmp_path / "in")) as recording,
        Path("/dev/full").open("wb") as full,
        pytest.raises(OSError, match="No space left"),
    ):
        print_shared(recording, numbered, out=full.fileno(), err=2, processes=processes, chunk=50)


def test_a_reader_that_goes_away_ends_all(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"line\n" * 100_000)
    read, write = os.pipe()
    os.close(read)
    with opened(str(tmp_path / "in")) as recording, pytest.raises(BrokenPipeError):
        print_shared(recording, numbered, out=write, err=2, processes=2, chunk=50_000)
    os.close(write)


def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    mine = os.getpid()

    def die(lines: bytes) -> Printed:
        if os.getpid() != mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return numbered(lines)

    (tmp_path / "in").write_bytes(b"line\n" * 100)
    with (
        opened(str(tmp_path / "in")) as recording,
        (tmp_path / "out").open("wb") as out,
        pytest.raises(BeeyardError) as caught,
    ):
        print_shared(recording, die, out=out.fileno(), err=2, processes=2, chunk=50)
    assert caught.value.code == "E-FLOW-026"
    assert "ended with -9" in caught.value.why


def test_an_interrupt_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"line\n" * 100_000)
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent("""\
        import os, sys
        from tests.adapters.flowfile.test_parallel import numbered
        from installer.adapters.flowfile.blocks import opened
        from installer.adapters.flowfile.parallel import print_shared
        with opened(sys.argv[1]) as recording:
            try:
                print_shared(recording, numbered, out=1, err=2, processes=2, chunk=100_000)
            except KeyboardInterrupt:
                os.write(2, b"interrupted")
        """)
    )
    read, write = os.pipe()
    root = str(Path(__file__).parents[3])
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "in"],
        stdout=write,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
        start_new_session=True,
    )
    os.close(write)
    os.read(read, 1)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert err == b"interrupted"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    os.close(read)


def test_what_can_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def recording(size: int | None) -> Recording:
        return Recording("x", 0, size, lambda: b"")

    monkeypatch.setattr(threading, "active_count", lambda: 1)  # whatever the tests before have left
    assert can_share(recording(1 << 30), 2)
    assert not can_share(recording(1 << 30), 1)
    assert not can_share(recording(1000), 2)
    assert not can_share(recording(None), 2)
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert not can_share(recording(1 << 30), 2)
