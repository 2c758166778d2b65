"""Several lines a flow, one for each word."""

from __future__ import annotations

from installer.domain.flows import names
from installer.domain.flows.flow import Answer, Flow, LostEvent
from installer.domain.flows.printing.coloured import Coloured
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.printing.node_status import is_told, lost_source, lost_summary, node_names
from installer.domain.flows.printing.options import PrintOptions
from installer.domain.flows.printing.quoting import quote

SEPARATOR = "------------\n"


class DictPrinter:
    """The format ``dict``."""

    def __init__(self, options: PrintOptions) -> None:
        self._options = options
        self._coloured = Coloured(options)
        self._first = True

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def end(self) -> str:
        """Return nothing."""
        return ""

    def write(self, answer: Answer) -> str:
        """Return the lines of a flow or of lost events."""
        if answer.flow is not None:
            return self._separated(self._flow(answer.flow))
        if answer.lost_events is not None:
            return self._separated(self._lost(answer, answer.lost_events))
        return ""

    def status(self, answer: Answer) -> str:
        """Return the lines of a node's status that is worth them."""
        status = answer.node_status
        if status is None or not is_told(status, self._options):
            return ""
        rows = (
            ("TIMESTAMP", self._options.time(answer.time)),
            ("STATE", names.name_of(status.state_change, names.NODE_STATE)),
            ("NODES", node_names(status)),
            ("MESSAGE", quote(status.message) if status.message else "N/A"),
        )
        return self._separated("".join(f"{key:>11}: {clean(value)}\n" for key, value in rows))

    def _separated(self, lines: str) -> str:
        first, self._first = self._first, False
        return lines if first else SEPARATOR + lines

    def _flow(self, flow: Flow) -> str:
        words = self._coloured.words(flow)
        node = f"       NODE: {words.node}\n" if self._options.node_names else ""
        return (
            f"  TIMESTAMP: {words.time}\n{node}     SOURCE: {words.source}\nDESTINATION: {words.destination}\n"
            f"       TYPE: {words.type}\n    VERDICT: {words.verdict}\n    SUMMARY: {words.summary}\n"
        )

    def _lost(self, answer: Answer, lost: LostEvent) -> str:
        node = f"       NODE: {clean(answer.node_name or '-')}\n" if self._options.node_names else ""
        return (
            f"  TIMESTAMP: {self._options.time(answer.time)}\n{node}     SOURCE: {clean(lost_source(lost))}\n"
            f"       TYPE: EVENTS LOST\n    VERDICT: -\n"
            f"    SUMMARY: {clean(lost_summary(lost, self._options, ' - '))}\n"
        )
