"""Going through the table: which rules hold, what explains what, and in which order it is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from installer.domain.diagnosis.cause import Cause, Diagnosis
from installer.domain.diagnosis.evidence import LOGS, Evidence
from installer.domain.diagnosis.parts import Part, depth, needs, part_of
from installer.domain.diagnosis.rule import Rule
from installer.domain.diagnosis.table import RULES
from installer.domain.redact import Redactor


def diagnose(
    evidence: Iterable[Evidence],
    *,
    ready: Collection[Part] = (),
    known: Iterable[Cause] = (),
    rules: Sequence[Rule] = RULES,
) -> Diagnosis:
    """Find the causes.

    Args:
        evidence: all lines that were read.
        ready: parts that work: what logs say of them is of the past.
        known: causes that others have found already, such as checks of the host, and problems that want explaining:
            one whose part (or what that needs) has a cause of its own follows from it.
        rules: the table.
    """
    lines = list(dict.fromkeys(evidence))
    found = [cause for rule in rules if (cause := _judge(rule, lines, ready)) is not None]
    ranked = _ranked(found, list(known), ready)
    return Diagnosis(tuple(map(_masked, ranked.causes)), tuple(map(_masked, ranked.consequences)))


_SECRETS = Redactor()
"""Finds secrets by their forms: a line of a log may have one in it."""


def _masked(cause: Cause) -> Cause:
    return replace(cause, what=_SECRETS.mask(cause.what), evidence=_SECRETS.mask(cause.evidence))


def _judge(rule: Rule, lines: Sequence[Evidence], ready: Collection[Part]) -> Cause | None:
    if any(clue.is_in(lines) for clue in rule.unless) or not all(clue.is_in(lines) for clue in rule.also):
        return None
    hits = list(_hits(rule, lines))
    present = any(_is_present(line, part, ready) for line, _, part in hits)
    if not hits or not (present or (rule.lasting and len(hits) >= rule.lines)):
        return None
    line, _, part = hits[0]
    words: dict[str, str] = {}
    for _, more, _ in hits:  # what the first line does not name, another may
        words = {**more, **{name: word for name, word in words.items() if word}}
    return Cause(
        code=rule.code,
        part=part,
        what=_filled(rule.what, words),
        fix=_filled(rule.fix, words),
        mode=rule.mode,
        why=rule.why,
        evidence=line.text,
        where=line.where,
        subject=line.subject,
        count=len({id(one) for one, _, _ in hits}),
    )


def _is_present(line: Evidence, part: Part, ready: Collection[Part]) -> bool:
    """Whether a line tells of now: logs keep what is over, the rest is read when it is true."""
    return line.source not in LOGS or part not in ready


def _hits(rule: Rule, lines: Sequence[Evidence]) -> Iterator[tuple[Evidence, dict[str, str], Part]]:
    """Yield lines with their words; those of the first clue first, of each what tells of now first, then the newest."""
    newest = lines[::-1]
    ordered = sorted(newest, key=lambda line: line.source in LOGS)
    for clue in rule.clues:
        for line in ordered:
            if match := clue.match(line):
                name = line.subject.partition(" ")[0]
                words = {"subject": line.subject, "pod": name.rpartition("/")[2], **match.groupdict(default="")}
                yield line, words, rule.part or part_of(line.subject)


class _Words(dict[str, str]):
    """Words of a rule; a group that did not take part in the match is empty."""

    def __missing__(self, key: str) -> str:
        return ""


def _filled(text: str, words: dict[str, str]) -> str:
    return text.format_map(_Words(words))


def _ranked(found: list[Cause], known: list[Cause], ready: Collection[Part]) -> Diagnosis:
    """Tell causes from what follows from them."""
    modes = {cause.mode for cause in found}
    checks = [one for one in known if _is_check(one) and one.mode not in modes]
    problems = [one for one in known if not _is_check(one)]
    roots: list[Cause] = []
    consequences: list[Cause] = []

    def place(cause: Cause, explained: Collection[Part]) -> None:
        origin = next((root for root in roots if root.part is cause.part and cause.part in explained), None)
        breaking = (root for root in roots if not (_is_check(root) and root.part in ready))
        origin = origin or next((root for root in breaking if root.part in needs(cause.part)), None)
        (consequences if origin else roots).append(replace(cause, follows=origin.code) if origin else cause)

    for cause in sorted([*found, *checks], key=_order):
        place(cause, ())
    for cause in sorted(problems, key=_order):
        place(cause, {one.part for one in found})
    return Diagnosis(tuple(sorted(roots, key=_order)), tuple(consequences))


def _is_check(cause: Cause) -> bool:
    """Whether a check of the host says it: it may break something, and may not have yet."""
    return cause.code.startswith("E-PRE-")


def _order(cause: Cause) -> tuple[bool, int]:
    """Deep parts first, and what is known to break something before what only may."""
    return cause.part is Part.HOST, depth(cause.part)
