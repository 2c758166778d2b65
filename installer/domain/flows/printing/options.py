"""What all printers are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from installer.domain.flows import times
from installer.domain.flows.flow import Answer


@dataclass(frozen=True, slots=True)
class PrintOptions:
    """How flows are printed.

    Attributes:
        time: prints a time of the wire.
        node_names: with the node's name.
        policy_names: with the names of the policies that decided.
        translate: pods, services and DNS names instead of addresses.
        colour: with hubble's colours (compact, dict, wide).
        terminal: a terminal reads it: no colour codes of hubble's own are let through in texts, and JSON escapes what
            it need not.
        debug: with status of nodes that are well.
        legacy_json: JSON of the bare flow (``HUBBLE_COMPAT=legacy-json-output``).
    """

    time: Callable[[str], str] = field(default_factory=times.formatter)
    node_names: bool = False
    policy_names: bool = False
    translate: bool = True
    colour: bool = False
    terminal: bool = False
    debug: bool = False
    legacy_json: bool = False


class Printer(Protocol):
    """Turns answers into text, line ends included."""

    def begin(self) -> str:
        """Return what comes before the first answer."""
        ...

    def write(self, answer: Answer) -> str:
        """Return what goes to stdout for an answer; empty where it goes elsewhere, or comes with ``end``."""
        ...

    def status(self, answer: Answer) -> str:
        """Return what goes to stderr for an answer: the status of nodes, and what ``write`` has no place for."""
        ...

    def end(self) -> str:
        """Return what comes after the last answer."""
        ...
