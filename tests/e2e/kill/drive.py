"""Carries out one case in the world that it runs in: install, interruption, install again, state."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.kill import planted, processes, state
from tests.e2e.kill.cases import Case, Change, Told
from tests.e2e.kill.faults import CLOCK, FAULTS, Fault, Site
from tests.support import mirror
from tests.support.cluster import BEEYARD, ROOT, kubectl, objects
from tests.testbed.world_init import GATEWAY

HOOK = ROOT / "tests/e2e/kill/hook"
OWN = Path("/run/kill-matrix")
"""Where the harness keeps its own files in a world."""
TOLD, GO = OWN / "told", OWN / "go"
PORT = 8099
_BY_HOOK = ("kill", *CLOCK)
"""Faults that the hook carries out by itself at a change."""
RUN_LIMIT = 180.0
"""Seconds after which an install that a fault keeps waiting is killed as well."""


@dataclass(slots=True)
class Outcome:
    """What became of an install that was interrupted, perhaps several times.

    Attributes:
        cases: ids of the interruptions that came to pass, in order.
        ended: exit codes of the interrupted runs; below 0 the signal.
        resumed: seconds of the run after the last of them.
        lost: what the user misses.
        changes: changes that one more run would still make.
        error: why there is no result.
        state: final state.
    """

    cases: list[str]
    ended: list[int] = field(default_factory=list)
    resumed: float = 0.0
    lost: list[str] = field(default_factory=list)
    changes: int = 0
    error: str = ""
    state: state.State = field(default_factory=dict)


class Install:
    """An install of the testbed's bundle, or of a mirror of it."""

    def __init__(self, source: str, bundle: Path) -> None:
        self._source = source
        self._bundle = bundle
        self.mirror: subprocess.Popen[bytes] | None = None
        if source == "mirror":
            mirror.fill(OWN / "mirror", bundle)
            images = Path("/var/lib/rancher/k3s/agent/images")
            images.mkdir(parents=True)
            shutil.copy(bundle / "images/cilium-images.tar", images)  # nothing can be pulled here
            self.mirror = self.start_mirror()

    def start_mirror(self) -> subprocess.Popen[bytes]:
        """Serve the sources beyond the default route."""
        serve = [sys.executable, "-m", "http.server", "--bind", GATEWAY, "--directory", str(OWN / "mirror"), str(PORT)]
        command = ["ip", "netns", "exec", "outside", *serve]
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        asked = ["ip", "netns", "exec", "outside", "ss", "-Hltn", f"sport = :{PORT}"]
        processes.wait(lambda: subprocess.run(asked, capture_output=True, check=True).stdout, "the mirror")
        return started

    @property
    def arguments(self) -> list[str]:
        """What beeyard is called with."""
        if self._source == "bundle":
            return ["install", "--allow-unsupported", "--bundle", str(self._bundle)]
        return ["install", "--allow-unsupported", *mirror.sources(f"http://{GATEWAY}:{PORT}")]

    def start(self, plan: dict[str, Any] | None = None) -> subprocess.Popen[str]:
        """Start an install with its events on a pipe; `plan` is the hook's."""
        env = {**os.environ, "HOME": "/root"}
        if plan:
            env |= {"KILL_AT": json.dumps(plan), "PYTHONPATH": str(HOOK)}
        with (OWN / "stderr").open("ab") as talk:
            return subprocess.Popen(
                [BEEYARD, *self.arguments, "--yes", "-o", "json"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=talk, text=True, env=env,
            )  # fmt: skip


def interrupted(install: Install, case: Case) -> int:
    """Run an install that is interrupted; return its exit code.

    Raises:
        LookupError: the run ended well before it came to the point.
        RuntimeError: it failed by itself before.
    """
    at, fault = case.point.at, FAULTS[case.fault]
    with install.start(_plan(case)) as run, _limited(run):
        site = Site(run, install.mirror, install.start_mirror)
        events = _Events(run)
        if isinstance(at, Told) and not events.until(at):
            raise _missed(run, events)
        reader = threading.Thread(target=events.drain)
        reader.start()
        if isinstance(at, Told):
            fault.strike(site)
        elif case.fault not in _BY_HOOK:
            _stand_still(fault, site)
        fault.after(site)
        reader.join()
        code = run.wait()
        if isinstance(at, Change) and case.fault in ("kill", "clock-back") and code != -9:
            raise _missed(run, events)
    fault.mend(site)
    install.mirror = site.mirror
    return code


def _missed(run: subprocess.Popen[str], events: _Events | None = None) -> LookupError | RuntimeError:
    """Return the error of a run that never came to its point: a worse one where it failed by itself."""
    code, last = run.wait(), events.last() if events else ""
    return RuntimeError(f"it failed by itself ({code}): {_talk()}{last}") if code else LookupError(f"not there: {last}")


def _plan(case: Case) -> dict[str, Any] | None:
    at = case.point.at
    plan: dict[str, Any] = {}
    if case.fault == "clock-back":
        plan = {"clock": CLOCK[case.fault]}
    if isinstance(at, Change):
        then = {"kill": "kill", "clock-back": "kill", "clock-ahead": "clock"}.get(case.fault, "tell")
        plan |= {"match": at.match, "nth": at.nth, "then": then, "told": str(TOLD), "go": str(GO)}
        plan["seconds"] = CLOCK.get(case.fault, 0.0)
    return plan or None


def _stand_still(fault: Fault, site: Site) -> None:
    """Let the fault strike while the install waits right before one of its changes."""
    told = os.open(TOLD, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while not _read(told):
            if site.run.poll() is not None:
                raise _missed(site.run)
            time.sleep(0.005)
    finally:
        os.close(told)
    fault.strike(site)
    while site.run.poll() is None:
        with suppress(OSError):  # until it opens its end
            go = os.open(GO, os.O_WRONLY | os.O_NONBLOCK)
            os.write(go, b"go")
            os.close(go)
            return
        time.sleep(0.005)


def _read(handle: int) -> bytes:
    """Read what is there; nothing where the other side has opened its end and not written yet."""
    try:
        return os.read(handle, 100)
    except BlockingIOError:
        return b""


class _Events:
    """The events of a run as they come."""

    def __init__(self, run: subprocess.Popen[str]) -> None:
        assert run.stdout is not None
        self._lines: Iterator[str] = iter(run.stdout)
        self._tail: deque[str] = deque(maxlen=3)

    def until(self, at: Told) -> bool:
        """Read until the point is there; False where the run ends before."""
        left = at.nth
        for line in self._lines:
            self._tail.append(line[:1500])
            event = json.loads(line)
            if event["event"] == at.event and at.step in ("", event.get("step")) and at.text in line:
                left -= 1
            if left == 0:
                return True
        return False

    def drain(self) -> None:
        """Read to the end."""
        for line in self._lines:
            self._tail.append(line[:1500])

    def last(self) -> str:
        """Return the last events."""
        return "".join(self._tail)


@contextmanager
def _limited(run: subprocess.Popen[str]) -> Iterator[None]:
    timer = threading.Timer(RUN_LIMIT, run.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        run.kill()


def _talk() -> str:
    return (OWN / "stderr").read_text()[-1000:]


def finish(install: Install) -> float:
    """Run the install to its end; return its seconds.

    Raises:
        RuntimeError: it failed.
    """
    began = time.monotonic()
    with install.start() as run:
        events = _Events(run)
        events.drain()
        code = run.wait()
    if code:
        raise RuntimeError(f"the run after it ended with {code}: {_talk()}{events.last()}")
    return time.monotonic() - began


def changes_left(install: Install) -> int:
    """Return how many changes one more run would make."""
    command = [str(BEEYARD), *install.arguments, "--dry-run", "-o", "json"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    plan = next(json.loads(line) for line in said.splitlines() if '"event":"plan"' in line)
    return int(plan["plan"]["changes"])


def settle() -> None:
    """Wait until what was begun is done: pods run, the proof's namespace is gone."""
    processes.wait(lambda: "beeyard-verify" not in kubectl("get", "ns", "-o", "name"), "namespaces to go", 400)
    processes.wait(_all_ready, "pods to be ready", 200)
    processes.wait(lambda: not processes.helm(), "helm to end")
    processes.wait(_no_shim_too_many, "containers to end", 200)


def _no_shim_too_many() -> bool:
    return len(processes.named("containerd-shim-runc-v2")) <= len(objects("pods", "-A")["items"])


def _all_ready() -> bool:
    pods = objects("pods", "-A")["items"]
    return bool(pods) and all(
        pod["status"]["phase"] == "Running"
        and "deletionTimestamp" not in pod["metadata"]
        and all(one.get("ready") for one in pod["status"].get("containerStatuses", [{}]))
        for pod in pods
    )


def carry_out(cases: Sequence[Case], source: str, bundle: Path) -> Outcome:
    """Interrupt an install by each case in turn, run it to its end, look; without a case it is undisturbed."""
    outcome = Outcome([case.id for case in cases])
    prepare()
    try:
        planted.plant()
        install = Install(source, bundle)
        for case in cases:
            try:
                outcome.ended.append(interrupted(install, case))
            except LookupError:
                if len(outcome.cases) == 1:
                    raise
                outcome.cases.remove(case.id)  # an earlier run has done what this one was to be interrupted in
        outcome.resumed = finish(install)
        outcome.changes = changes_left(install)
        settle()
        outcome.lost = planted.lost()
        if install.mirror:
            install.mirror.kill()
            install.mirror.wait()
        outcome.state = state.capture()
    except (LookupError, RuntimeError, TimeoutError, AssertionError, OSError, subprocess.SubprocessError) as error:
        outcome.error = f"{type(error).__name__}: {error}"
    return outcome


def prepare() -> None:
    """Make what the harness needs in this world."""
    OWN.mkdir()
    socket.sethostname("node")  # a node's name is the host's, and is everywhere
    Path("/etc/hostname").write_text("node\n")
    for fifo in (TOLD, GO):
        os.mkfifo(fifo)
