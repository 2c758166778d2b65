"""Keeps one program running on a host without a service manager.

A program of its own, run by path (``python -I -S supervisor.py start FOLDER``): it imports nothing of beeyard and
little of the standard library, so that it costs a few megabytes and goes on when beeyard is upgraded. ``start`` leaves
a supervisor behind that is detached from terminal and session.

The folder holds ``unit.json`` (argv, log, prepare, backoff), ``env.json`` (environment), ``lock`` (held by the living
supervisor), ``supervisor.json`` and ``child.json`` (pid, start time, boot id) and ``state.json`` (restarts, last end).

Only the main process is stopped, its children stay, as with systemd's ``KillMode=process``. Its output goes straight
to the log file, not through a pipe of ours, so it survives the supervisor; a program found running is taken over.
There is no ``NOTIFY_SOCKET``: k3s skips ``sd_notify`` without one, and readiness is judged by its API.
"""

# pathlib would cost time and memory that this small program can do without.
# ruff: noqa: PTH105, PTH108, PTH123, PTH202
from __future__ import annotations

import fcntl
import json
import os
import resource
import select
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn

BOOT_ID = "/proc/sys/kernel/random/boot_id"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOG_LIMIT = 16 * 1024 * 1024
TICK_SECONDS = 5.0
ADOPTED_TICK_SECONDS = 0.5
KILL_SECONDS = 75.0
OPEN_FILES = 1048576

Record = dict[str, Any]


def read_json(path: str) -> Record:
    """Return a JSON object; empty where there is none or it is broken."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: str, record: Record) -> None:
    """Write a JSON object atomically, mode 0600."""
    handle = os.open(f"{path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(record, file)
    os.replace(f"{path}.tmp", path)


def start_time(pid: int) -> int:
    """Return when a process began, in ticks since boot; 0 where there is none or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


