"""What a flow of the tap says beside what every flow says: counts, process, duration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from installer.domain.flows.flow import Flow

Wanted = Callable[[Flow], bool]
"""Tells whether a flow is among those to look at."""


class Measures(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The extension of a flow of the tap.

    Attributes:
        packets: of the interval.
        bytes: of the interval, IP headers included.
        payload_bytes: of the interval, without headers.
        netns: number of the network namespace.
        pid: of the process, 0 where not known.
        process: its name, empty where not known.
        event: step of a connection, see ``flows.names.TAP_EVENT``.
        duration_ns: of connecting, or of the connection's life.
        first_seen: RFC 3339.
    """

    packets: int = 0
    bytes: int = 0
    payload_bytes: int = 0
    netns: int = 0
    pid: int = 0
    process: str = ""
    event: str = ""
    duration_ns: int = 0
    first_seen: str = ""


_NONE = Measures()
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Measures)


def measures_of(flow: Flow) -> Measures:
    """Return the measures of a flow; zeros for a flow that is not the tap's."""
    if flow.extensions is None:
        return _NONE
    try:
        found: Measures = _decoder.decode(flow.extensions)
    except msgspec.MsgspecError:
        return _NONE
    return found
