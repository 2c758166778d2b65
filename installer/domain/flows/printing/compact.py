"""One line a flow: ``TIME: SOURCE ID -> DESTINATION ID TYPE VERDICT (SUMMARY)``."""

from __future__ import annotations

from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.printing import text
from installer.domain.flows.printing.coloured import Coloured
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.printing.node_status import is_told, lost_line, status_line
from installer.domain.flows.printing.options import PrintOptions


class CompactPrinter:
    """The format ``compact``, and what its relatives share with it: the lines on stderr."""

    def __init__(self, options: PrintOptions) -> None:
        self._options = options
        self._coloured = Coloured(options) if options.colour else None

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def end(self) -> str:
        """Return nothing."""
        return ""

    def write(self, answer: Answer) -> str:
        """Return the line of a flow or of lost events."""
        flow = answer.flow
        if flow is None:
            lost = answer.lost_events
            return "" if lost is None else lost_line(answer, lost, self._options)
        return self._painted(flow) if self._coloured is not None else self.line(flow)

    def status(self, answer: Answer) -> str:
        """Return the line of a node's status that is worth one."""
        status = answer.node_status
        return status_line(answer, status, self._options) if status and is_told(status, self._options) else ""

    def line(self, flow: Flow) -> str:
        """Return the line of a flow, without colour."""
        options = self._options
        left, right = text.hosts(flow, translate=options.translate)
        source, destination = flow.source, flow.destination
        left_id = text.identity(0 if source is None else source.identity)
        right_id = text.identity(0 if destination is None else destination.identity)
        arrow = "->"
        if flow.is_reply:
            left, right, left_id, right_id, arrow = right, left, right_id, left_id, "<-"
        elif flow.is_reply is None:
            arrow = "<>"
        node = f" [{flow.node_name}]" if options.node_names else ""
        line = (
            f"{options.time(flow.time)}{node}: {left} {left_id} {arrow} {right} {right_id} {text.flow_type(flow)} "
            f"{text.verdict(flow, policy_names=options.policy_names)} ({text.summary(flow)})"
        )
        return f"{line}\n" if line.isprintable() else f"{clean(line)}\n"

    def _painted(self, flow: Flow) -> str:
        assert self._coloured is not None
        words = self._coloured.words(flow)
        source, destination = f"{words.source} {words.source_id}", f"{words.destination} {words.destination_id}"
        if flow.is_reply:
            source, destination = destination, source
        node = f" [{words.node}]" if self._options.node_names else ""
        arrow = text.arrow(flow)
        head = f"{words.time}{node}: {source} {arrow} {destination}"
        return f"{head} {words.type} {words.verdict} ({words.summary})\n"