class Folder:
    """Files of one supervised service."""

    def __init__(self, path: str, boot_id_file: str = BOOT_ID) -> None:
        self.path = path
        with open(boot_id_file, encoding="utf-8") as file:
            self.boot_id = file.read().strip()

    def file(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return f"{self.path}/{name}"

    def save_process(self, name: str, pid: int) -> None:
        """Write down a process so that it is recognised later."""
        write_json(self.file(name), {"pid": pid, "start": start_time(pid), "boot": self.boot_id})

    def living(self, name: str) -> int:
        """Return the pid written down if that very process lives, else 0; a recycled pid has another start time."""
        record = read_json(self.file(name))
        pid = int(record.get("pid", 0))
        same = record.get("boot") == self.boot_id and pid > 0 and start_time(pid) == record.get("start") != 0
        return pid if same else 0

    def idle(self) -> bool:
        """Whether no supervisor holds the lock."""
        handle = self.lock()
        if handle is not None:
            os.close(handle)
        return handle is not None

    def rebooted(self) -> bool:
        """Whether the last supervisor belongs to another boot."""
        record = read_json(self.file("supervisor.json"))
        return bool(record) and record.get("boot") != self.boot_id

    def lock(self) -> int | None:
        """Take the supervisor's lock; None when another one holds it."""
        handle = os.open(self.file("lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle


class Supervisor:
    """Runs the program of a folder until it is told to stop."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.unit = read_json(folder.file("unit.json"))
        self.stopping = False
        self.restarts = 0
        self.child = 0
        self.adopted = False
        self.began = 0.0
        self.wake, self._poke = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def listen(self) -> None:
        """Take SIGTERM as the order to stop; nothing else ends us."""
        signal.set_wakeup_fd(self._poke, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def sleep(self, seconds: float) -> None:
        """Wait until a signal comes, at most so long."""
        if select.select([self.wake], [], [], max(0.0, seconds))[0]:
            os.read(self.wake, 512)

    def say(self, text: str) -> None:
        """Write a line of our own into the program's log."""
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} beeyard-supervisor: {text}\n"
        handle = self.open_log()
        os.write(handle, line.encode())
        os.close(handle)

    def open_log(self) -> int:
        """Open the log for appending; where that fails, say it to nobody rather than stop the program."""
        try:
            return os.open(self.unit["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def bound_log(self) -> None:
        """Keep the log small: copy it to ``LOG.1`` and cut it (the program appends, so it goes on at the start)."""
        path = self.unit["log"]
        try:
            if os.path.getsize(path) <= self.unit.get("log_limit", LOG_LIMIT):
                return
            with open(path, "r+b") as log, open(f"{path}.1", "wb", opener=_private) as old:
                while os.sendfile(old.fileno(), log.fileno(), None, 1 << 20):
                    pass
                log.truncate(0)
        except OSError:
            return

    def prepare(self) -> None:
        """Run the commands that make the host ready; a failure is logged and does not matter."""
        for argv in self.unit.get("prepare", []):
            pid = self.spawn(argv, note=False)
            _, status = os.waitpid(pid, 0)
            if status:
                self.say(f"{' '.join(argv)} ended with status {os.waitstatus_to_exitcode(status)}")

    def spawn(self, argv: list[str], *, note: bool) -> int:
        """Start a program in a session of its own, output to the log.

        With ``note`` it writes itself down before it turns into the program: whatever kills us, it is not forgotten.
        We wait for that, because whoever is told of the start looks there.
        """
        env = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **read_json(self.folder.file("env.json"))}
        log = self.open_log()
        noted, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            if note:
                self.folder.save_process("child.json", os.getpid())
            os.close(writer)
            _become(argv, env, log)
        for handle in (writer, log):
            os.close(handle)
        os.read(noted, 1)
        os.close(noted)
        return pid

    def start(self) -> None:
        """Start the program, or take over the one that a dead supervisor has left behind."""
        self.child = self.folder.living("child.json")
        self.adopted = self.child != 0
        if not self.adopted:
            self.child = self.spawn(self.unit["argv"], note=True)
        self.began = time.monotonic()
        self.say(f"{'took over' if self.adopted else 'started'} {self.unit['argv'][0]} as pid {self.child}")
        self.save_state(last="")

    def save_state(self, *, last: str, delay: float = 0.0) -> None:
        """Write down how it goes: restarts so far, how the program ended last, seconds until the next try."""
        write_json(self.folder.file("state.json"), {"restarts": self.restarts, "last": last, "delay": delay})

    def ended(self) -> str:
        """Return how the program ended, or an empty text while it runs."""
        if self.adopted:
            return "" if self.folder.living("child.json") else "it ended (status unknown)"
        pid, status = os.waitpid(self.child, os.WNOHANG)
        if pid == 0:
            return ""
        code = os.waitstatus_to_exitcode(status)
        return f"exit status {code}" if code >= 0 else f"killed by signal {-code}"

    def wait(self) -> str:
        """Wait for the program's end or the order to stop; return how it ended."""
        while not (how := self.ended()) and not self.stopping:
            self.bound_log()
            self.sleep(ADOPTED_TICK_SECONDS if self.adopted else TICK_SECONDS)
        return how

    def stop_child(self) -> None:
        """End the program itself: SIGTERM, and SIGKILL when it does not listen."""
        deadline = time.monotonic() + self.unit.get("kill_after", KILL_SECONDS)
        _signal(self.child, signal.SIGTERM)
        while not self.ended():
            left = deadline - time.monotonic()
            if left <= 0:
                self.say(f"pid {self.child} ignores SIGTERM, killing it")
                _signal(self.child, signal.SIGKILL)
                deadline += KILL_SECONDS
            self.sleep(min(max(left, 0.1), ADOPTED_TICK_SECONDS))

    def pause(self, how: str) -> None:
        """Wait before the next start, longer each time unless the program had lived a while."""
        first, most, calm = self.unit.get("backoff", [1.0, 60.0, 60.0])
        if time.monotonic() - self.began >= calm:
            self.restarts = 0
        delay = min(most, first * 2 ** min(self.restarts, 16))
        self.restarts += 1
        self.say(f"pid {self.child} ended: {how}; next start in {delay:g} s")
        self.save_state(last=how, delay=delay)
        end = time.monotonic() + delay
        while not self.stopping and (left := end - time.monotonic()) > 0:
            self.sleep(left)

    def run(self, started: int) -> None:
        """Keep the program running until the order to stop; write to ``started`` when it runs for the first time."""
        self.prepare()
        while not self.stopping:
            self.start()
            if started >= 0:
                os.write(started, b"1")
                os.close(started)
                started = -1
            how = self.wait()
            if how and not self.stopping:
                self.pause(how)
            elif not how:
                self.stop_child()
        self.say("stopped")
        for name in ("child.json", "state.json", "supervisor.json"):
            _unlink(self.folder.file(name))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _become(argv: list[str], env: dict[str, str], log: int) -> NoReturn:
    """Turn this forked process into the program."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(log, 1)
        os.dup2(log, 2)
        _raise_limits()
        os.execve(argv[0] if "/" in argv[0] else "/usr/bin/env", _argv(argv), env)  # noqa: S606
    except OSError as error:
        os.write(log, f"beeyard-supervisor: {argv[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _argv(argv: list[str]) -> list[str]:
    return argv if "/" in argv[0] else ["env", *argv]


def _raise_limits() -> None:
    """Allow as many open files as the hard limit, or root's power to raise it, permits."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted in (OPEN_FILES, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        except (OSError, ValueError):
            continue
        return


def _detach(log: int) -> None:
    """Leave terminal, session, and the files of our starter."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o022)
    null = os.open(os.devnull, os.O_RDWR)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)


def start(folder: Folder) -> int:
    """Leave a supervisor behind; return once it has started the program."""
    lock = folder.lock()
    if lock is None:
        return 0
    supervisor = Supervisor(folder)
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.close(lock)
        return 0 if os.read(reader, 1) else 1
    _detach(supervisor.open_log())
    folder.save_process("supervisor.json", os.getpid())
    supervisor.listen()
    supervisor.run(writer)
    return 0


def stop(folder: Folder, timeout: float) -> int:
    """Stop supervisor and program; 1 when they did not end within ``timeout`` seconds."""
    end = time.monotonic() + timeout
    if not folder.living("supervisor.json") and (orphan := folder.living("child.json")):
        _signal(orphan, signal.SIGTERM)
    if pid := folder.living("supervisor.json"):
        _signal(pid, signal.SIGTERM)
    while folder.living("child.json") or not folder.idle():
        if time.monotonic() >= end:
            return 1
        time.sleep(0.02)
    return 0


def status(folder: Folder) -> int:
    """Print what is known as JSON."""
    record = {
        "supervisor": folder.living("supervisor.json"),
        "pid": folder.living("child.json"),
        "rebooted": folder.rebooted(),
        "known": bool(read_json(folder.file("supervisor.json"))),
        **read_json(folder.file("state.json")),
    }
    sys.stdout.write(json.dumps(record) + "\n")
    return 0


def main(argv: list[str]) -> int:
    """Run ``start|stop|status FOLDER BOOT_ID_FILE [TIMEOUT]``."""
    verb, path, boot_id_file, *rest = argv
    folder = Folder(path, boot_id_file)
    if verb == "start":
        return start(folder)
    if verb == "stop":
        return stop(folder, float(rest[0]))
    return status(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
