"""One JSON object a line, as protobuf's JSON mapping gives it."""

from __future__ import annotations

import re

from installer.domain.flows import jsonpb
from installer.domain.flows.flow import Answer, Wire
from installer.domain.flows.printing.node_status import is_told
from installer.domain.flows.printing.options import PrintOptions

_obeyed = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def json_line(message: Wire, *, terminal: bool) -> str:
    """Return the line of a message; for a terminal, what JSON need not escape is escaped too (DEL, C1, direction)."""
    line = jsonpb.encode(message).decode()
    if terminal and not line.isprintable():
        line = _obeyed.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
    return line + "\n"


class JsonPrinter:
    """The formats ``json`` and ``jsonpb``."""

    def __init__(self, options: PrintOptions) -> None:
        self._options = options

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def end(self) -> str:
        """Return nothing."""
        return ""

    def write(self, answer: Answer) -> str:
        """Return the line of a flow or of lost events."""
        if answer.flow is None and answer.lost_events is None:
            return ""
        bare = answer.flow or answer.lost_events if self._options.legacy_json else None
        return json_line(bare or answer, terminal=self._options.terminal)

    def status(self, answer: Answer) -> str:
        """Return the line of a node's status that is worth one; stderr may be a terminal where stdout is none."""
        if answer.node_status is None or not is_told(answer.node_status, self._options):
            return ""
        return json_line(answer, terminal=True)
