"""pyhelm3's command class, made safe for us.

pyhelm3 runs helm through a shell and with our whole environment, and ends only the shell when it is cancelled. Here
helm is run from an argument list, in a process group of its own, with a private home and none of the user's ``HELM_*``
settings, under a deadline, and its failures become errors of ours.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyhelm3

from installer.adapters.helm.failures import failure
from installer.domain.errors import BeeyardError, DeadlineError

_GRACE_SECONDS = 5.0
_CLUSTERLESS = frozenset({"version", "template", "show"})


def helm_environment(home: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return our environment without what steers helm or names a cluster, and with a private home."""
    inherited = os.environ if base is None else base
    kept = {name: value for name, value in inherited.items() if not name.startswith("HELM_") and name != "KUBECONFIG"}
    private = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return {**kept, **private, "HELM_PLUGINS": str(home / "plugins"), "LC_ALL": "C.UTF-8"}


class HelmCommand(pyhelm3.Command):  # type: ignore[misc]  # pyhelm3 has no types
    """Runs one helm binary against one cluster."""

    def __init__(self, binary: Path, kubeconfig: Path | None, context: str | None, home: Path, timeout: float) -> None:
        """Set up; nothing is run.

        Args:
            binary: helm.
            kubeconfig: file that names the cluster.
            context: context in it, the current one by default.
            home: folder for helm's caches and settings.
            timeout: seconds for one helm command.
        """
        super().__init__(executable=str(binary), default_timeout=f"{int(timeout)}s")
        self._cluster = [f"--kubeconfig={kubeconfig}"] if kubeconfig else []
        self._cluster += [f"--kube-context={context}"] if context else []
        self._binary = binary
        self._home = home
        self._seconds = timeout

    async def run(self, command: Sequence[Any], input: bytes | None = None) -> bytes:  # noqa: A002  # pyhelm3's name
        """Run helm and return its standard output.

        Args:
            command: arguments, the subcommand first.
            input: standard input.

        Raises:
            ReleaseAbsentError: there is no such release.
            BeeyardError: anything else, see ``failures``; ``E-HELM-006`` helm cannot be run.
            DeadlineError: ``E-HELM-003``.
        """
        arguments = [str(part) for part in command]
        cluster = [] if arguments[0] in _CLUSTERLESS else self._cluster
        process = await self._spawn([*arguments, *cluster], with_input=input is not None)
        try:
            async with asyncio.timeout(self._seconds):
                out, err = await process.communicate(input)
        except TimeoutError:
            raise self._too_slow(arguments) from None
        finally:
            await _end(process)
        if process.returncode != 0:
            raise failure(_action(arguments), err.decode(errors="replace"))
        return out

    async def _spawn(self, arguments: list[str], *, with_input: bool) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                str(self._binary),
                *arguments,
                stdin=pipe if with_input else asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                env=helm_environment(self._home),
                start_new_session=True,
            )
        except OSError as error:
            raise BeeyardError(
                f"helm at {self._binary} cannot be run",
                why=str(error),
                fix="Name another helm (spec.downloads.helm.binary), or leave it out: beeyard fetches one.",
                code="E-HELM-006",
            ) from None

    def _too_slow(self, arguments: list[str]) -> DeadlineError:
        return DeadlineError(
            f"helm did not {_action(arguments)} within {self._seconds:g} s and was ended",
            fix="Check the load of the host and the API server, then run again.",
            code="E-HELM-003",
        )


def _action(arguments: list[str]) -> str:
    """Return what a command does, in words: ``upgrade cilium``."""
    return " ".join(part for part in arguments[:2] if not part.startswith("-"))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End helm if it still runs: ask (it then marks its release as failed), wait, kill."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
