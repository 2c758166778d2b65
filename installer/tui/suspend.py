"""Handing the terminal to another program and taking it back; what runs in the cockpit goes on meanwhile."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from installer.domain.errors import BeeyardError
from installer.tui.terminal import terminal_fd

if TYPE_CHECKING:
    from textual.app import App

_EDITORS = ("sensible-editor", "nano", "vim", "vi")


def editor(environment: Mapping[str, str]) -> list[str]:
    """Return the command of the user's editor: ``VISUAL``, ``EDITOR``, else a usual one.

    Raises:
        BeeyardError: ``E-TUI-002`` there is none.
    """
    path = environment.get("PATH")
    for variable in ("VISUAL", "EDITOR"):
        with suppress(ValueError):
            command = shlex.split(environment.get(variable, ""))
            if command and shutil.which(command[0], path=path):
                return command
    found = next((name for name in _EDITORS if shutil.which(name, path=path)), None)
    if found is None:
        raise _missing("an editor", "Set EDITOR to your editor, or install one (nano, vim).")
    return [found]


def pager(environment: Mapping[str, str]) -> list[str]:
    """Return the command of the user's pager.

    Raises:
        BeeyardError: ``E-TUI-002`` there is none.
    """
    command = shlex.split(environment.get("PAGER", "")) or ["less"]
    for candidate in (command, ["less"], ["more"]):
        if shutil.which(candidate[0], path=environment.get("PATH")):
            return candidate
    raise _missing("a pager", "Set PAGER, or install less.")


def shell(environment: Mapping[str, str]) -> list[str]:
    """Return the command of the user's shell."""
    wanted = environment.get("SHELL", "")
    return [wanted if wanted and shutil.which(wanted) else "/bin/sh"]


def kubectl(environment: Mapping[str, str], context: str) -> list[str]:
    """Return the command that looks into a cluster: k9s where it is there, else a shell beside kubectl.

    Raises:
        BeeyardError: ``E-TUI-002`` neither is there.
    """
    path = environment.get("PATH")
    if shutil.which("k9s", path=path):
        return ["k9s", *(["--context", context] if context else [])]
    if shutil.which("kubectl", path=path):
        return shell(environment)
    raise _missing("kubectl", "Install kubectl or k9s; on the k3s server kubectl comes with k3s.")


def _missing(what: str, fix: str) -> BeeyardError:
    return BeeyardError(f"There is no {what.removeprefix('an ').removeprefix('a ')} here", fix=fix, code="E-TUI-002")


async def hand_over(app: App[int], argv: Sequence[str], environment: Mapping[str, str], greeting: str = "") -> int:
    """Give the terminal to a program until it ends; its exit code is returned.

    The event loop runs on, only the screen is not drawn, so an install is not held up.

    Raises:
        BeeyardError: ``E-TUI-001`` this terminal cannot be handed over, ``E-TUI-002`` the program cannot be started.
    """
    try:
        with app.batch_update(), app.suspend():
            if greeting:
                os.write(terminal_fd(), f"{greeting}\r\n".encode())
            process = await asyncio.create_subprocess_exec(*argv, env=dict(environment), stderr=terminal_fd())
            return await process.wait()
    except SuspendNotSupported as error:
        raise BeeyardError(
            "The terminal cannot be handed to another program here",
            why="The cockpit runs in a browser or without a terminal of its own.",
            fix="Start beeyard in a terminal, or use a second one.",
            code="E-TUI-001",
        ) from error
    except OSError as error:
        raise BeeyardError(
            f"{argv[0]} cannot be started", why=error.strerror or str(error), fix="Check the program.", code="E-TUI-002"
        ) from error
