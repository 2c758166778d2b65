"""Rows and details that several cards have in common; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from installer.domain.overview import Unread
from installer.domain.readiness import Problem
from installer.domain.status import Notice, Status
from installer.tui.overview.cards import Card, Detail, Level, Row

TITLES = {
    "problems": "Problems",
    "nodes": "Nodes",
    "components": "Cilium and Hubble",
    "agents": "Agents",
    "namespaces": "Pods and policies",
    "versions": "Versions",
    "certificates": "Certificates",
    "events": "Warning events",
}
"""All cards, in the order in which they are walked through."""
EVIDENCE = 3
"""Events that are shown as evidence."""


def waiting_card(name: str, word: str) -> Card:
    """Return a card that is still being read, or cannot be."""
    return Card(name, TITLES[name], word)


def explain(title: str, level: Level, *parts: tuple[str, str], code: str = "") -> Detail:
    """Return what stands behind a row; parts without text are left out."""
    return Detail(title, level, tuple((label, text) for label, text in parts if text), code)


def empty_row(card: str, text: str, level: Level = Level.INFO, why: str = "") -> Row:
    """Return the row of a card that has none."""
    return Row(f"{card}-none", (text,), level, explain(text, level, ("", why)))


def notice_rows(status: Status, notices: Sequence[Notice], level: Level, problems: Sequence[Problem]) -> list[Row]:
    """Return rows of notices; the first of them are the readiness problems, which know their evidence apart."""
    return [notice_row(status, one, level, problem) for one, problem in zip_longest(notices, problems)]


def notice_row(status: Status, notice: Notice, level: Level, problem: Problem | None = None) -> Row:
    """Return the row of a notice: what it is about, its code, its words."""
    evidence = [problem.evidence] if problem is not None and problem.evidence else []
    evidence += related(status, notice.subject)
    detail = explain(
        problem.what if problem is not None else notice.text,
        level,
        ("About", notice.subject),
        ("Cause", notice.why),
        ("Evidence", "\n".join(evidence)),
        ("Fix", notice.fix),
        code=notice.code,
    )
    return Row(
        f"{notice.code} {notice.subject} {notice.text}", (notice.subject, notice.code, notice.text), level, detail
    )


def related(status: Status, subject: str) -> list[str]:
    """Return recent events about a subject."""
    found = [f"{one.reason}: {one.message}" for one in status.events if one.name and one.name in subject]
    return found[:EVIDENCE]


def unread_row(one: Unread) -> Row:
    """Return the row of something that could not be read."""
    rbac = f"verb '{one.verb}' on '{one.resource}'" if one.verb else ""
    where = f" in namespace '{one.namespace}'" if one.namespace else " in the whole cluster"
    detail = explain(
        f"Not read: {one.part}",
        Level.HINT,
        ("What", one.what),
        ("Missing", f"{rbac}{where}" if rbac else ""),
        ("Cause", one.why),
        ("Fix", one.fix),
        code=one.code,
    )
    return Row(f"unread-{one.part}", ("not read", one.code, f"{one.part}: {one.what}"), Level.HINT, detail)


def unique(rows: Iterable[Row]) -> list[Row]:
    """Leave out rows whose key came before: the cursor finds its row by it."""
    return list({row.key: row for row in rows}.values())


def problem_parts(problems: Iterable[Problem]) -> list[tuple[str, str]]:
    """Return cause, evidence and fix of problems."""
    return [
        (label, text)
        for one in problems
        for label, text in (("Cause", one.what), ("Evidence", one.evidence), ("Fix", one.fix))
    ]


def refusal_row(status: Status, part: str) -> Row | None:
    """Return the row that stands where something may not be read."""
    for one in status.unread_details:
        if one.part.startswith(part) or one.resource.startswith(part):
            return unread_row(one)
    return None
