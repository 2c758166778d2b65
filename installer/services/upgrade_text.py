"""An outlook of an upgrade in words."""

from __future__ import annotations

from collections.abc import Sequence

from installer.domain.text import printable
from installer.domain.upgrade.path import TITLES, Hop
from installer.services.upgrade_outlook import Outlook, phase_text


def outlook_text(outlook: Outlook) -> str:
    """Return what runs, what is newest, the way, and the command for it."""
    lines = [f"k3s {outlook.now.k3s}, Cilium {outlook.now.cilium}"]
    if outlook.state is not None:
        lines += _unfinished(outlook)
    elif outlook.newest is not None:
        lines += _newest(outlook)
    return printable("\n".join(lines))


def path_text(hops: Sequence[Hop]) -> str:
    """Return the way, one hop a line."""
    return printable("\n".join(f"  {number}. {_hop(hop)}" for number, hop in enumerate(hops, 1)))


def _unfinished(outlook: Outlook) -> list[str]:
    assert outlook.state is not None
    goal = outlook.state.goal
    lines = [
        f"An upgrade to k3s {goal.k3s} and Cilium {goal.cilium} is unfinished: {phase_text(outlook.state)}.",
        "",
        "  beeyard upgrade --yes          goes on with it",
    ]
    if outlook.state.hop is not None:
        lines.append("  beeyard upgrade --rollback     takes the open step back")
    return lines


def _newest(outlook: Outlook) -> list[str]:
    newest = outlook.newest
    assert newest is not None
    lines = []
    if outlook.unknown:
        lines.append(f"The newest k3s is not known: {outlook.unknown}")
    if newest == outlook.now:
        return [*lines, "Nothing newer is supported." if not outlook.unknown else "Cilium is the newest that is known."]
    lines += [f"Newest supported: k3s {newest.k3s}, Cilium {newest.cilium}", ""]
    if outlook.blocked:
        lines.append(outlook.blocked)
    if outlook.newest_hops:
        lines += ["The way, each step proven before the next:", path_text(outlook.newest_hops), ""]
        lines.append("  beeyard upgrade --to-latest    goes it; --dry-run shows every change")
    return lines


def _hop(hop: Hop) -> str:
    note = f"  ({hop.note})" if hop.note else ""
    return f"{TITLES[hop.part]} {hop.source} -> {hop.target}{note}"
