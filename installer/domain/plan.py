"""What a run would change, said before anything changes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

from installer.domain.redact import Redactor

_SECRETS = Redactor()


@dataclass(frozen=True, slots=True)
class Change:
    """One change to the host or the cluster.

    Attributes:
        kind: ``file``, ``service``, ``download``, ``helm``, ``object`` (of the cluster), or ``proof`` (a check that
            changes nothing lasting).
        action: ``create``, ``update``, ``delete``, ``start``, ``restart``, ``enable``, ``install``, ``upgrade``,
            ``fetch`` or ``run``.
        target: path, service, URL or release.
        detail: one line for people.
        diff: unified diff of a file, secrets masked; empty where there is none.
        size: bytes to download, 0 when none or unknown.
    """

    kind: str
    action: str
    target: str
    detail: str = ""
    diff: str = ""
    size: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form without empty fields."""
        fields = ("kind", "action", "target", "detail", "diff", "size")
        return {name: getattr(self, name) for name in fields if getattr(self, name) not in ("", 0)}


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The changes of one step.

    Attributes:
        step: step id.
        title: what the step does.
        changes: its changes, in order; empty when nothing is to do.
    """

    step: str
    title: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of a run, by step.

    Attributes:
        steps: in order of the run.
        warnings: findings of preflight that do not stop the run, one line each.
    """

    steps: tuple[StepPlan, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def changes(self) -> list[Change]:
        """Return all changes that last (proofs left out)."""
        return [change for step in self.steps for change in step.changes if change.kind != "proof"]

    @property
    def download_bytes(self) -> int:
        """Return the bytes to download, as far as sizes are known."""
        return sum(change.size for change in self.changes if change.kind == "download")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "changes": len(self.changes),
            "downloadBytes": self.download_bytes,
            "warnings": list(self.warnings),
            "steps": [
                {"step": step.step, "title": step.title, "changes": [change.to_dict() for change in step.changes]}
                for step in self.steps
            ],
        }


def file_diff(path: str, before: bytes | None, after: bytes | None) -> str:
    """Return a unified diff of a file's text, ``None`` standing for no file; secrets are masked."""
    old = (before or b"").decode(errors="replace").splitlines()
    new = (after or b"").decode(errors="replace").splitlines()
    names = ("/dev/null" if before is None else path, "/dev/null" if after is None else path)
    return _SECRETS.mask("\n".join(difflib.unified_diff(old, new, *names, lineterm="")))
