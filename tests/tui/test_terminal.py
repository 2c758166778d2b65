"""The cockpit on a real terminal: start, a shell and back, an editor, quitting; and C libraries kept off the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.tui.terminal import quiet_libraries, terminal_fd

SECONDS = 30


class Terminal:
    """A program on a terminal of 100x30."""

    def __init__(self, argv: list[str], environment: dict[str, str]):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.seen = b""

    def expect(self, text: bytes) -> None:
        """Read until the text has come; what stands before it is forgotten."""
        end = time.monotonic() + SECONDS
        while text not in self.seen:
            assert time.monotonic() < end, self.seen[-3000:]
            if select.select([self._master], [], [], 0.1)[0]:
                self.seen += os.read(self._master, 65536)
        self.seen = self.seen.partition(text)[2]

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def shut(self) -> None:
        """Shut the terminal, as an SSH connection that ends does."""
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._master >= 0:
            os.close(self._master)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A user without anything, whose shell and editor say what they were given."""
    for name, text in (
        ("shell", 'echo "[shell $KUBECONFIG]"; echo oops >&2'),
        ("editor", 'echo "theme: ansi-dark" > "$1"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "kubeconfig").write_text(
        '{"current-context": "x", "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],'
        ' "users": [{"name": "x", "user": {}}], "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}'
    )
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm-256color", "SHELL": str(tmp_path / "shell"),
        "EDITOR": str(tmp_path / "editor"), "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path),
    }  # fmt: skip


@pytest.fixture
def terminal(home: dict[str, str]) -> Iterator[Terminal]:
    opened = Terminal([sys.executable, "-m", "installer"], home)
    yield opened
    opened.close()


def test_it_leaves_when_the_terminal_is_gone(terminal: Terminal) -> None:
    terminal.expect(b"\x1b[?1049h")
    terminal.expect(b"out of reach")
    terminal.shut()
    assert terminal.process.wait(SECONDS) == 129


def test_it_leaves_when_told_that_the_terminal_is_gone(terminal: Terminal) -> None:
    terminal.expect(b"\x1b[?1049h")
    terminal.expect(b"out of reach")
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.process.wait(SECONDS) == 129


def test_start_shell_editor_and_quit(terminal: Terminal, home: dict[str, str]) -> None:
    terminal.expect(b"\x1b[?1049h")
    terminal.expect(b"out of reach")
    terminal.press(b"!")
    terminal.expect(b"\x1b[?1049l")
    terminal.expect(b"exit comes back")
    terminal.expect(f"[shell {home['KUBECONFIG']}]".encode())
    terminal.expect(b"oops")
    terminal.expect(b"\x1b[?1049h")
    terminal.expect(b"out of reach")
    terminal.press(b":")
    terminal.expect(b"Search for commands")
    terminal.press(b"edit settings")
    terminal.expect(b"in your editor")
    terminal.press(b"\r")
    terminal.expect(b"\x1b[?1049h")
    terminal.expect(b"out of reach")
    terminal.press(b"q")
    terminal.expect(b"\x1b[?1049l")
    assert terminal.process.wait(timeout=SECONDS) == 0
    assert Path(home["XDG_CONFIG_HOME"], "beeyard", "settings.yaml").read_text() == "theme: ansi-dark\n"
    log = Path(home["XDG_STATE_HOME"], "beeyard", "cockpit.log").read_text()
    assert "connection lost the Kubernetes API at https://127.0.0.1:1 is out of reach" in log


def test_without_a_terminal_it_says_so(home: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-m", "installer", "tui"], env=home, capture_output=True, text=True)
    assert done.returncode == 2
    assert "E-TUI-004" in done.stderr
    plain = subprocess.run([sys.executable, "-m", "installer"], env=home, capture_output=True, text=True)
    assert "Usage: beeyard" in plain.stdout + plain.stderr


def test_without_a_place_for_its_log_it_goes_on(home: dict[str, str], tmp_path: Path) -> None:
    opened = Terminal([sys.executable, "-m", "installer"], {**home, "XDG_STATE_HOME": str(tmp_path / "kubeconfig")})
    opened.expect(b"out of reach")
    opened.press(b"q")
    assert opened.process.wait(timeout=SECONDS) == 0
    opened.close()


def test_what_libraries_write_goes_to_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    with quiet_libraries(log):
        os.write(2, b"E0000 grpc says something\n")
        assert terminal_fd() != 2
        os.write(terminal_fd(), b"picture\n")
    os.write(2, b"after\n")
    assert log.read_text() == "E0000 grpc says something\n"
    assert capfd.readouterr().err == "picture\nafter\n"
    assert os.environ["GRPC_VERBOSITY"] == "NONE"
