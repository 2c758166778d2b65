"""What the panel shows, as rows: findings, effect, impact, diff, sentences, history. Pure functions of a width."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from installer.domain.policy.describe import Sentence
from installer.domain.policy.effect import Effect, Reach
from installer.domain.policy.findings import Finding, Level
from installer.domain.policy.impact import Edge, Impact
from installer.domain.policy.inventory import SHORT
from installer.domain.policy.model import Direction, Origin
from installer.domain.text import one_line
from installer.ports.policy_history import Change
from installer.tui.policies.rows import Row, row

_LEVELS = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "key"}
_WORDS = {"cut": "CUT", "changed": "CHANGED", "opened": "OPENED", "unknown": "UNKNOWN", "unchanged": "same"}
_CHANGES = {"cut": "cut", "changed": "cut", "opened": "opened", "unknown": "warning", "unchanged": "muted"}
_NARROW = 90
"""Cells below which the effect has two columns instead of three."""
_REACH = {"allow": "good", "some": "good", "deny": "error", "unknown": "warning"}


@dataclass(frozen=True, slots=True)
class LineTarget:
    """A line of the text, with a number that tells rows of one line apart."""

    line: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class ChangeTarget:
    """A change of the history."""

    id: str


def wrapped(text: str, width: int, indent: int = 0, style: str = "", target: object = None) -> list[Row]:
    """Return a text in rows of a width, the later ones indented."""
    lines = textwrap.wrap(one_line(text), max(20, width - 1), subsequent_indent=" " * indent, break_on_hyphens=False)
    return [Row(((line, style),), target if number == 0 else None) for number, line in enumerate(lines)]


def problem_rows(findings: Sequence[Finding], width: int) -> list[Row]:
    """Return the findings, each with its line, and whether F7 mends it."""
    if not findings:
        return [row(("No problems: the API and agents take it.", "good"))]
    rows: list[Row] = []
    for number, one in enumerate(findings):
        line = one.mark.line if one.mark else 0
        fixes = "  F7 mends it" if one.quick else ""
        head = f"{one.level!s:<7} line {line}: {one.text}{fixes}"
        first, *rest = wrapped(head, width, 8, target=LineTarget(line, number))
        text = first.parts[0][0]
        rows.append(Row(((text[:7], _LEVELS[one.level]), (text[7:], "")), first.target))
        rows += rest
        if one.fix:
            rows += wrapped(f"        {one.fix} [{one.code}]", width, 8, "muted")
    return rows


def effect_rows(effect: Effect, width: int) -> list[Row]:
    """Return three columns: who may come in, the pods, and where they may go; the pods go on top where it is narrow."""
    if not effect.subjects:
        return [row(("It selects no pod of this cluster.", "warning"))]
    middle = min(40, width // 4) if width >= _NARROW else 0
    side = (width - middle - (6 if middle else 3)) // 2
    sources, dests = ([_peer(one, side) for one in found] for found in (effect.sources, effect.dests))
    centre = _subjects(effect, middle + 2 if middle else width - 1)
    rows = [] if middle else [row(("THESE PODS", "head")), *(Row((("  ", ""), one)) for one in centre)]
    heads = (_fit("FROM", side), "head"), (_fit("THESE PODS", middle + 6)[3:] if middle else "   ", "head")
    rows.append(row(heads[0], "   " if middle else "", heads[1], ("TO", "head")))
    for index in range(max(len(sources), len(dests), len(centre) if middle else 0)):
        left = sources[index] if index < len(sources) else ((" " * side, ""),)
        right = dests[index] if index < len(dests) else ()
        pods = centre[index] if index < len(centre) else (" " * middle, "")
        arrows = (" > " if index < len(sources) else "   ", "muted"), (" > " if right else "   ", "muted")
        rows.append(Row((*left, arrows[0], pods, arrows[1], *right) if middle else (*left, ("   ", ""), *right)))
    return rows + _effect_notes(effect, width)


def _effect_notes(effect: Effect, width: int) -> list[Row]:
    found: dict[str, list[str]] = {}
    for one in (*effect.sources, *effect.dests):
        if one.note:
            found.setdefault(one.note, []).append(one.name)
    rows = [row("")] if found else []
    for note, names in found.items():
        rows += wrapped(f"{', '.join(dict.fromkeys(names))}: {note}", width, 2, "muted")
    return rows


def _subjects(effect: Effect, width: int) -> list[tuple[str, str]]:
    words = {True: "isolated", False: "open, no policy isolates them", None: "not known whether they are isolated"}
    width -= 2
    lines = [(_fit(f"{one_line(name)} ({count})", width), "name") for name, count in effect.subjects.items()]
    for direction in Direction:
        state = effect.isolated.get(direction)
        lines.append((_fit(f"{direction}: {words[state]}", width), "warning" if state is not True else "muted"))
    return lines


def _peer(one: Reach, width: int) -> tuple[tuple[str, str], ...]:
    word = {"allow": "allow", "some": "allow", "deny": "deny", "unknown": "unknown"}[one.word]
    ports = ", ".join([port for port in one.ports if port != "*"] + (["others"] if "*" in one.ports else []))
    mark = " L7" if one.note.startswith("L7") else "(by theirs)" if one.note.startswith("their") else ""
    name = max(8, (width - 9) * 3 // 5)
    tail = _fit(f"{ports}{mark}", max(0, width - name - 9))
    return (_fit(one_line(one.name), name), ""), (f" {word:<7} ", _REACH[one.word]), (tail, "muted")


def impact_rows(impact: Impact | None, source: str, width: int) -> list[Row]:
    """Return the edges that change, then what the judgement rests on."""
    if impact is None or not impact.flows:
        return [
            row(("No flows are seen yet.", "warning")),
            *wrapped(f"{source}  o judges a recorded file.", width, style="muted"),
        ]
    counts = {kind: sum(edge.count for edge in impact.of(kind)) for kind in _WORDS}
    rows = [row(("Seen flows: ", "head"), *_counts(counts))]
    for edge in impact.edges:
        if edge.change != "unchanged":
            rows += _edge(edge, width)
    rows.append(row(""))
    rows += wrapped(
        f"{impact.judged} of {impact.flows} flows judged ({source}); the others are replies and the like.",
        width,
        2,
        "muted",
    )
    rows += wrapped(
        f"Seen from {_second(impact.first)} to {_second(impact.last)}; what did not happen then is not judged.",
        width,
        2,
        "muted",
    )
    if impact.lost:
        rows += wrapped(f"Hubble lost {impact.lost} events in this time.", width, 2, "warning")
    if impact.disagreements:
        text = (
            f"{impact.disagreements} flows had another verdict than these policies give: they are older, or this errs."
        )
        rows += wrapped(text, width, 2, "warning")
    return rows


def _counts(counts: dict[str, int]) -> Iterable[tuple[str, str]]:
    kinds = ("cut", "opened", "unknown", "unchanged")
    counts = {**counts, "cut": counts["cut"] + counts["changed"]}
    for number, kind in enumerate(kinds):
        word = {"unchanged": "as before"}.get(kind, kind)
        yield f"{counts[kind]} {word}", _CHANGES[kind] if counts[kind] else "muted"
        yield ", " if number < len(kinds) - 1 else "", "muted"


def _edge(edge: Edge, width: int) -> list[Row]:
    head = f"{_WORDS[edge.change]:<8} {one_line(edge.source)} > {one_line(edge.dest)} {one_line(edge.port)}"
    tail = f"  {edge.count} flows, {edge.before} -> {edge.after}"
    first, after = (head[:8], _CHANGES[edge.change]), (tail, "muted")
    if len(head) + len(tail) < width:
        rows = [row(first, (head[8:], "name"), after)]
    else:
        rows = [row(first, (head[8:], "name")), row("       ", after)]
    return rows + wrapped(f"         {edge.why}", width, 9, "muted")


def _second(time_text: str) -> str:
    return f"{time_text[:10]} {time_text[11:19]}" if len(time_text) > 19 else time_text


def diff_rows(diff: str) -> list[Row]:
    """Return a unified diff."""
    if not diff:
        return [row(("The text is what the cluster has.", "good"))]
    styles = (("+++", "muted"), ("---", "muted"), ("@@", "key"), ("+", "opened"), ("-", "cut"))
    return [
        row((one_line(line), next((style for start, style in styles if line.startswith(start)), "")))
        for line in diff.splitlines()
    ]


def explain_rows(found: Sequence[tuple[Origin, Sequence[tuple[Sentence, int]]]], width: int) -> list[Row]:
    """Return the sentences of each policy, each with the line that Enter goes to."""
    rows: list[Row] = []
    for origin, sentences in found:
        rows.append(row((one_line(f"{origin.kind} {origin.object_name}"), "head")))
        for number, (one, line) in enumerate(sentences):
            rows += wrapped(f"{line or '':>4} {one.text}", width, 5, target=LineTarget(line, number))
    return rows or [row(("There is no policy that can be read.", "warning"))]


def history_rows(changes: Sequence[Change], only: frozenset[tuple[str, str, str]]) -> list[Row]:
    """Return the changes, the newest first; those of some objects where there are any."""
    chosen = [one for one in changes if (one.kind, one.namespace, one.name) in only] or list(changes)
    if not chosen:
        return [row(("No change was made from here.", "muted"))]
    rows = [row((_heading(chosen, changes), "muted"))]
    for one in chosen:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(one.at))
        name = f"{one.namespace}/{one.name}" if one.namespace else one.name
        head = f"{when}  {one.action:<6}  {SHORT.get(one.kind, one.kind)} {name}"
        tail = f"  {one.author}{'  ' + one.reason if one.reason else ''}"
        rows.append(row(one_line(head), (one_line(tail), "muted"), target=ChangeTarget(one.id)))
    return rows


def _heading(chosen: Sequence[Change], changes: Sequence[Change]) -> str:
    what = "Changes of this policy" if len(chosen) < len(changes) else "Changes made from here"
    return f"{what}, UTC; Enter shows one and takes it back."


def _fit(text: str, width: int) -> str:
    return (text if len(text) <= width else text[: max(0, width - 1)] + "…").ljust(width)
