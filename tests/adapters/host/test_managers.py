"""systemd and OpenRC for real: each as process 1 of a small machine in namespaces."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.host.services import OpenrcServices, SystemdServices, detect
from installer.adapters.host.services.common import wait_for
from installer.domain.errors import BeeyardError, DeadlineError
from installer.ports.host import ServiceKind, ServiceManager, ServiceUnit
from tests.adapters.host.machine import Machine, machine

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

NASTY = ("two words", "100%n", "$HOME ${PATH}", 'say "hi"', "it's", "back\\slash", "a;b|c&d", "*", "`id`", "")
REPORT = Path("/run/report.json")
LOG = Path("/var/log/testd.log")
PROGRAM = Path("/usr/local/bin/testd")


@pytest.fixture(scope="module", params=["systemd", "openrc"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    work = tmp_path_factory.mktemp("machine") / "work"
    work.mkdir()
    with machine(request.param, work) as booted:
        source = Path(__file__).with_name("daemon.py").read_bytes()
        booted.write(PROGRAM, b"#!/usr/bin/python3\n" + source, mode=0o755)
        yield booted


@pytest.fixture
async def manager(host: Machine) -> ServiceManager:
    return await detect(host, host)


def unit_of(mode: str, *args: str, env: dict[str, str] | None = None, program: Path = PROGRAM) -> ServiceUnit:
    return ServiceUnit(
        name="testd",
        description="A test 100% of the time",
        argv=(str(program), mode, str(REPORT), *args),
        env=env or {},
        log=LOG,
    )


@pytest.fixture
async def removed(host: Machine, manager: ServiceManager) -> AsyncIterator[None]:
    yield
    unit = unit_of("ready")
    for key in ("pid", "child"):
        if pid := saved_report(host).get(key):
            await host.run(["kill", "-9", str(pid)], check=False)
    await manager.remove(unit)
    host.remove(REPORT)
    host.remove(LOG)


async def install(host: Machine, manager: ServiceManager, unit: ServiceUnit) -> None:
    for file in manager.definition(unit):
        host.write(file.path, file.data, mode=file.mode, backup=False)
    await manager.reload()


async def report(host: Machine, *, other_than: int = 0) -> dict[str, Any]:
    async def there() -> bool:
        return bool(saved_report(host).get("pid", other_than) != other_than)

    assert await wait_for(there, 60.0), "the daemon did not report"
    return saved_report(host)


def saved_report(host: Machine) -> dict[str, Any]:
    saved = host.read(REPORT)
    found: dict[str, Any] = ast.literal_eval(saved.data.decode()) if saved else {}
    return found


async def alive(host: Machine, pid: int) -> bool:
    return (await host.run(["kill", "-0", str(pid)], check=False)).rc == 0


async def becomes_active(manager: ServiceManager) -> bool:
    async def active() -> bool:
        return (await manager.state("testd")).active

    return await wait_for(active, 30.0)


async def test_the_running_manager_is_detected_though_both_are_installed(
    host: Machine, manager: ServiceManager
) -> None:
    assert (await host.run(["sh", "-c", "command -v systemctl rc-service"])).rc == 0
    init = (await host.run(["cat", "/proc/1/comm"])).out.strip()
    wanted = {"systemd": (ServiceKind.SYSTEMD, SystemdServices), "openrc-init": (ServiceKind.OPENRC, OpenrcServices)}
    assert (manager.kind, type(manager)) == wanted[init]


async def test_unknown_service(manager: ServiceManager) -> None:
    state = await manager.state("testd")
    assert (state.installed, state.enabled, state.active, state.pid) == (False, False, False, 0)
    await manager.stop("testd")


async def test_life_of_a_service(host: Machine, manager: ServiceManager, removed: None) -> None:
    env = {f"NASTY{number}": value for number, value in enumerate(NASTY)}
    unit = unit_of("ready", *NASTY, env=env)
    await install(host, manager, unit)
    await manager.enable("testd")
    state = await manager.state("testd")
    assert (state.installed, state.enabled, state.active) == (True, True, False)

    await manager.start("testd")
    told = await report(host)
    assert told["argv"] == ["ready", str(REPORT), *NASTY]
    assert {key: told["env"].get(key) for key in env} == env
    assert await becomes_active(manager)
    state = await manager.state("testd")
    assert (state.active, state.pid) == (True, told["pid"])
    assert any("daemon is up in mode ready" in line for line in await manager.logs("testd", 20))

    await manager.start("testd")
    assert (await manager.state("testd")).pid == told["pid"], "starting twice starts once"

    if manager.kind is ServiceKind.OPENRC:
        assert "shared" in (await host.run(["findmnt", "-no", "PROPAGATION", "/"])).out
    limits = (await host.run(["cat", f"/proc/{told['pid']}/limits"])).out.splitlines()
    soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
    assert soft == hard or int(soft) >= 1048576

    await manager.restart("testd")
    again = await report(host, other_than=told["pid"])
    assert not await alive(host, told["pid"])
    assert (await manager.state("testd")).pid == again["pid"]

    await manager.stop("testd")
    state = await manager.state("testd")
    assert (state.active, state.pid) == (False, 0)
    assert state.detail
    assert not await alive(host, again["pid"])
    assert await alive(host, again["child"]), "containers must outlive a stop"

    await manager.remove(unit)
    state = await manager.state("testd")
    assert (state.installed, state.enabled, state.active) == (False, False, False)
    assert all(host.read(file.path) is None for file in manager.definition(unit))


async def test_environment_is_secret(host: Machine, manager: ServiceManager, removed: None) -> None:
    files = manager.definition(unit_of("ready", env={"K3S_TOKEN": "s3cret"}))
    assert {file.mode for file in files if b"s3cret" in file.data} == {0o600}


async def test_killed_program_is_restarted(host: Machine, manager: ServiceManager, removed: None) -> None:
    await install(host, manager, unit_of("ready"))
    await manager.start("testd")
    first = await report(host)
    await host.run(["kill", "-9", str(first["pid"])])
    second = await report(host, other_than=first["pid"])
    assert await alive(host, first["child"])
    assert await becomes_active(manager)
    assert (await manager.state("testd")).pid == second["pid"]


async def test_start_does_not_wait_for_readiness(host: Machine, manager: ServiceManager, removed: None) -> None:
    await install(host, manager, unit_of("mute"))
    await manager.start("testd")
    told = await report(host)
    state = await manager.state("testd")
    assert (state.active, state.pid) == (True, told["pid"])
    if manager.kind is ServiceKind.SYSTEMD:
        shown = await host.run(["systemctl", "show", "testd", "--property=ActiveState", "--value"])
        assert shown.out.strip() == "activating", "Type=notify is honoured, and start() has returned before"
        assert "activating" in state.detail
    await manager.restart("testd")
    assert (await report(host, other_than=told["pid"]))["pid"] == (await manager.state("testd")).pid
    await manager.stop("testd")


async def test_crash_at_start_shows_the_log(host: Machine, manager: ServiceManager, removed: None) -> None:
    await install(host, manager, unit_of("crash"))
    with pytest.raises(BeeyardError) as caught:
        await manager.start("testd")
    assert caught.value.code == "E-SVC-001"
    assert "flux capacitor" in caught.value.why
    assert caught.value.fix
    assert not (await manager.state("testd")).active


async def test_missing_program(host: Machine, manager: ServiceManager, removed: None) -> None:
    await install(host, manager, unit_of("ready", program=Path("/usr/local/bin/absent")))
    with pytest.raises(BeeyardError) as caught:
        await manager.start("testd")
    assert caught.value.code == "E-SVC-001"


async def test_program_that_ignores_the_stop(host: Machine, manager: ServiceManager, removed: None) -> None:
    await install(host, manager, unit_of("deaf"))
    await manager.start("testd")
    told = await report(host)
    with pytest.raises(DeadlineError) as caught:
        await manager.stop("testd", timeout=1.0)
    assert caught.value.code == "E-SVC-002"
    await host.run(["kill", "-9", str(told["pid"])])
    await manager.stop("testd")
    assert not (await manager.state("testd")).active


async def test_dead_openrc_supervisor(host: Machine, manager: ServiceManager, removed: None) -> None:
    if manager.kind is not ServiceKind.OPENRC:
        pytest.skip("systemd's supervisor is process 1")
    await install(host, manager, unit_of("ready"))
    await manager.start("testd")
    first = await report(host)
    await host.run(["sh", "-c", "kill -9 $(cat /run/testd.pid)"])
    state = await manager.state("testd")
    assert not state.active
    assert f"pid {first['pid']}" in state.detail
    await manager.start("testd")
    second = await report(host, other_than=first["pid"])
    assert not await alive(host, first["pid"]), "two at once would fight for ports"
    assert await alive(host, first["child"])
    assert (await manager.state("testd")).pid == second["pid"]


async def test_systemd_that_does_not_answer(host: Machine, manager: ServiceManager) -> None:
    if manager.kind is not ServiceKind.SYSTEMD:
        pytest.skip("OpenRC has no process to ask")
    impatient = SystemdServices(host, host, answer=0.5)
    os.kill(host.pid, signal.SIGSTOP)
    try:
        for ask in (impatient.state("testd"), impatient.start("testd"), impatient.stop("testd"), impatient.reload()):
            with pytest.raises(DeadlineError) as caught:
                await ask
            assert caught.value.code == "E-SVC-003"
    finally:
        os.kill(host.pid, signal.SIGCONT)


async def test_masked_unit(host: Machine, manager: ServiceManager, removed: None) -> None:
    if manager.kind is not ServiceKind.SYSTEMD:
        pytest.skip("only systemd has masks")
    await host.run(["systemctl", "mask", "testd.service"])
    assert "masked" in (await manager.state("testd")).detail
    with pytest.raises(BeeyardError, match="did not start") as caught:
        await manager.start("testd")
    assert "masked" in caught.value.why
    await host.run(["systemctl", "unmask", "testd.service"])
