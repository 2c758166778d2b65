"""A plan as text: what would change, in the words of ``--dry-run``."""

from __future__ import annotations

from installer.domain.plan import Change, Plan
from installer.domain.text import human_bytes, printable

_SIGN = {"create": "+", "install": "+", "fetch": "+", "enable": "+", "start": "+", "delete": "-", "run": "?"}


def render_plan(plan: Plan) -> str:
    """Return the plan as text."""
    lines: list[str] = []
    for step in plan.steps:
        if step.changes:
            lines += ["", f"{step.title}:"]
            lines += [line for change in step.changes for line in _change(change)]
    lines += ["", *(f"warning: {warning}" for warning in plan.warnings)]
    lines.append(_summary(plan))
    return printable("\n".join(lines).strip("\n"))


def _change(change: Change) -> list[str]:
    size = f" ({human_bytes(change.size)})" if change.size else ""
    detail = f"  {change.detail}" if change.detail else ""
    head = f"  {_SIGN.get(change.action, '~')} {change.action} {change.kind} {change.target}{size}{detail}"
    return [head, *(f"      {line}" for line in change.diff.splitlines())]


def _summary(plan: Plan) -> str:
    changes = plan.changes
    if not changes:
        return "Nothing to change."
    restarts = [change for change in changes if change.action == "restart"]
    parts = [f"{len(changes)} changes"]
    if plan.download_bytes:
        parts.append(f"{human_bytes(plan.download_bytes)} to download")
    parts.append(f"{len(restarts)} restarts" if restarts else "no restarts")
    return "Plan: " + ", ".join(parts) + "."
