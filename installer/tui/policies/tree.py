"""The policies of the cluster as rows: by namespace, with what they do; then the workloads that are open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from installer.domain.policy.inventory import SHORT, Hits, Item, Key, Workload
from installer.domain.policy.model import Direction
from installer.domain.text import one_line
from installer.services.policies.desk import Draft
from installer.tui.policies.rows import Row, row

CLUSTERWIDE = "clusterwide"
_STATE = 20
_SHORT_STATE = 11
_ROOMY = 56
"""Cells from which on directions are written out."""
_COUNT = 5


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """A policy of the cluster."""

    key: Key


@dataclass(frozen=True, slots=True)
class DraftTarget:
    """A draft that is not in the cluster."""

    id: str


@dataclass(frozen=True, slots=True)
class WorkloadTarget:
    """A workload that is open in some direction."""

    namespace: str
    name: str


def tree_rows(
    items: Sequence[Item],
    open_ones: Sequence[Workload],
    drafts: Sequence[Draft],
    hits: Hits | None,
    wanted: str,
    width: int,
) -> list[Row]:
    """Return the rows.

    Args:
        items: the policies.
        open_ones: workloads that no policy isolates in some direction.
        drafts: what is being edited.
        hits: flows by policy, None where no flows are seen.
        wanted: what has been typed to filter.
        width: cells of a row.
    """
    changed = {draft.id for draft in drafts if draft.is_changed}
    new = [draft for draft in drafts if draft.id.startswith("new-") and _fits(wanted, draft.title)]
    rows: list[Row] = []
    if new:
        rows.append(row(("not in the cluster", "head")))
        rows += [row("  ", (f"*{one_line(draft.title)}", "warning"), target=DraftTarget(draft.id)) for draft in new]
    shown = [item for item in items if _fits(wanted, " ".join((*item.key, SHORT.get(item.key[0], ""))))]
    loose = [one for one in open_ones if _fits(wanted, f"{one.namespace}/{one.name}")]
    for namespace in sorted({item.key[1] for item in shown} | {one.namespace for one in loose}):
        rows.append(row((one_line(namespace) or CLUSTERWIDE, "head")))
        rows += [_policy(item, changed, hits, width) for item in shown if item.key[1] == namespace]
        rows += [_workload(one, width) for one in loose if one.namespace == namespace]
    if rows:
        return rows
    return [row(("Nothing fits." if wanted else "No policies: everything is allowed. n begins one.", "muted"))]


def _fits(wanted: str, text: str) -> bool:
    return all(word in text.lower() for word in wanted.lower().split())


def tree_head(width: int, *, hits: bool) -> str:
    """Return the names of the columns."""
    count = "HITS" if hits else "PODS"
    return f"  {'KIND':<6} {_cut('NAME', _room(width))} {'ISOLATES':<{_state(width)}} {count:>{_COUNT}}"


def _room(width: int) -> int:
    return max(8, width - 9 - _state(width) - _COUNT - 2)


def _state(width: int) -> int:
    return _STATE if width >= _ROOMY else _SHORT_STATE


def _policy(item: Item, changed: Iterable[str], hits: Hits | None, width: int) -> Row:
    mark = "*" if "/".join(item.key) in changed else " "
    count = _short(hits.of(item.key)) if hits is not None else str(item.pods)
    style = "error" if item.problem else "muted" if not item.isolates else ""
    words = item.state.removeprefix("isolates ") if width >= _ROOMY else _ways(item.isolates) or "nobody"
    words = "ignored" if item.problem and width < _ROOMY else words
    name = _cut(one_line(item.key[2]), _room(width))
    return row(
        (f"{mark} ", "warning"),
        (f"{SHORT.get(item.key[0], '?'):<6} ", "key"),
        (name, "name"),
        (f" {_cut(words, _state(width))}", style),
        (f" {count:>{_COUNT}}", "muted"),
        target=PolicyTarget(item.key),
    )


def _ways(directions: Sequence[Direction]) -> str:
    words = {Direction.INGRESS: "in", Direction.EGRESS: "out"}
    return "+".join(words[one] for one in directions)


def _workload(one: Workload, width: int) -> Row:
    ways = "+".join if width >= _ROOMY else _ways
    text = f"open {ways(one.open)}" if one.open else f"audit {ways(one.audit)}"
    name = _cut(one_line(one.name), _room(width))
    return row(
        "  ",
        ("pods   ", "muted"),
        name,
        (f" {_cut(text, _state(width))}", "warning"),
        (f" {'':>{_COUNT}}", "muted"),
        target=WorkloadTarget(one.namespace, one.name),
    )


def _cut(text: str, width: int) -> str:
    return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)


def _short(count: int) -> str:
    for limit, unit in ((1_000_000, "M"), (10_000, "k")):
        if count >= limit:
            return f"{count // (1_000_000 if unit == 'M' else 1_000)}{unit}"
    return str(count)
