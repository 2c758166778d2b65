"""beeyard's own supervisor for real: killed, stopped, left behind, and after a reboot."""

from __future__ import annotations

import ast
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.host.files import LocalFiles
from installer.adapters.host.processes import LocalProcesses
from installer.adapters.host.services import SupervisedServices, supervisor
from installer.adapters.host.services.supervisor import Folder, Supervisor, start_time
from installer.domain.errors import BeeyardError, DeadlineError
from installer.ports.host import ServiceKind, ServiceUnit
from tests.adapters.host.waiting import until

DAEMON = Path(__file__).with_name("daemon.py")
NASTY = {"NASTY": 'a "b" $HOME %n \\ `id`\nsecond line', "K3S_TOKEN": "s3cret"}


class Host:
    """A folder that stands for a host: state, boot id, log and report of one daemon."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "services"
        self.boot_id = folder / "boot_id"
        self.boot_id.write_text("boot-one\n")
        self.report = folder / "report"
        self.log = folder / "testd.log"
        self.files = LocalFiles()
        self.services = SupervisedServices(
            LocalProcesses(),
            self.files,
            root=self.root,
            boot_id_file=self.boot_id,
            prepare=[["sh", "-c", "echo prepared"], ["sh", "-c", "exit 9"], ["no-such-program"]],
            backoff=(0.05, 0.2, 60.0),
        )

    def unit(self, mode: str, program: str = sys.executable) -> ServiceUnit:
        argv = (program, str(DAEMON), mode, str(self.report))
        return ServiceUnit("testd", "A test", argv, env=NASTY, log=self.log, modules=())

    def install(self, unit: ServiceUnit) -> None:
        for file in self.services.definition(unit):
            self.files.write(file.path, file.data, mode=file.mode, backup=False)

    def saved(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "testd" / name).read_text())
        return found

    async def told(self, *, other_than: int = 0) -> dict[str, Any]:
        await until(lambda: self.reported().get("pid", other_than) != other_than)
        return self.reported()

    def reported(self) -> dict[str, Any]:
        found: dict[str, Any] = ast.literal_eval(self.report.read_text()) if self.report.exists() else {}
        return found


def alive(pid: int) -> bool:
    return start_time(pid) != 0


async def until_gone(pid: int) -> None:
    await until(lambda: not alive(pid))


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path)
    made.root.mkdir()
    yield made
    folder = made.root / "testd"
    overseer = made.saved("supervisor.json")["pid"] if (folder / "supervisor.json").exists() else 0
    for pid in (overseer, made.reported().get("pid", 0), made.reported().get("child", 0)):
        if pid and alive(pid) and any(word in command(pid) for word in ("supervisor.py", "daemon.py", "sleep 1000")):
            os.kill(pid, signal.SIGKILL)


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


async def test_unknown_service(host: Host) -> None:
    state = await host.services.state("testd")
    assert (state.installed, state.enabled, state.active) == (False, False, False)
    await host.services.stop("testd")
    assert await host.services.logs("testd") == []


async def test_life_of_a_service(host: Host) -> None:
    services = host.services
    assert services.kind is ServiceKind.NONE
    unit = host.unit("ready")
    host.install(unit)
    state = await services.state("testd")
    assert (state.installed, state.enabled, state.active, state.detail) == (True, False, False, "stopped")
    await services.reload()
    await services.enable("testd")

    await services.start("testd")
    told = await host.told()
    state = await services.state("testd")
    assert (state.enabled, state.active, state.pid) == (True, True, told["pid"])
    assert "until the next boot" in state.detail
    assert {key: told["env"][key] for key in NASTY} == NASTY
    assert "VIRTUAL_ENV" not in told["env"], "the environment of whoever ran beeyard stays out"
    lines = await services.logs("testd", 50)
    assert "prepared" in lines
    assert any("status 9" in line for line in lines)
    assert "daemon is up in mode ready" in lines

    await services.start("testd")
    assert (await services.state("testd")).pid == told["pid"], "starting twice starts once"

    await services.restart("testd")
    again = await host.told(other_than=told["pid"])
    assert not alive(told["pid"])
    assert alive(told["child"]), "containers must outlive a restart"
    os.kill(told["child"], signal.SIGKILL)

    await services.stop("testd")
    assert not alive(again["pid"])
    assert alive(again["child"])
    state = await services.state("testd")
    assert (state.installed, state.enabled, state.active, state.detail) == (True, False, False, "stopped")

    await services.remove(unit)
    assert not (await services.state("testd")).installed
    assert not (host.root / "testd").exists()


async def test_secrets_are_private(host: Host) -> None:
    host.install(host.unit("ready"))
    await host.services.start("testd")
    told = await host.told()
    exposed = [path for path in host.root.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert [path.name for path in exposed] == ["unit.json"]
    assert "s3cret" not in exposed[0].read_text()
    overseer = host.saved("supervisor.json")["pid"]
    assert "s3cret" not in command(overseer) + command(told["pid"])
    assert host.log.stat().st_mode & 0o777 == 0o600
    await host.services.stop("testd")


async def test_killed_program_is_restarted(host: Host) -> None:
    host.install(host.unit("ready"))
    await host.services.start("testd")
    first = await host.told()
    os.kill(first["pid"], signal.SIGKILL)
    second = await host.told(other_than=first["pid"])
    assert (await host.services.state("testd")).pid == second["pid"]
    assert alive(first["child"])
    os.kill(first["child"], signal.SIGKILL)
    assert any("killed by signal 9; next start in 0.05 s" in line for line in await host.services.logs("testd"))
    await host.services.stop("testd")


@pytest.mark.serial  # a start is watched for a moment only
async def test_backoff_grows_to_its_limit(host: Host) -> None:
    host.install(host.unit("crash"))
    with pytest.raises(BeeyardError):
        await host.services.start("testd")
    await until(lambda: host.saved("state.json")["restarts"] >= 5)
    delays = [line.rpartition(" in ")[2] for line in host.log.read_text().splitlines() if "next start" in line]
    assert delays[:5] == ["0.05 s", "0.1 s", "0.2 s", "0.2 s", "0.2 s"]
    await host.services.stop("testd")


@pytest.mark.serial  # a start is watched for a moment only
async def test_crash_at_start_shows_the_log(host: Host) -> None:
    host.install(host.unit("crash"))
    with pytest.raises(BeeyardError) as caught:
        await host.services.start("testd")
    assert caught.value.code == "E-SVC-001"
    assert "flux capacitor" in caught.value.why
    assert "exit status 3" in caught.value.why
    await host.services.stop("testd")


async def test_missing_program(host: Host) -> None:
    host.install(host.unit("ready", program="/no/such/program"))
    with pytest.raises(BeeyardError) as caught:
        await host.services.start("testd")
    assert caught.value.code == "E-SVC-001"
    assert "/no/such/program: No such file or directory" in caught.value.why
    await host.services.stop("testd")


async def test_dead_supervisor_is_told_and_its_program_taken_over(host: Host) -> None:
    host.install(host.unit("ready"))
    await host.services.start("testd")
    told = await host.told()
    overseer = host.saved("supervisor.json")["pid"]
    os.kill(overseer, signal.SIGKILL)
    await until_gone(overseer)
    state = await host.services.state("testd")
    assert (state.enabled, state.active, state.pid) == (False, True, told["pid"])
    assert "its supervisor has died" in state.detail

    await host.services.start("testd")
    state = await host.services.state("testd")
    assert (state.enabled, state.active, state.pid) == (True, True, told["pid"])
    os.kill(told["pid"], signal.SIGKILL)
    again = await host.told(other_than=told["pid"])
    assert (await host.services.state("testd")).pid == again["pid"], "what was taken over is restarted too"
    os.kill(told["child"], signal.SIGKILL)
    await host.services.stop("testd")
    assert not alive(again["pid"])


async def test_stop_without_supervisor(host: Host) -> None:
    host.install(host.unit("ready"))
    await host.services.start("testd")
    told = await host.told()
    overseer = host.saved("supervisor.json")["pid"]
    os.kill(overseer, signal.SIGKILL)
    await until_gone(overseer)
    await host.services.stop("testd")
    assert not alive(told["pid"])
    assert not (await host.services.state("testd")).active


async def test_both_dead(host: Host) -> None:
    host.install(host.unit("ready"))
    await host.services.start("testd")
    told = await host.told()
    for pid in (host.saved("supervisor.json")["pid"], told["pid"]):
        os.kill(pid, signal.SIGKILL)
        await until_gone(pid)
    os.kill(told["child"], signal.SIGKILL)
    state = await host.services.state("testd")
    assert (state.active, state.detail) == (False, "it ended, and its supervisor has died; start it again")
    await host.services.start("testd")
    assert (await host.told(other_than=told["pid"]))["pid"] == (await host.services.state("testd")).pid
    await host.services.stop("testd")


async def test_after_a_reboot(host: Host) -> None:
    host.install(host.unit("ready"))
    await host.services.start("testd")
    first = await host.told()
    for pid in (host.saved("supervisor.json")["pid"], first["pid"], first["child"]):
        os.kill(pid, signal.SIGKILL)
        await until_gone(pid)
    host.boot_id.write_text("boot-two\n")
    state = await host.services.state("testd")
    assert (state.installed, state.enabled, state.active) == (True, False, False)
    assert "before the last boot" in state.detail
    await host.services.start("testd")
    second = await host.told(other_than=first["pid"])
    assert (await host.services.state("testd")).pid == second["pid"]
    await host.services.stop("testd")


async def test_recycled_pid_is_nobody_of_ours(host: Host) -> None:
    host.install(host.unit("ready"))
    with subprocess.Popen(["sleep", "1000"]) as stranger:  # noqa: ASYNC220 - it is only there to be looked at
        folder = host.root / "testd"
        for name in ("supervisor.json", "child.json"):
            stale = {"pid": stranger.pid, "start": start_time(stranger.pid) - 1, "boot": "boot-one"}
            (folder / name).write_text(json.dumps(stale))
        state = await host.services.state("testd")
        assert (state.enabled, state.active) == (False, False)
        await host.services.stop("testd")
        assert stranger.poll() is None
        await host.services.start("testd")
        assert (await host.told())["pid"] != stranger.pid
        await host.services.stop("testd")
        assert stranger.poll() is None
        stranger.kill()


async def test_program_that_ignores_the_stop(host: Host) -> None:
    host.install(host.unit("deaf"))
    await host.services.start("testd")
    told = await host.told()
    with pytest.raises(DeadlineError) as caught:
        await host.services.stop("testd", timeout=0.3)
    assert caught.value.code == "E-SVC-002"
    os.kill(told["pid"], signal.SIGKILL)
    await host.services.stop("testd")
    assert not (await host.services.state("testd")).active


async def test_deaf_program_is_killed_in_the_end(host: Host) -> None:
    unit = host.unit("deaf")
    host.install(unit)
    described = host.root / "testd/unit.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), "kill_after": 0.2}))
    await host.services.start("testd")
    told = await host.told()
    await host.services.stop("testd")
    assert not alive(told["pid"])


async def test_supervisor_is_detached_and_small(host: Host) -> None:
    host.install(host.unit("ready"))
    await host.services.start("testd")
    told = await host.told()
    pid = host.saved("supervisor.json")["pid"]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    session, terminal = int(fields[3]), int(fields[4])
    assert session not in (os.getsid(0), told["pid"])
    assert terminal == 0
    os.kill(pid, signal.SIGHUP)
    os.kill(pid, signal.SIGINT)
    handles = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    assert not any("pytest" in handle and "testd" not in handle for handle in handles)
    memory = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    assert int(memory.split()[1]) < 16 * 1024
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert (await host.services.state("testd")).enabled
    await host.services.stop("testd")


async def test_it_outlives_its_terminal(host: Host) -> None:
    host.install(host.unit("ready"))
    start = [sys.executable, "-I", "-S", supervisor.__file__, "start", str(host.root / "testd"), str(host.boot_id)]
    await LocalProcesses().run(["script", "--quiet", "--command", shlex.join(start), "/dev/null"])
    told = await host.told()
    state = await host.services.state("testd")
    assert (state.enabled, state.active, state.pid) == (True, True, told["pid"])
    await host.services.stop("testd")


def test_a_program_is_written_down_when_its_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Folder.save_process

    def slowly(folder: Folder, name: str, pid: int) -> None:
        time.sleep(0.3)  # a busy machine
        written(folder, name, pid)

    monkeypatch.setattr(Folder, "save_process", slowly)
    boot = tmp_path / "boot"
    boot.write_text("boot-one")
    (tmp_path / "unit.json").write_text(json.dumps({"argv": [], "log": str(tmp_path / "log")}))
    folder = Folder(str(tmp_path), str(boot))
    pid = Supervisor(folder).spawn(["/bin/sleep", "100"], note=True)
    try:
        assert folder.living("child.json") == pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_log_is_bounded(tmp_path: Path) -> None:
    folder, log, boot = tmp_path / "testd", tmp_path / "log", tmp_path / "boot"
    folder.mkdir()
    boot.write_text("boot-one")
    (folder / "unit.json").write_text(json.dumps({"argv": [], "log": str(log), "log_limit": 1000}))
    keeper = Supervisor(Folder(str(folder), str(boot)))
    with log.open("ab", buffering=0) as program:
        program.write(b"a" * 900)
        keeper.bound_log()
        assert log.stat().st_size == 900
        program.write(b"b" * 900)
        keeper.bound_log()
        assert (log.stat().st_size, Path(f"{log}.1").read_bytes()) == (0, b"a" * 900 + b"b" * 900)
        program.write(b"c" * 10)
    assert log.read_bytes() == b"c" * 10, "no hole is left where the program goes on writing"
    assert Path(f"{log}.1").stat().st_mode & 0o777 == 0o600


async def test_bad_name(host: Host) -> None:
    for name in ("../../etc", "", "a b", ".hidden", "a/b"):
        with pytest.raises(BeeyardError) as caught:
            await host.services.state(name)
        assert caught.value.code == "E-SVC-004"
