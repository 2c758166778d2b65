"""From an overview to its cards; pure."""

from __future__ import annotations

from installer.domain.errors import BeeyardError
from installer.domain.overview import Overview
from installer.domain.status import Status
from installer.tui.overview.cards import Card, Level, Row
from installer.tui.overview.fact_cards import certificates_card, events_card, namespaces_card, versions_card
from installer.tui.overview.rows import (
    TITLES,
    empty_row,
    explain,
    notice_rows,
    unique,
    unread_row,
    waiting_card,
)
from installer.tui.overview.running_cards import agents_card, components_card, nodes_card


def make_cards(overview: Overview, error: BeeyardError | None, now: float) -> tuple[Card, ...]:
    """Return all cards.

    Args:
        overview: what is known.
        error: why the cluster cannot be reached, None where it can.
        now: UNIX time, for ages.
    """
    status = overview.status
    first = _problems(status, overview, error)
    if status is None:
        word = "not known" if error is not None else "reading"
        return first, *(waiting_card(name, word) for name in TITLES if name != "problems")
    return (
        first,
        nodes_card(status),
        components_card(status),
        agents_card(status, overview),
        namespaces_card(status),
        versions_card(status),
        certificates_card(status, overview),
        events_card(status, now),
    )


def _problems(status: Status | None, overview: Overview, error: BeeyardError | None) -> Card:
    rows = [] if error is None else [_connection_row(error)]
    if status is not None:
        if overview.lost and error is None:
            rows.append(_lost_row(overview.lost))
        rows += _cause_rows(status)
        rows += notice_rows(status, status.errors, Level.ERROR, status.snapshot.problems)
        rows += notice_rows(status, status.warnings, Level.WARNING, ())
        rows += [unread_row(one) for one in status.unread_details]
    summary = _problem_summary(status, overview, reached=error is None and not overview.lost)
    return Card(
        "problems", TITLES["problems"], summary, tuple(unique(rows) or [_calm_row(status)]), optional=(1,), share=60
    )


def _cause_rows(status: Status) -> list[Row]:
    """Return what is to be mended first, where the problems below have a cause behind them."""
    cause = status.diagnosis.cause
    if cause is None or not cause.code.startswith("E-DIA-"):
        return []
    follows = "\n".join(f"{one.code} {one.what}" for one in status.diagnosis.consequences)
    parts = (
        ("Cause", cause.why),
        ("Evidence", cause.evidence),
        ("In", cause.where),
        ("Fix", cause.fix),
        ("Follows", follows),
    )
    detail = explain(cause.what, Level.ERROR, *parts, code=cause.code)
    return [Row(f"cause-{cause.code}", ("cause", cause.code, cause.what), Level.ERROR, detail)]


def _calm_row(status: Status | None) -> Row:
    if status is None:
        return empty_row("problems", "Reading the cluster.")
    why = "Every part is ready, every policy is accepted, all could be read, and no certificate ends soon."
    return empty_row("problems", "Nothing is wrong.", Level.OK, why)


def _problem_summary(status: Status | None, overview: Overview, *, reached: bool) -> str:
    if status is None:
        return ""
    if not reached:
        return "out of reach, older below"
    counts = {"error": len(status.errors), "warning": len(status.warnings)}
    words = [f"{count} {word}{'s' * (count != 1)}" for word, count in counts.items() if count]
    words += ["not all can be read"] if status.unread_details else []
    words += [f"still reading {', '.join(overview.pending)}"] if overview.pending else []
    return ", ".join(words) or "none"


def _lost_row(why: str) -> Row:
    text = "the API does not answer; what is shown may be old"
    detail = explain(text, Level.WARNING, ("Cause", why), ("Fix", "Nothing: it is tried again by itself."))
    return Row("lost", ("cluster", "", text), Level.WARNING, detail)


def _connection_row(error: BeeyardError) -> Row:
    facts = "\n".join(f"{name}: {value}" for name, value in error.details.items() if value)
    detail = explain(
        error.what, Level.ERROR, ("Cause", error.why), ("Fix", error.fix), ("Facts", facts), code=error.code
    )
    return Row(f"connection-{error.code}", ("cluster", error.code, error.what), Level.ERROR, detail)
