"""Commands of the host, each in a process group of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from installer.domain.errors import BeeyardError, DeadlineError
from installer.ports.host import CommandResult

_LAST_LINES = 15
_DRAIN_SECONDS = 1.0


class LocalProcesses:
    """Runs commands on this host; implements ``installer.ports.host.Processes``.

    Every command is the leader of a new session, so that a timeout or a cancellation ends it together with its
    children. Arguments, streamed lines and errors pass through ``redact``; ``CommandResult.out`` and ``err`` are left
    as they are because callers parse them.
    """

    def __init__(self, redact: Callable[[str], str] = str, *, grace: float = 2.0) -> None:
        """Set up.

        Args:
            redact: masks secrets in a text.
            grace: seconds between SIGTERM and SIGKILL when a command has to be ended.
        """
        self._redact = redact
        self._grace = grace

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float = 60.0,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Run a command to its end.

        Args:
            argv: program and arguments.
            env: variables added to our own environment; messages are always in English (``LC_ALL``).
            stdin: bytes for standard input; none closes it.
            timeout: seconds until the command (and its group) is killed.
            check: raise on a non-zero exit status.
            on_line: called for every line of standard error and output as it comes, secrets masked.

        Raises:
            BeeyardError: ``E-HOST-001`` program missing, ``E-HOST-002`` non-zero exit (last lines in ``why``),
                ``E-HOST-004`` the program cannot be executed.
            DeadlineError: ``E-HOST-003`` timeout.
        """
        began = time.monotonic()
        shown = tuple(self._redact(arg) for arg in argv)
        output = _Output(self._line_sink(on_line))
        transport = await self._spawn(argv, shown, output, env, stdin)
        try:
            await self._finish(transport, output, stdin, timeout)
        except TimeoutError:
            raise self._timed_out(shown, output, timeout) from None
        finally:
            transport.close()
        rc = cast("int", transport.get_returncode())
        result = CommandResult(shown, rc, output.text(1), output.text(2), time.monotonic() - began)
        if check and rc != 0:
            raise self._failed(result)
        return result

    def _line_sink(self, on_line: Callable[[str], None] | None) -> Callable[[str], None] | None:
        if on_line is None:
            return None
        return lambda line: on_line(self._redact(line))

    async def _spawn(
        self,
        argv: Sequence[str],
        shown: tuple[str, ...],
        output: _Output,
        env: Mapping[str, str] | None,
        stdin: bytes | None,
    ) -> asyncio.SubprocessTransport:
        starting = asyncio.ensure_future(
            asyncio.get_running_loop().subprocess_exec(
                lambda: output,
                *argv,
                env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
                stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        )
        try:
            transport, _ = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _unhurried(starting)
            if starting.exception() is None:
                transport = starting.result()[0]
                try:
                    await self._end(transport.get_pid(), output)
                finally:
                    transport.close()
            raise
        except OSError as error:
            raise _cannot_run(shown, error) from error
        return transport

    async def _finish(
        self, transport: asyncio.SubprocessTransport, output: _Output, stdin: bytes | None, timeout: float
    ) -> None:
        ended = False
        try:
            if stdin is not None:
                _feed(transport, stdin)
            async with asyncio.timeout(timeout):
                await output.exited.wait()
            ended = True
            await output.drained(_DRAIN_SECONDS)
        finally:
            if not ended:
                await self._end(transport.get_pid(), output)

    async def _end(self, group: int, output: _Output) -> None:
        """End a process group: ask, wait, kill. A second cancellation kills at once."""
        try:
            _signal_group(group, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._grace):
                    await output.exited.wait()
        finally:
            _signal_group(group, signal.SIGKILL)
            await _unhurried(asyncio.ensure_future(output.exited.wait()))

    def _last_lines(self, *texts: str) -> str:
        lines = [line.rstrip() for text in texts for line in text.splitlines() if line.strip()]
        return self._redact("\n".join(lines[-_LAST_LINES:]))

    def _timed_out(self, shown: tuple[str, ...], output: _Output, timeout: float) -> DeadlineError:
        said = self._last_lines(output.text(1), output.text(2))
        return DeadlineError(
            f"{shown[0]} did not end within {timeout:g} s and was killed",
            why=said or "it printed nothing",
            fix=f"run it by hand to see where it hangs: {' '.join(shown)}",
            code="E-HOST-003",
            details={"argv": list(shown), "timeout": timeout},
        )

    def _failed(self, result: CommandResult) -> BeeyardError:
        how = f"exit status {result.rc}" if result.rc > 0 else f"killed by {signal.Signals(-result.rc).name}"
        return BeeyardError(
            f"{result.argv[0]} failed: {how}",
            why=self._last_lines(result.out, result.err) or "it printed nothing",
            fix=f"run it by hand to see more: {' '.join(result.argv)}",
            code="E-HOST-002",
            details={"argv": list(result.argv), "rc": result.rc},
        )


async def _unhurried(future: asyncio.Future[Any]) -> None:
    """Wait for what comes soon, however often the waiting is cancelled; its error is for others."""
    while not future.done():
        with suppress(asyncio.CancelledError, Exception):
            await asyncio.shield(future)


class _Output(asyncio.SubprocessProtocol):
    """Collects what a command prints and splits it into lines as it comes."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._on_line = on_line
        self._data: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self._rest: dict[int, bytes] = {1: b"", 2: b""}
        self._open = {1, 2}

    def text(self, fd: int) -> str:
        """Return everything that was printed on a descriptor."""
        return self._data[fd].decode(errors="replace")

    async def drained(self, seconds: float) -> None:
        """Wait for both pipes to close; a daemon left behind may hold them open for ever, so not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take a piece of output."""
        self._data[fd] += data
        if self._on_line is None:
            return
        *lines, self._rest[fd] = (self._rest[fd] + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        """Take the end of a pipe; a last line without newline counts as a line."""
        if self._on_line is not None and self._rest.get(fd):
            self._on_line(self._rest[fd].decode(errors="replace"))
            self._rest[fd] = b""
        self._open.discard(fd)
        if not self._open:
            self._closed.set()

    def process_exited(self) -> None:
        """Take the end of the process."""
        self.exited.set()


def _feed(transport: asyncio.SubprocessTransport, data: bytes) -> None:
    pipe = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
    pipe.write(data)
    pipe.write_eof()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _cannot_run(shown: tuple[str, ...], error: OSError) -> BeeyardError:
    program = shown[0]
    details = {"argv": list(shown)}
    if isinstance(error, FileNotFoundError):
        return BeeyardError(
            f"the program {program} is missing",
            why=f"{error.strerror}: {program}",
            fix=f"install the package that has {program}, or check PATH",
            code="E-HOST-001",
            details=details,
        )
    return BeeyardError(
        f"the program {program} cannot be run",
        why=f"{error.strerror}: {program}",
        fix="check that the file is executable, built for this machine, and not on a noexec mount",
        code="E-HOST-004",
        details=details,
    )
