"""Runs the commands of a build and talks about them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class BuildError(RuntimeError):
    """A build step failed; the message says which and why."""


def say(text: str) -> None:
    """Print progress for people: stdout is kept for results."""
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def run(
    argv: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, log: Path | None = None
) -> str:
    """Run a command and return its stdout; a failure shows the end of what it said."""
    merged = {**os.environ, **env} if env else None
    done = subprocess.run(argv, cwd=cwd, env=merged, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    if log:
        log.write_text(text)
    if done.returncode:
        tail = "\n".join(text.splitlines()[-25:])
        raise BuildError(f"`{' '.join(argv)[:200]}` ended with {done.returncode}:\n{tail}")
    return text
