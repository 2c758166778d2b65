"""Relay's word on nodes, and lost events, as lines."""

from __future__ import annotations

from collections.abc import Sequence

from installer.domain.flows import names
from installer.domain.flows.flow import Answer, LostEvent, NodeStatus
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.printing.options import PrintOptions
from installer.domain.flows.printing.quoting import quote

_NAMES_LENGTH = 50


def is_told(status: NodeStatus, options: PrintOptions) -> bool:
    """Tell whether a status is worth a line: troubles are, the rest only with ``debug``."""
    return options.debug or names.name_of(status.state_change, names.NODE_STATE) in ("NODE_ERROR", "NODE_UNAVAILABLE")


def node_names(status: NodeStatus) -> str:
    """Return the names by comma, cut after about 50 characters: ``a, b (and 3 more)``."""
    return join_cut(status.node_names, ", ", _NAMES_LENGTH)


def join_cut(parts: Sequence[str], separator: str, length: int) -> str:
    """Join as many parts as fit into a length (bytes, as hubble counts), but at least one, and tell how many do not."""
    used, end = 0, len(parts)
    for index, part in enumerate(parts):
        used += len(part.encode()) + len(separator)
        if used > length and index:
            end = index
            break
    joined = separator.join(parts[:end])
    return f"{joined} (and {len(parts) - end} more)" if end < len(parts) else joined


def status_line(answer: Answer, status: NodeStatus, options: PrintOptions) -> str:
    """Return the line of compact and table output."""
    count, nodes = len(status.node_names), node_names(status)
    state = names.name_of(status.state_change, names.NODE_STATE)
    said = {
        "NODE_CONNECTED": f"Receiving flows from {count} nodes: {nodes}",
        "NODE_UNAVAILABLE": f"{count} nodes are unavailable: {nodes}",
        "NODE_GONE": f"{count} nodes removed from cluster: {nodes}",
        "NODE_ERROR": f"Error {quote(status.message)} on {count} nodes: {nodes}",
    }.get(state, f"{state} of {count} nodes: {nodes} {status.message}".rstrip())
    return clean(f"{options.time(answer.time)} [{answer.node_name}]: {said}") + "\n"


def lost_line(answer: Answer, lost: LostEvent, options: PrintOptions, *, node: bool = False) -> str:
    """Return the line of compact output; hubble does not tell the node, ``node`` does."""
    where = f" [{answer.node_name}]" if node and answer.node_name else ""
    text = f"{options.time(answer.time)}{where} EVENTS LOST: {lost_source(lost)} {lost_summary(lost, options, ' ')}"
    return clean(text) + "\n"


def lost_source(lost: LostEvent) -> str:
    """Return where events were lost, such as ``HUBBLE_RING_BUFFER``."""
    return names.name_of(lost.source, names.LOST_SOURCE)


def lost_summary(lost: LostEvent, options: PrintOptions, between: str) -> str:
    """Return ``CPU(0) 37 (first: ..., last: ...)``."""
    text = f"CPU({lost.cpu or 0}){between}{lost.num_events_lost or 0}"
    if lost.first and lost.last:
        text += f" (first: {options.time(lost.first)}, last: {options.time(lost.last)})"
    return text
