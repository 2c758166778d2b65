"""Commands in containers, over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.adapters.kube.errors import AbsentError, GoneError, Target, absent
from installer.adapters.kube.paths import resource_path
from installer.adapters.kube.transport import Request, Transport
from installer.domain.errors import BeeyardError, DeadlineError
from installer.ports.cluster import PODS, ExecResult

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

PROTOCOL = "v4.channel.k8s.io"
_OUT, _ERR, _STATUS = 1, 2, 3


async def run_in_container(
    transport: Transport, pod: str, namespace: str, argv: Sequence[str], *, container: str, seconds: float
) -> ExecResult:
    """Run a command in a container.

    Raises:
        DeadlineError: ``E-KUBE-006`` no end within ``seconds``.
        BeeyardError: ``E-KUBE-004`` no such pod, ``E-KUBE-009`` the container cannot be entered.
    """
    query = [("command", word) for word in argv] + [("stdout", "true"), ("stderr", "true")]
    query += [("container", container)] if container else []
    target = Target("create", "pods/exec", namespace, pod)
    request = Request(target, resource_path(PODS, namespace, pod, "exec"), query=query)
    try:
        async with asyncio.timeout(seconds), transport.websocket(request, PROTOCOL) as connection:
            channels = await _read(connection)
    except TimeoutError as error:
        fix = "See whether the container hangs, or allow more time."
        why = f"no end within {seconds:g} s"
        what = f"'{' '.join(argv)}' in {namespace}/{pod} did not end"
        raise DeadlineError(what, why=why, fix=fix, code="E-KUBE-006") from error
    except (AbsentError, GoneError) as error:
        raise absent(target) from error
    return _result(target, channels)


async def _read(connection: ClientWebSocketResponse) -> dict[int, bytes]:
    channels = {_OUT: bytearray(), _ERR: bytearray(), _STATUS: bytearray()}
    async for message in connection:
        data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
        if data and data[0] in channels:
            channels[data[0]] += data[1:]
        if channels[_STATUS]:
            break
    return {channel: bytes(data) for channel, data in channels.items()}


def _result(target: Target, channels: dict[int, bytes]) -> ExecResult:
    status = json.loads(channels[_STATUS] or b"{}")
    out, err = (channels[channel].decode(errors="replace") for channel in (_OUT, _ERR))
    if status.get("status") == "Success":
        return ExecResult(0, out, err)
    causes = status.get("details", {}).get("causes") or []
    codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
    if codes:
        return ExecResult(int(codes[0]), out, err)
    why = status.get("message") or "the connection ended before the command did"
    raise BeeyardError(
        f"cannot {target}", why=why, fix="See whether the pod is running: beeyard status", code="E-KUBE-009"
    )
