"""What the areas share: running a tool whose absence is an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from installer.domain.errors import BeeyardError
from installer.ports.host import CommandResult, Processes

_MISSING = "E-HOST-001"
_GONE = (
    "no such", "cannot find device", "does not exist", "not found", "bad rule", "no chain/target/match",
    "invalid argument. we have an error talking", "no such process", "cannot assign requested address",
)  # fmt: skip


async def ask(processes: Processes, argv: Sequence[str]) -> CommandResult | None:
    """Run a tool that only looks; None where it is missing."""
    try:
        return await processes.run(argv, check=False)
    except BeeyardError as error:
        if error.code == _MISSING:
            return None
        raise


async def ask_json(processes: Processes, argv: Sequence[str]) -> list[dict[str, Any]] | None:
    """Run a tool that prints a JSON list; None where it is missing, an empty list where it has nothing to tell."""
    done = await ask(processes, argv)
    if done is None:
        return None
    if not done.out.strip():
        return []
    try:
        found = json.loads(done.out)
    except ValueError:
        return []
    return [one for one in found if one] if isinstance(found, list) else []


async def change(processes: Processes, argv: Sequence[str], *, stdin: bytes | None = None) -> str:
    """Run a tool that changes something; return its failure in one line, empty where it worked or all was gone."""
    done = await processes.run(argv, stdin=stdin, check=False)
    said = (done.err or done.out).strip()
    if done.rc == 0 or any(word in said.lower() for word in _GONE):
        return ""
    return f"{' '.join(argv)}: {said.splitlines()[-1] if said else f'exit status {done.rc}'}"
