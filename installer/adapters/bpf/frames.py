"""What the tap's process writes: one JSON object a line."""

from __future__ import annotations

from typing import Any

import msgspec

from installer.domain.tap.samples import DnsMessage, Drop, Sample, TcpEvent


class Frame(msgspec.Struct, frozen=True, tag_field="kind"):
    """Base of all frames."""


class Ready(Frame, frozen=True, tag="ready"):
    """The programs are at work: notes on what is missing, whose headers were used, seconds it took."""

    notes: list[str]
    headers: str
    seconds: float


class Refused(Frame, frozen=True, tag="refused"):
    """They are not, and why."""

    code: str
    what: str
    why: str
    fix: str


class Names(Frame, frozen=True, tag="names"):
    """Namespaces by number (kind, name, addresses), and paths of control groups by id."""

    spaces: dict[int, tuple[str, str, list[str]]] = {}
    groups: dict[int, str] = {}


class Samples(Frame, frozen=True, tag="flows"):
    """What flows grew by."""

    rows: list[Sample]


class Drops(Frame, frozen=True, tag="drops"):
    """Drops of an interval."""

    rows: list[Drop]


class Tcp(Frame, frozen=True, tag="tcp"):
    """Events of connections."""

    rows: list[TcpEvent]


class Dns(Frame, frozen=True, tag="dns"):
    """Messages of DNS."""

    rows: list[DnsMessage]


class Tick(Frame, frozen=True, tag="tick"):
    """End of an interval; what was lost in it, by kind."""

    time: int
    lost: dict[str, int]


class End(Frame, frozen=True, tag="end"):
    """The last frame."""


AnyFrame = Ready | Refused | Names | Samples | Drops | Tcp | Dns | Tick | End
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyFrame)


def decode(line: bytes) -> AnyFrame:
    """Read a line.

    Raises:
        msgspec.MsgspecError: it is no frame.
    """
    frame: AnyFrame = _decoder.decode(line)
    return frame
