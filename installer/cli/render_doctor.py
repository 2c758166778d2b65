"""What a diagnosis and a checkup look like as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from installer.domain.diagnosis import Cause, Diagnosis
from installer.domain.text import printable
from installer.services.doctor import Checkup

WIDTH = 100


def render(found: Checkup) -> str:
    """Return a checkup: causes worst first, then what follows, warnings, and what could not be read."""
    parts = [*_diagnosis(found.diagnosis)]
    if found.notes:
        parts.append(
            "\n".join(["Worth knowing:", *(line for one in found.notes for line in _note(one.code, one.what))])
        )
    if found.unread:
        parts.append("\n".join(["Not read:", *(line for one in found.unread for line in _wrapped("  ", one))]))
    parts.append(_verdict(found))
    return printable("\n\n".join(parts))


def diagnosis_lines(found: Diagnosis) -> list[str]:
    """Return a diagnosis as it stands below an error: one cause, its evidence, one fix, and what else there is."""
    if found.cause is None:
        return []
    lines = list(_cause(found.cause, "Cause"))
    for other in found.causes[1:]:
        lines += _wrapped("Also:  ", f"{other.code} {other.what}")
    return [printable(line) for line in lines]


def _diagnosis(found: Diagnosis) -> Iterator[str]:
    for number, cause in enumerate(found.causes, start=1):
        yield "\n".join(_cause(cause, f"{number}."))
    if found.consequences:
        lines = [line for one in found.consequences for line in _note(one.code, f"{one.what} (from {one.follows})")]
        yield "\n".join(["What follows from that, and goes with it:", *lines])


def _cause(cause: Cause, head: str) -> Iterator[str]:
    mode = f" (failure mode {cause.mode})" if cause.mode else ""
    yield from _wrapped(f"{head} {cause.code}  ", f"{cause.what}{mode}")
    more = f" ({cause.count} lines say so)" if cause.count > 1 else ""
    if cause.evidence:
        yield from _wrapped("   found: ", cause.evidence)
        yield from _wrapped("      in: ", f"{cause.where}{more}")
    if cause.why:
        yield from _wrapped("     why: ", cause.why)
    if cause.fix:
        yield from _wrapped("     fix: ", cause.fix)


def _note(code: str, text: str) -> list[str]:
    return _wrapped(f"  {code}  ", text)


def _wrapped(head: str, text: str) -> list[str]:
    """Return text beside a head; long words such as commands' arguments stay whole."""
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
        break_long_words=False,
    ) or [head.rstrip()]


def _verdict(found: Checkup) -> str:
    things = f"{len(found.looked)} things looked at"
    where = f", {found.cluster} among them" if found.cluster else "; no cluster was reached"
    if found.ok:
        return f"Nothing wrong found, {things}{where}."
    count = len(found.diagnosis.causes)
    return f"{count} cause{'s' * (count != 1)} found, {things}{where}. The first is to be mended first."
