"""A program that arms a guard and then does as it is told; run by path, so that it can be killed.

Lines on standard input: ``break COMMAND`` (runs it in a shell), ``leave`` (ends the guarded change well), ``fail``.
Every answer is a line on standard output.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from installer.adapters.host.guard.guard import HostGuard
from installer.adapters.host.processes import LocalProcesses
from installer.domain.errors import BeeyardError
from installer.services.guard import GuardService


async def shell(command: str) -> int:
    """Run a command and return its exit status."""
    return await (await asyncio.create_subprocess_shell(command)).wait()


async def main(folder: Path, log: Path, seconds: float, api: str) -> None:
    """Arm, and obey."""

    async def answers() -> bool:
        return await shell(api) == 0

    guard = HostGuard(LocalProcesses(), folder=folder, log=log)
    service = GuardService(guard, os.environ, print, shortly=1.0)
    try:
        async with service.over("a test", seconds=seconds, api=answers if api else None):
            print("armed", flush=True)
            while line := await asyncio.to_thread(sys.stdin.readline):
                verb, _, rest = line.strip().partition(" ")
                if verb == "break":
                    print("broken" if await shell(rest) == 0 else "it cannot be broken", flush=True)
                elif verb == "leave":
                    break
                else:
                    raise BeeyardError("it failed", code="E-TEST-001")
        print("left", flush=True)
    except BeeyardError as error:
        print(f"{error.code} {error.what}: {error.why}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
