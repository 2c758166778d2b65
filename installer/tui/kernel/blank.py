"""What the lists say while there is nothing in them."""

from __future__ import annotations

from collections.abc import Sequence

from installer.domain.errors import BeeyardError
from installer.services.kernel_watch import KernelWatch
from installer.tui.kernel.table import field, lines
from installer.tui.policies.rows import Row, row

_OFF = """\
The tap is off. s starts it: eBPF programs then count what the sockets of this host send and receive, which packets \
its kernel drops and why, what becomes of TCP connections, and what DNS is asked. They need no Cilium and no Hubble.

They hang on a process of the tap: leaving this screen, quitting, or s again takes them out of the kernel."""
_NO_TAP = "No tap is built into this cockpit."
_NEEDS_ROOT = "It needs root, and this cockpit runs without: leave with q, then: sudo beeyard"
_WAITING = {
    "traffic": "Nothing was sent yet.",
    "drops": "The kernel dropped nothing yet: good. a shows leftovers of closed sockets and the like, too.",
    "doctor": "Nothing to explain: the kernel dropped nothing yet.",
    "tcp": "No connection was opened, closed, retransmitted or reset yet.",
    "dns": "Nobody asked DNS over UDP yet.",
}
COMPARE_OFF = "The comparison needs the tap: s starts it."


def blank_rows(watch: KernelWatch | None, view: str, width: int, *, root: bool, filtered: bool) -> Sequence[Row]:
    """Return why a list is empty, and what to do."""
    if watch is None:
        return lines(_NO_TAP, width, "warning")
    if watch.trouble is not None:
        return trouble_rows(watch.trouble, width)
    if watch.word == "starting":
        return lines(" The programs are compiled and loaded: a second or two.", width)
    if watch.running and filtered:
        return lines(" Nothing passes the filter. Escape clears it.", width)
    if watch.running:
        return lines(f" {_WAITING[view]}", width)
    return [*lines(_OFF, width), *([row(""), *lines(_NEEDS_ROOT, width, "warning")] if not root else [])]


def trouble_rows(error: BeeyardError, width: int) -> list[Row]:
    """Return an error: what, why, fix, code."""
    found = [*lines(error.what, width, "error"), row("")]
    found += field("why", error.why, width)
    found += field("fix", error.fix, width, "good")
    return [*found, *field("code", error.code, width, "muted")]


def compare_waiting(watch: KernelWatch | None, *, connected: bool) -> str:
    """Return why nothing can be compared yet."""
    if watch is None or not watch.running:
        return COMPARE_OFF
    if not connected:
        return "The comparison needs Hubble, and no cluster is connected."
    if watch.hubble.word == "away":
        return f"Hubble is out of reach: {watch.hubble.why}. It is tried again."
    return "Waiting for the first flow of Hubble."
