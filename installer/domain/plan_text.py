"""A plan in words: what ``--dry-run`` prints and what the cockpit shows."""

from __future__ import annotations

from installer.domain.plan import Change, Plan, StepPlan
from installer.domain.text import human_bytes, printable

_SIGN = {"create": "+", "install": "+", "fetch": "+", "enable": "+", "start": "+", "delete": "-", "run": "?"}


def plan_text(plan: Plan) -> str:
    """Return the whole plan."""
    lines: list[str] = []
    for step in plan.steps:
        if step.changes:
            lines += ["", f"{step.title}:"]
            lines += [line for change in step.changes for line in _change(change)]
    lines += ["", *(f"warning: {warning}" for warning in plan.warnings)]
    lines.append(summary(plan))
    return printable("\n".join(lines).strip("\n"))


def sign(change: Change) -> str:
    """Return the sign of a change: ``+`` adds, ``~`` changes, ``-`` removes, ``?`` only looks."""
    return _SIGN.get(change.action, "~")


def headline(change: Change) -> str:
    """Return a change in one line, without its sign."""
    size = f" ({human_bytes(change.size)})" if change.size else ""
    detail = f"  {change.detail}" if change.detail else ""
    return f"{change.action} {change.kind} {change.target}{size}{detail}"


def summary(plan: Plan) -> str:
    """Return the plan in one line."""
    changes = plan.changes
    if not changes:
        return "Nothing to change."
    restarts = [change for change in changes if change.action == "restart"]
    parts = [f"{len(changes)} changes"]
    if plan.download_bytes:
        parts.append(f"{human_bytes(plan.download_bytes)} to download")
    parts.append(f"{len(restarts)} restarts" if restarts else "no restarts")
    return "Plan: " + ", ".join(parts) + "."


def step_summary(step: StepPlan) -> str:
    """Return what a step does in a few words, such as ``3 changes, 95.0 MB``."""
    if not step.changes:
        return "nothing to do"
    if all(change.kind == "proof" for change in step.changes):
        return "changes nothing"
    count, size = len(step.changes), sum(change.size for change in step.changes)
    parts = [f"{count} changes" if count > 1 else "1 change"]
    return ", ".join([*parts, human_bytes(size)] if size else parts)


def _change(change: Change) -> list[str]:
    return [f"  {sign(change)} {headline(change)}", *(f"      {line}" for line in change.diff.splitlines())]
