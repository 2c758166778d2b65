"""A report of a run to send to somebody: plan, log, error and versions, with every secret masked."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from installer import __version__
from installer.domain.errors import BeeyardError
from installer.domain.redact import Redactor
from installer.domain.run_view import RunView


def report(view: RunView, redactor: Redactor, now: float) -> dict[str, Any]:
    """Return the report.

    Args:
        view: the run.
        redactor: knows the run's secrets.
        now: UNIX time in seconds.
    """
    log = [view.log[number] for number in range(view.log.first, view.log.added)]
    data = {
        "report": "beeyard/v1alpha1",
        "written": now,
        "versions": {"beeyard": __version__, "python": platform.python_version(), "kernel": platform.release()},
        "run": {"id": view.run_id, "began": view.began, "ended": view.ended, "ok": view.ok, "resumed": view.resumed},
        "error": view.error.to_dict() if view.error else None,
        "steps": [
            {"step": step.id, "state": str(step.state), "seconds": step.seconds, "note": step.note}
            for step in view.steps.values()
        ],
        "plan": view.plan.to_dict() if view.plan else None,
        "readiness": view.snapshot.to_dict() if view.snapshot else None,
        "log": [{"at": one.at, "step": one.step, "level": one.level, "text": one.text} for one in log],
    }
    masked: dict[str, Any] = redactor.mask_data(data)
    return masked


def save_report(view: RunView, redactor: Redactor, folder: Path, *, now: float) -> Path:
    """Write the report (0600) into a folder and return its path; an older one is never overwritten.

    Raises:
        BeeyardError: ``E-RUN-012`` it cannot be written.
    """
    text = json.dumps(report(view, redactor, now), indent=2, default=str) + "\n"
    stamp = view.run_id or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    path = folder / f"beeyard-report-{stamp}.json"
    for number in range(2, 100):
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            path = folder / f"beeyard-report-{stamp}-{number}.json"
            continue
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            with os.fdopen(fd, "w") as file:
                file.write(text)
        except OSError as error:
            raise _unwritable(path, error) from error
        return path
    raise BeeyardError(
        "the report was not saved", why=f"{folder} holds many already.", fix="Remove some.", code="E-RUN-012"
    )


def _unwritable(path: Path, error: OSError) -> BeeyardError:
    return BeeyardError(
        "the report was not saved",
        why=f"{path}: {error.strerror or error}",
        fix="Start beeyard in a folder that you may write to.",
        code="E-RUN-012",
    )
