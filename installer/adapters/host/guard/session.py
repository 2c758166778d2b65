"""The SSH session that drives beeyard: found, and asked for a sign of life."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from installer.adapters.host.guard import rtnetlink as rt
from installer.domain.guard import Reach, Session, session_of

_BY_FAMILY, _INFO, _ESTABLISHED = 20, 2, 1
_DIAG_HEAD = 72
_GETFD = 438
_SERVERS = ("sshd", "dropbear", "tinysshd")
_FRESH = 500
"""Milliseconds: who was heard since then need not be asked."""
_UNHEARD = 1 << 31
_PATIENCE, _POLL = 1.5, 0.02
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    # Many probes, so that a host which is cut off for a while does not lose the session by our asking.
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 100),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    # Last: with keepalives on, this asks at once where the other side was silent for longer.
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
)
_DST, _SRC, _OIF, _GATEWAY = 1, 2, 4, 5


@dataclass(frozen=True, slots=True)
class _Connection:
    state: int
    inode: int
    unacked: int
    heard: int


def find(environment: Mapping[str, str]) -> Session | None:
    """Return the session of our own variables, else that of the nearest ancestor: sudo takes the variable away."""
    own = session_of(environment)
    if own is not None:
        return own
    for pid in _ancestors():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
            found = session_of(dict(field.partition("=")[::2] for field in fields))
            if found is not None:
                return found
    return None


def reach(session: Session) -> Reach:
    """Return how the other side is reached now; an idle one is asked for a sign of life, which takes a moment.

    The sign is a TCP keepalive on the session's own socket, which sshd holds. Where that is not found, and nothing
    waits to be acknowledged, whether the other side is there stays unknown.
    """
    try:
        connection = _connection(session)
        if connection is None or connection.state != _ESTABLISHED:
            return Reach(_route(session), connected=False)
        if connection.heard > _FRESH:
            with _asking_for_life(connection.inode) as asked:
                end = time.monotonic() + (_PATIENCE if asked else 0.0)
                while connection.heard > _FRESH and time.monotonic() < end:
                    time.sleep(_POLL)
                    connection = _connection(session) or connection
            if not asked and connection.unacked == 0:
                return Reach(_route(session), connected=True)
    except OSError:  # this kernel does not tell: the way there is all that is known
        return Reach(_route(session), connected=True)
    return Reach(_route(session), connected=True, heard=connection.heard, waiting=connection.unacked)


def _route(session: Session) -> str:
    """Return the way from our address to the other side: link and next hop."""
    try:
        with rt.Netlink() as netlink:
            found = netlink.get(rt.GET_ROUTE, _question(session))
    except OSError:
        return ""
    if found is None:
        return ""
    known = dict(rt.attributes(found[12:]))
    via = f" via {socket.inet_ntop(found[0], known[_GATEWAY])}" if _GATEWAY in known else ""
    return f"dev {_name(rt.u32(known[_OIF]))}{via}" if _OIF in known else "no link"


def _question(session: Session) -> bytes:
    family, dst = _packed(session.client)
    _, src = _packed(session.server)
    bits = len(dst) * 8
    head = struct.pack("=8BI", family, bits, bits, 0, 0, 0, 0, 0, 0)
    return head + rt.attribute(_DST, dst) + rt.attribute(_SRC, src)


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"if{index}"


def _packed(address: str) -> tuple[int, bytes]:
    if ":" not in address:
        return socket.AF_INET, socket.inet_aton(address)
    raw = socket.inet_pton(socket.AF_INET6, address)
    return (socket.AF_INET, raw[12:]) if raw.startswith(bytes(10) + b"\xff\xff") else (socket.AF_INET6, raw)


def _connection(session: Session) -> _Connection | None:
    """Ask the kernel for the socket of these addresses and ports.

    Raises:
        OSError: it cannot tell of sockets.
    """
    family, client = _packed(session.client)
    _, server = _packed(session.server)
    ends = struct.pack("!HH", session.server_port, session.client_port)
    place = ends + server.ljust(16, b"\0") + client.ljust(16, b"\0") + struct.pack("=I2I", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, 0xFFFFFFFF) + place
    try:
        with rt.Netlink(rt.SOCK_DIAG) as netlink:
            found = netlink.get(_BY_FAMILY, request)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    return _told(found) if found is not None else None


def _told(found: bytes) -> _Connection:
    inode = struct.unpack_from("=I", found, _DIAG_HEAD - 4)[0]
    info = dict(rt.attributes(found[_DIAG_HEAD:])).get(_INFO, b"")
    if len(info) < 60:
        return _Connection(found[1], inode, 0, _UNHEARD)
    unacked = struct.unpack_from("=I", info, 24)[0]
    received, acknowledged = struct.unpack_from("=2I", info, 52)
    return _Connection(found[1], inode, unacked, min(received, acknowledged))


@contextmanager
def _asking_for_life(inode: int) -> Iterator[bool]:
    """Let the kernel send keepalives while the context lasts; False where the socket's holder is not found."""
    with ExitStack() as stack:
        held = next(filter(None, (_borrowed(pid, number) for pid, number in _holders(inode))), None)
        if held is not None:
            stack.enter_context(held)
            before = [(level, option, held.getsockopt(level, option)) for level, option, _ in _KEEPALIVE]
            stack.callback(lambda: [held.setsockopt(*one) for one in reversed(before)])
            for level, option, value in _KEEPALIVE:
                held.setsockopt(level, option, value)
        yield held is not None


def _borrowed(pid: int, number: int) -> socket.socket | None:
    """Return a socket of another process."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        handle = ctypes.CDLL(None, use_errno=True).syscall(_GETFD, process, number, 0)
    finally:
        os.close(process)
    return socket.socket(fileno=handle) if handle >= 0 else None


def _holders(inode: int) -> Iterator[tuple[int, int]]:
    for pid in (*_ancestors(), *_servers()):
        with suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                if str(link.readlink()) == f"socket:[{inode}]":
                    yield pid, int(link.name)


def _servers() -> Iterator[int]:
    """Return SSH servers that are no ancestors of ours: below tmux or nohup, ours is another branch of the tree."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "comm").read_text().startswith(_SERVERS):
                yield int(folder.name)


def _ancestors() -> Iterator[int]:
    pid = os.getppid()
    while pid > 0:
        yield pid
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
