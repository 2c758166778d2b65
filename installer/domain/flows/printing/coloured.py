"""The words of a flow, cleaned and, where wanted, in hubble's colours."""

from __future__ import annotations

from dataclasses import dataclass

from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import colours, text
from installer.domain.flows.printing.escape import clean, clean_but_colours
from installer.domain.flows.printing.options import PrintOptions


@dataclass(frozen=True, slots=True)
class Words:
    """What the formats put together; each safe for a terminal."""

    time: str
    node: str
    source: str
    source_id: str
    destination: str
    destination_id: str
    type: str
    verdict: str
    summary: str


class Coloured:
    """Makes the words of flows."""

    def __init__(self, options: PrintOptions) -> None:
        self._options = options
        self._colour = options.colour
        self._clean = clean_but_colours if options.colour and not options.terminal else clean

    def words(self, flow: Flow) -> Words:
        """Return the words of a flow."""
        options, safe = self._options, self._clean
        source, destination = self._hosts(flow)
        source_id, destination_id = text.identities(flow)
        said = safe(text.verdict(flow, policy_names=options.policy_names))
        return Words(
            time=options.time(flow.time),
            node=safe(flow.node_name),
            source=source,
            source_id=self._paint(source_id, colours.MAGENTA),
            destination=destination,
            destination_id=self._paint(destination_id, colours.MAGENTA),
            type=safe(text.flow_type(flow)),
            verdict=self._paint(said, colours.verdict_colour(flow.verdict)),
            summary=self._summary(flow),
        )

    def _paint(self, word: str, colour: str) -> str:
        return colours.paint(word, colour) if self._colour else word

    def _hosts(self, flow: Flow) -> tuple[str, str]:
        left, right = text.bare_hosts(flow, translate=self._options.translate)
        if flow.ip is None:
            return ("", "") if flow.ethernet is None else (self._host(left, 0), self._host(right, 0))
        source, destination = text.ports(flow)
        return self._host(left, source), self._host(right, destination)

    def _host(self, name: str, port: int) -> str:
        number = self._paint(str(port), colours.YELLOW) if port else ""
        return self._paint(text.with_port(self._clean(name), number), colours.CYAN)

    def _summary(self, flow: Flow) -> str:
        said = self._clean(text.trace_prefix(flow) + flow.summary)
        auth = text.auth(flow)
        return f"{said}; Auth: {self._paint(self._clean(auth), colours.auth_colour(auth))}" if auth else said
