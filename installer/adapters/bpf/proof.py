"""Proves what a kernel can do, by a process of its own."""

from __future__ import annotations

import contextlib
import json
import platform
import sys
import time
from collections.abc import Sequence
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.kernel.proof import KernelProof, ModuleState, Outcome, Verdict
from installer.ports.host import Processes

# Isolated: no module of the folder we happen to stand in is taken for ours.
COMMAND = (sys.executable, "-I", "-m", "installer.adapters.bpf.proof_worker")
"""The process that tries; it prints what it finds line by line."""


async def prove(processes: Processes, *, command: Sequence[str] = COMMAND, timeout: float = 20.0) -> KernelProof:
    """Try every feature of the table on the running kernel; nothing is left behind, and no error is raised.

    Args:
        processes: runs the process that tries.
        command: that process.
        timeout: seconds until it is killed; what it found by then counts.
    """
    lines: list[str] = []
    begun, trouble = time.monotonic(), ""
    try:
        done = await processes.run(command, check=False, timeout=timeout, on_line=lines.append)
        if done.rc:
            trouble = f"the process that tries ended with {_how(done.rc)}: {_last(done.err)}".rstrip(": ")
    except BeeyardError as error:
        trouble = f"{error.what}: {error.why}".rstrip(": ")
    return read_proof(lines, trouble, time.monotonic() - begun)


def _how(rc: int) -> str:
    return f"signal {-rc}" if rc < 0 else f"exit status {rc}"


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def read_proof(lines: Sequence[str], trouble: str = "", seconds: float = 0.0) -> KernelProof:
    """Return what the lines of the process that tries say."""
    told: dict[str, Any] = {}
    outcomes = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # a line of the interpreter, or one that was cut off
            record = json.loads(line)
            if "feature" in record:
                outcomes[str(record["feature"])] = _outcome(record)
            else:
                told |= record
    return KernelProof(
        release=str(told.get("release", platform.release())),
        outcomes=outcomes,
        config=told.get("config", {}),
        config_source=str(told.get("source", "")),
        modules={name: ModuleState(state) for name, state in told.get("modules", {}).items()},
        loaded=tuple(told.get("loaded", ())),
        trouble=trouble,
        seconds=seconds,
    )


def _outcome(record: dict[str, str]) -> Outcome:
    return Outcome(Verdict(record["verdict"]), record["evidence"], record["fix"])
