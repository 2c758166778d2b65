"""Measures what ``scripts/bench/tui_idle`` says."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import struct
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.ports.cluster import CILIUM_ENDPOINTS
from tests.support.apiserver import ApiServer, api_server
from tests.support.bare_cluster import BareCluster
from tests.support.kubelet import Kubelet
from tests.support.recordings import Object, changed, healthy, load
from tests.support.status_agent import agent

LIMIT = 2.0
"""Percent of one core."""
PODS = 500
SETTLING = 8.0
_ROWS, _COLUMNS = 24, 80


def main() -> int:
    """Start everything, measure, print; exit code 1 above the limit."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 40.0
    with tempfile.TemporaryDirectory(prefix="tui-idle-") as folder, api_server(Path(folder)) as server:
        return asyncio.run(_measure(server, seconds))


async def _measure(server: ApiServer, seconds: float) -> int:
    opener = Kubeconfigs(env={"HOME": str(server.folder)}, k3s=server.folder / "absent")
    kube = await opener.open(str(server.kubeconfig()))
    try:
        async with _cluster(kube, server):
            percent, bytes_shown, screen = await asyncio.to_thread(_run, str(server.kubeconfig()), seconds)
    finally:
        await kube.close()
    if "managed" not in screen:
        print(f"the overview did not come up:\n{screen[-2000:]}", file=sys.stderr)
        return 1
    verdict = "ok" if percent <= LIMIT else f"more than {LIMIT:g} %"
    print(f"overview idle, {PODS} pods, {seconds:g} s: {percent:.2f} % of a core, {bytes_shown} bytes drawn: {verdict}")
    return int(percent > LIMIT)


@asynccontextmanager
async def _cluster(kube: KubeClient, server: ApiServer) -> AsyncIterator[None]:
    """Put the recorded cluster into the server, and many pods with their endpoints."""
    async with Kubelet().serving(server.folder) as kubelet:
        kubelet.command = agent

        def local(node: Object) -> None:
            node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = kubelet.port
            node["status"]["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]

        made = BareCluster(kube)
        await made.put_all(changed(healthy(), "nodes", "vm", local))
        await made.define(CILIUM_ENDPOINTS, "CiliumEndpoint")
        pod = next(item for item in load("demo")["items"] if item["kind"] == "Pod")
        for number in range(PODS):
            metadata = {"name": f"web-{number:04}", "namespace": "default"}
            await made.put({**pod, "metadata": {**metadata, "labels": pod["metadata"].get("labels", {})}})
            await kube.apply({"apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint", "metadata": metadata})
        yield


def _run(kubeconfig: str, seconds: float) -> tuple[float, int, str]:
    """Run the cockpit; return percent of a core, bytes drawn while idle, and all that it wrote."""
    argv = [sys.executable, "-m", "installer", "tui", "--area", "overview", "--kubeconfig", kubeconfig]
    home = str(Path(kubeconfig).parent)
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "HOME": home}
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(argv[0], argv, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    try:
        written = _read(terminal, SETTLING)
        before = _cpu_seconds(child)
        idle = _read(terminal, seconds)
        used = _cpu_seconds(child) - before
        os.write(terminal, b"q")
        _read(terminal, 1.0)
    finally:
        _end(child)
        os.close(terminal)
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", written).decode("utf-8", "replace")
    return used / seconds * 100, len(idle), text


def _read(terminal: int, seconds: float) -> bytes:
    found, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            try:
                found += os.read(terminal, 65536)
            except OSError:  # it has ended
                break
    return found


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _end(child: int) -> None:
    if os.waitpid(child, os.WNOHANG)[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)


if __name__ == "__main__":
    sys.exit(main())
