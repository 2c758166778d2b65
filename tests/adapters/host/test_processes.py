"""Commands for real."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from installer.adapters.host.processes import LocalProcesses
from installer.domain.errors import BeeyardError, DeadlineError
from tests.adapters.host.waiting import until


def masking(text: str) -> str:
    return text.replace("s3cret", "***")


@pytest.fixture
def processes() -> LocalProcesses:
    return LocalProcesses(masking, grace=0.5)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def until_gone(pid: int) -> None:
    await until(lambda: gone(pid))


async def pid_in(path: Path) -> int:
    await until(lambda: path.exists() and path.read_text().strip() != "")
    return int(path.read_text())


async def test_output_status_and_environment(processes: LocalProcesses) -> None:
    script = 'printf "%s" "$WORD"; echo oops >&2'
    result = await processes.run(["sh", "-c", script], env={"WORD": "héllo"})
    assert (result.rc, result.out, result.err) == (0, "héllo", "oops\n")
    assert result.seconds > 0


async def test_standard_input(processes: LocalProcesses) -> None:
    data = b"x" * 1_000_000
    assert len((await processes.run(["cat"], stdin=data)).out) == len(data)
    assert (await processes.run(["cat"])).out == "", "without input it is closed"


async def test_input_that_nobody_reads(processes: LocalProcesses) -> None:
    assert (await processes.run(["true"], stdin=b"x" * 1_000_000)).rc == 0


async def test_no_shell_between(processes: LocalProcesses) -> None:
    assert (await processes.run(["echo", "$HOME; `id` *"])).out == "$HOME; `id` *\n"


async def test_lines_come_while_it_runs(processes: LocalProcesses, tmp_path: Path) -> None:
    fifo, lines = tmp_path / "fifo", list[str]()
    os.mkfifo(fifo)
    first = asyncio.Event()

    def take(line: str) -> None:
        lines.append(line)
        first.set()

    script = f"echo one s3cret; read _ <{fifo}; echo two >&2; printf three"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(processes.run(["sh", "-c", script], on_line=take))
        await first.wait()
        assert not running.done()
        await asyncio.to_thread(fifo.write_text, "go\n")
    assert lines[0] == "one ***"
    assert sorted(lines[1:]) == ["three", "two"]
    assert running.result().out == "one s3cret\nthree", "callers parse what is there"


async def test_long_line(processes: LocalProcesses) -> None:
    lines = list[str]()
    await processes.run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"], on_line=lines.append)
    assert [len(line) for line in lines] == [3_000_000]


async def test_failure_tells_the_last_lines_without_secrets(processes: LocalProcesses) -> None:
    script = "seq 100; echo the token s3cret is refused >&2; exit 7"
    with pytest.raises(BeeyardError) as caught:
        await processes.run(["sh", "-c", script, "s3cret"])
    error = caught.value
    assert error.code == "E-HOST-002"
    assert error.what == "sh failed: exit status 7"
    assert error.why.endswith("100\nthe token *** is refused")
    assert "\n1\n" not in error.why
    assert "s3cret" not in str(error.to_dict())


async def test_failure_by_signal(processes: LocalProcesses) -> None:
    with pytest.raises(BeeyardError, match="killed by SIGSEGV"):
        await processes.run(["sh", "-c", "kill -SEGV $$"])
    assert (await processes.run(["sh", "-c", "kill -SEGV $$"], check=False)).rc == -11


async def test_unchecked_failure(processes: LocalProcesses) -> None:
    assert (await processes.run(["false"], check=False)).rc == 1


async def test_missing_program(processes: LocalProcesses) -> None:
    with pytest.raises(BeeyardError) as caught:
        await processes.run(["no-such-program"])
    assert caught.value.code == "E-HOST-001"
    assert "no-such-program" in caught.value.what


@pytest.mark.parametrize(("content", "mode"), [(b"\x7fELF\x02\x01\x01 for another machine", 0o755), (b"", 0o644)])
async def test_program_that_cannot_run(processes: LocalProcesses, tmp_path: Path, content: bytes, mode: int) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(mode)
    with pytest.raises(BeeyardError) as caught:
        await processes.run([str(program)])
    assert caught.value.code == "E-HOST-004"


async def test_timeout_ends_the_whole_group(processes: LocalProcesses, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"sleep 1000 & echo $! >{note}; echo waiting for s3cret; wait"
    with pytest.raises(DeadlineError) as caught:
        await processes.run(["sh", "-c", script], timeout=0.5)
    assert caught.value.code == "E-HOST-003"
    assert caught.value.why == "waiting for ***"
    await until_gone(await pid_in(note))


async def test_timeout_kills_what_ignores_sigterm(processes: LocalProcesses, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"trap '' TERM; echo $$ >{note}; while :; do sleep 0.1; done"
    with pytest.raises(DeadlineError):
        await processes.run(["sh", "-c", script], timeout=0.5)
    assert gone(await pid_in(note))


async def test_cancellation_ends_the_whole_group(processes: LocalProcesses, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"trap '' TERM; sleep 1000 & echo $! >{note}; while :; do sleep 0.1; done"
    running = asyncio.ensure_future(processes.run(["sh", "-c", script]))
    pid = await pid_in(note)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until_gone(pid)


@pytest.mark.parametrize("turns", range(6))
async def test_cancelled_again_and_again_nothing_is_left(processes: LocalProcesses, turns: int) -> None:
    before = _children()
    running = asyncio.ensure_future(processes.run(["sh", "-c", "trap '' TERM; sleep 1000"]))
    for _ in range(turns):
        await asyncio.sleep(0)
    while not running.done():
        running.cancel()
        await asyncio.sleep(0)
    assert running.cancelled()
    assert _children() <= before


def _children() -> set[str]:
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


async def test_a_daemon_left_behind_does_not_hold_us(processes: LocalProcesses, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began = time.monotonic()
    result = await processes.run(["sh", "-c", f"setsid sleep 1000 & echo $! >{note}; echo done"])
    assert result.out == "done\n"
    assert time.monotonic() - began < 900
    pid = await pid_in(note)
    assert not gone(pid), "what a command leaves on purpose stays"
    os.kill(pid, 9)


async def test_many_at_once(processes: LocalProcesses) -> None:
    results = await asyncio.gather(*(processes.run(["echo", str(number)]) for number in range(20)))
    assert [result.out for result in results] == [f"{number}\n" for number in range(20)]
