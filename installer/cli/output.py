"""The only writer to the standard streams: stdout is data, stderr is talk."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

import click

from installer.domain.errors import BeeyardError
from installer.domain.text import printable


def data(text: str) -> None:
    """Write text to stdout."""
    _write(sys.stdout, text)


def data_json(value: Any, *, compact: bool = False) -> None:
    """Write JSON to stdout; ``compact`` gives one line (NDJSON)."""
    data(json.dumps(value, separators=(",", ":"), default=str) if compact else json.dumps(value, indent=2, default=str))


def data_yaml(value: Any) -> None:
    """Write YAML to stdout."""
    import yaml

    data(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120).rstrip())


def talk(text: str) -> None:
    """Write a line to stderr."""
    _write(sys.stderr, text)


def colour(stream: TextIO) -> bool:
    """Whether a stream takes colour: a terminal, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def error(problem: BeeyardError, *, log: str = "") -> None:
    """Write an error to stderr: what, why, fix, code, log."""
    bold = colour(sys.stderr)
    head = click.style("Error", fg="red", bold=True) if bold else "Error"
    talk(f"{head} {problem.code}: {printable(problem.what)}")
    for line in printable(problem.why).splitlines():
        talk(f"  {line}")
    explained = explanation(problem)
    for line in explained:
        talk(line)
    if problem.fix and not explained:
        talk(f"Fix: {printable(problem.fix)}")
    if log:
        talk(f"Log: {log}")


def explanation(problem: BeeyardError) -> list[str]:
    """Return the lines of the diagnosis that came with an error: cause, evidence, fix; none without one."""
    found = problem.details.get("diagnosis")
    if not found:
        return []
    from installer.cli.render_doctor import diagnosis_lines
    from installer.domain.diagnosis import Diagnosis

    return diagnosis_lines(Diagnosis.from_dict(found))


def _write(stream: TextIO, text: str) -> None:
    """Write a line; a reader that went away (``| head``) is no error."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
