"""When a guard may be taken off: what is known of the way to whoever drives this host, before a change and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Session:
    """The TCP connection over which this host is driven.

    Attributes:
        client: address of the other side.
        client_port: its port.
        server: our address.
        server_port: our port.
    """

    client: str
    client_port: int
    server: str
    server_port: int

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.client} port {self.client_port}"


def session_of(environment: Mapping[str, str]) -> Session | None:
    """Return the SSH session of the variables of a process, None where it was not started over SSH."""
    parts = environment.get("SSH_CONNECTION", "").split()
    if len(parts) != 4 or not (parts[1].isdigit() and parts[3].isdigit()):
        return None
    client, server = (part.partition("%")[0] for part in (parts[0], parts[2]))
    return Session(client, int(parts[1]), server, int(parts[3]))


@dataclass(frozen=True, slots=True)
class Reach:
    """How the other side of a session is reached.

    Attributes:
        route: the way there from our address: link and next hop; empty where there is none.
        connected: the session's TCP connection is established.
        heard: milliseconds since the other side last acknowledged or sent something, None where the kernel does not
            tell (then the way there is all that counts).
        waiting: segments that the other side has not acknowledged.
    """

    route: str
    connected: bool
    heard: int | None = None
    waiting: int = 0


def unreached(before: Reach, now: Reach, since: float) -> str:
    """Return why the session does not count as reached, empty where it does.

    Args:
        before: how it was reached before the change.
        now: how it is reached now.
        since: seconds since the moment after which the other side has to be heard.
    """
    if not now.connected:
        return "the SSH connection is gone" if before.connected else ""
    if now.route != before.route:
        return f"the way to the SSH client changed from {before.route or 'none'} to {now.route or 'none'}"
    if now.heard is None or now.heard <= since * 1000:
        return ""
    return "the SSH client was not heard since the change" + (f"; {now.waiting} segments wait" if now.waiting else "")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        at: UNIX time in seconds.
        id: name of the guard.
        reason: what it guarded.
        done: what was put back, one line each; empty where nothing was different.
        failed: what could not be put back, with the reason, one line each.
    """

    at: float
    id: str
    reason: str
    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "done": list(self.done), "failed": list(self.failed)}
