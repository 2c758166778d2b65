"""The tap's process: found Python, started, read, and ended; it never outlives us."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

import installer
from installer.adapters.bpf import frames
from installer.domain.errors import BeeyardError, RefusedError

PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/bin/python3")
"""Where distributions keep the Python that their bcc is made for: no virtual environment's."""
_ROOT = Path(installer.__file__).parent.parent
_BOOT = "import sys; sys.path.append(sys.argv[1]); from installer.adapters.bpf.child.main import main; main()"
_LONGEST_LINE = 1 << 25
_PATIENCE = 3.0
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "BCC_KERNEL_SOURCE", "BCC_LINUX_VERSION_CODE", "BCC_KERNEL_MODULES_SUFFIX")


def find_python(candidates: Sequence[str] = PYTHONS) -> str:
    """Return the system's Python.

    Raises:
        RefusedError: ``E-BPF-003`` there is none.
    """
    for path in candidates:
        if shutil.which(path):
            return path
    raise RefusedError(
        "bcc is not there",
        why=f"There is no Python of the system that could have it: {', '.join(candidates)}.",
        fix="Install it: apt-get install python3-bpfcc (dnf and zypper: python3-bcc).",
        code="E-BPF-003",
    )


class TapProcess:
    """A running tap; ``frames`` gives what it tells, ``stop`` asks for the last frame."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._in, self._out = process.stdin, process.stdout
        self.complaints: deque[str] = deque(maxlen=200)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def send(self, text: str) -> None:
        """Write a line to it; one that is gone does not matter here."""
        with suppress(OSError):
            self._in.write(text.encode() + b"\n")
            await self._in.drain()

    async def frames(self) -> AsyncGenerator[frames.AnyFrame, None]:
        """Yield frames up to the last.

        Raises:
            RefusedError: ``E-BPF-*``, what the process refuses.
            BeeyardError: ``E-BPF-010`` it ended without a word.
        """
        while True:
            try:
                line = await self._out.readline()
                frame = frames.decode(line) if line else None
            except (ValueError, msgspec.MsgspecError) as problem:
                raise self._died(str(problem)) from problem
            match frame:
                case None:
                    await self._process.wait()
                    raise self._died(f"It ended with {self._process.returncode}.")
                case frames.Refused(code, what, why, fix):
                    raise RefusedError(what, why=self._with_compiler(why, code), fix=fix, code=code)
                case frames.End():
                    return
                case _:
                    yield frame

    def _with_compiler(self, why: str, code: str) -> str:
        """Add the compiler's first error, or the last words of the kernel's verifier."""
        errors = [line for line in self.complaints if "error:" in line]
        if code == "E-BPF-007" and errors:
            return f"{why}\n{errors[0]}"
        if code == "E-BPF-008" and self.complaints:
            return "\n".join([why, *[line for line in list(self.complaints)[-4:] if line]])
        return why

    def _died(self, why: str) -> BeeyardError:
        last = next((line for line in reversed(self.complaints) if line.strip()), "")
        return BeeyardError(
            "The tap's process ended",
            why=f"{why} {last}".strip(),
            fix="Start it again; nothing of it is left in the kernel. Report it when it ends again.",
            code="E-BPF-010",
        )

    async def listen(self) -> None:
        """Keep what it writes to stderr: bcc's compiler talks there."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.complaints.append(line.decode(errors="replace").rstrip())

    async def end(self) -> None:
        """End it: politely by closing its stdin, and by force when it does not listen."""
        self._in.close()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def run(wish: Mapping[str, object], python: str = "") -> AsyncIterator[TapProcess]:
    """Run a tap while the context is open.

    Args:
        wish: fields of ``child.program.Wish``, and ``interval`` in seconds.
        python: interpreter; empty: the system's.

    Raises:
        RefusedError: ``E-BPF-003`` no Python.
    """
    argv = [python or find_python(), "-s", "-c", _BOOT, str(_ROOT)]
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
        cwd="/",
        limit=_LONGEST_LINE,
        start_new_session=True,
    )
    tap = TapProcess(process)
    listening = asyncio.ensure_future(tap.listen())
    try:
        await tap.send(json.dumps(dict(wish)))
        yield tap
    finally:
        try:
            await _through(tap.end())
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError, ValueError):
                await listening


async def _through(work: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, however often this is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
