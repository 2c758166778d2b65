"""A live stream of 15,000 flows/s from a gRPC server of this machine, printed compact by ``beeyard observe -f``."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import grpc.aio  # noqa: E402
from google.protobuf import json_format, timestamp_pb2  # noqa: E402

from installer.adapters.hubble._proto import observer_pb2  # noqa: E402

SERVICE, CHUNK = "observer.Observer", 0.01


def stamp(moment: int) -> bytes:
    """Return a timestamp in bytes that are always as many: nanoseconds below 2**28 become 2**28."""
    seconds, nanos = divmod(moment, 1_000_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=max(nanos, 1 << 28)).SerializeToString()


def template(line: bytes) -> list[bytes]:
    """Return a flow's bytes, split where its time, its id and its time again belong."""
    answer = json_format.Parse(line, observer_pb2.GetFlowsResponse())
    mark, name = stamp(time.time_ns()), "0" * 32
    for moment in (answer.time, answer.flow.time):
        moment.ParseFromString(mark)
    answer.flow.uuid = name
    first, middle, last = answer.SerializeToString().split(mark)
    return [first, *middle.split(name.encode()), last]


class Server:
    """Sends recorded flows at a rate. Only time and id are put in while the clock runs."""

    def __init__(self, rate: int, seconds: float) -> None:
        lines = gzip.decompress((ROOT / "tests/fixtures/hubble/flows-cilium-1.16.jsonl.gz").read_bytes()).splitlines()
        self._flows = [template(line) for line in lines]
        self.total = int(rate * seconds)
        self._rate = rate
        self.seconds = 0.0

    async def flows(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Serve the stream once; its flows are of the moment when they are sent."""
        del request, context
        start, sent = time.perf_counter(), 0
        while sent < self.total:
            due = min(self.total, int((time.perf_counter() - start + CHUNK) * self._rate))
            now = stamp(time.time_ns())
            for number in range(sent, due):
                parts = self._flows[number % len(self._flows)]
                yield parts[0] + now + parts[1] + b"%032x" % number + parts[2] + now + parts[3]
            sent = due
            await asyncio.sleep(max(0.0, start + sent / self._rate - time.perf_counter()))
        self.seconds = time.perf_counter() - start
        await asyncio.Event().wait()

    async def status(self, request: bytes, context: Any) -> bytes:
        """Answer that all is well."""
        del request, context
        return observer_pb2.ServerStatusResponse(max_flows=4095).SerializeToString()


async def serve(server: Server) -> tuple[grpc.aio.Server, int]:
    """Start the server and return it with its port."""
    handlers: dict[str, Any] = {
        "GetFlows": grpc.unary_stream_rpc_method_handler(server.flows),
        "ServerStatus": grpc.unary_unary_rpc_method_handler(server.status),
    }
    made = grpc.aio.server()
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = made.add_insecure_port("127.0.0.1:0")
    await made.start()
    return made, port


async def run(rate: int, seconds: float) -> int:
    """Print figures; return 1 if a flow was lost."""
    server = Server(rate, seconds)
    running, port = await serve(server)
    argv = [str(ROOT / ".venv/bin/beeyard"), "observe", "--server", f"127.0.0.1:{port}", "-f"]
    process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines, last = 0, time.perf_counter()
    while lines < server.total:
        try:
            data = await asyncio.wait_for(process.stdout.read(1 << 20), 10)
        except TimeoutError:
            break
        lines += data.count(b"\n")
        last = time.perf_counter()
    ticks = os.sysconf("SC_CLK_TCK")
    stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(stat[11]) + int(stat[12])) / ticks
    late = last - (time.perf_counter() if not server.seconds else last)
    process.terminate()
    await process.wait()
    await running.stop(None)
    told = server.seconds or late
    print(f"asked {rate} flows/s for {seconds:g} s: sent {server.total} in {told:.2f} s ({server.total / told:.0f}/s)")
    print(f"printed {lines}, lost {server.total - lines}; {cpu:.2f} s cpu, {cpu / server.total * 1e6:.0f} us a flow")
    return int(lines != server.total)


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=15_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    return asyncio.run(run(given.rate, given.seconds))


if __name__ == "__main__":
    sys.exit(main())
