"""All about the marked row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.tui.kernel import compare, dns, drops, proof, tcp, traffic
from installer.tui.policies.rows import Row, row

if TYPE_CHECKING:
    from installer.tui.kernel.screen import KernelScreen


def details(screen: KernelScreen, target: object, width: int) -> list[Row]:
    """Return the details of what a row stands for; a word where it stands for nothing any more."""
    if isinstance(target, proof.FeatureTarget):
        feature = proof.find(screen.report, target) if screen.report is not None else None
        found = proof.detail(feature, width) if feature is not None else []
    else:
        found = _told(screen, target, width)
    return found or [row(("Details of the marked row stand here.", "muted"))]


def _told(screen: KernelScreen, target: object, width: int) -> list[Row]:
    watch = screen.tap
    if watch is None:
        return []
    board, now = watch.board, screen.cockpit.services.now()
    match target:
        case traffic.StreamTarget(key) if (stream := board.traffic.get(key)) is not None:
            return traffic.detail(stream, board.traffic, now, width)
        case drops.ReasonTarget(reason):
            sums = board.drops.by_reason(now, drops.SECONDS, lambda flow: flow.drop_reason_desc == reason)
            found = next(iter(sums), None)
            ascii_only = screen.cockpit.settings.ascii
            return drops.reason_detail(found, width, ascii_only=ascii_only) if found is not None else []
        case drops.DropTarget(drop_key) if (drop := board.drops.get(drop_key)) is not None:
            told, drafts = watch.explanation(drop), bool(screen.drafting())
            return drops.drop_detail(drop, told, width, denied=watch.doctor.denied(drop.flow), drafts=drafts)
        case tcp.PairTarget(pair_key) if (pair := board.tcp.get(pair_key)) is not None:
            return tcp.detail(pair, width)
        case dns.QuestionTarget(question_key) if (question := board.dns.get(question_key)) is not None:
            return dns.detail(question, width)
        case compare.MissingTarget(side):
            flow = compare.find(screen.compared, target) if screen.compared is not None else None
            return compare.detail(side, flow, width) if flow is not None else []
    return []
