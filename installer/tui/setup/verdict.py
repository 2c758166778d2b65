"""What a judgement comes to, for rail, bar and plan page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from installer.domain.preflight import Level
from installer.domain.setup.catalog import BY_ID, PAGES
from installer.domain.setup.note import Note

if TYPE_CHECKING:
    from installer.domain.setup.judgement import Judgement
    from installer.domain.spec import ClusterSpec


def errors_by_page(judgement: Judgement) -> dict[str, int]:
    """Return how many errors stand on each page."""
    counts: dict[str, int] = {}
    for key, notes in judgement.notes.items():
        page = BY_ID[key].page if key in BY_ID else "host"
        counts[page] = counts.get(page, 0) + sum(note.level is Level.ERROR for note in notes)
    return counts


def verdict(judgement: Judgement, page: str, *, ascii_only: bool) -> Content:
    """Return all in one line, with the other pages that have errors."""
    errors, warnings = judgement.errors, judgement.warnings
    words = ", ".join(text for text in (_count(errors, "error"), _count(warnings, "warning")) if text)
    counts = errors_by_page(judgement)
    elsewhere = [one.title for one in PAGES if one.id != page and counts.get(one.id)]
    if elsewhere:
        words += f": see {', '.join(elsewhere)}"
    if errors:
        return Content.styled(f"{'x' if ascii_only else '✗'} {words}", "$error")
    sign = "v" if ascii_only else "✓"
    if warnings:
        return Content.styled(f"{sign} nothing stands in the way, {words}", "$warning")
    return Content.styled(f"{sign} nothing stands in the way", "$success")


def blocking(judgement: Judgement) -> list[tuple[str, Note]]:
    """Return the answers that make no specification, each with its title."""
    return [
        (BY_ID[key].title if key in BY_ID else "Other settings", note)
        for key, notes in judgement.notes.items()
        for note in notes
        if note.level is Level.ERROR and note.code.startswith("E-CONFIG")
    ]


def sources_of(spec: ClusterSpec) -> tuple[object, ...]:
    """Return what the sources are asked for."""
    return spec.downloads, spec.k3s.version, spec.k3s.channel, spec.k3s.registries, spec.cilium.version


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number > 1 else ''}" if number else ""
