"""An Observer that replays recorded flows at a rate, written down to HTTP/2's frames so that it costs next to nothing.

A gRPC server in Python sends 13,000 messages a second at best, and one by one; agents and Relay, written in Go, send
many at once. It answers ServerStatus (an empty request) and GetFlows (any other), one flow after the other with a new
uuid and the present time, and tells on stdout its port and then how many it sent.

    flow_server.py RATE SECONDS      RATE 0: as fast as the client takes them
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import time
from pathlib import Path

from google.protobuf import json_format

from installer.adapters.hubble._proto import observer_pb2

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "fixtures" / "hubble"
DATA, HEADERS, SETTINGS, PING, WINDOW = 0, 1, 4, 6, 8
AT_ONCE = 64
MAKE_AT_ONCE = 60_000


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(key: bytes, value: bytes) -> bytes:
    """Return a header, without any compression."""
    return b"\x00" + bytes([len(key)]) + key + bytes([len(value)]) + value


def message(raw: bytes) -> bytes:
    """Return a message with gRPC's prefix."""
    return b"\0" + len(raw).to_bytes(4, "big") + raw


HEAD = b"\x88" + literal(b"content-type", b"application/grpc")
TRAILER = literal(b"grpc-status", b"0")


def recorded() -> list[observer_pb2.GetFlowsResponse]:
    """Return the recorded flows."""
    plain = FOLDER / "flows-cilium-1.16.jsonl"
    packed = plain.with_suffix(".jsonl.gz")
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    answers = [json_format.Parse(line, observer_pb2.GetFlowsResponse()) for line in text.splitlines()]
    return [answer for answer in answers if answer.HasField("flow")]


def make(count: int, rate: int, start: int) -> list[bytes]:
    """Return the messages of the run: recorded flows, masked as our client asks, with uuids and times of their own."""
    from google.protobuf.field_mask_pb2 import FieldMask

    from installer.domain.flows.mask import DEFAULT_MASK

    mask, masked = FieldMask(paths=DEFAULT_MASK), []
    for answer in recorded():
        short = observer_pb2.GetFlowsResponse(node_name=answer.node_name)
        short.flow.SetInParent()
        mask.MergeMessage(answer.flow, short.flow)
        masked.append(short)
    made = []
    for number in range(count):
        answer = masked[number % len(masked)]
        answer.flow.uuid = f"{number:036}"
        moment = start + (number * 1_000_000_000 // rate if rate else 0)
        answer.flow.time.FromNanoseconds(moment)
        answer.time.FromNanoseconds(moment)
        made.append(message(answer.SerializeToString()))
    return made


class Connection:
    """One client; ``window`` holds what HTTP/2's flow control allows to send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: int, seconds: float):
        self.reader, self.writer, self.rate, self.seconds = reader, writer, rate, seconds
        self.window, self.initial = 65535, 65535
        self.streams: dict[int, int] = {}
        self.open = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def serve(self) -> None:
        """Read frames until the client leaves."""
        await self.reader.readexactly(24)
        self.writer.write(frame(SETTINGS, 0, 0, b""))
        try:
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                self.take(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            for task in self.tasks:
                task.cancel()

    def take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Act on one frame."""
        if kind == SETTINGS and not flags & 1:
            self.settings(payload)
        elif kind == PING and not flags & 1:
            self.writer.write(frame(PING, 1, 0, payload))
        elif kind == WINDOW:
            self.grow(stream, int.from_bytes(payload, "big"))
        elif kind == HEADERS:
            self.streams[stream] = self.initial
            self.writer.write(frame(HEADERS, 4, stream, HEAD))
        elif kind == DATA and len(payload) >= 5:
            if len(payload) == 5:
                status = observer_pb2.ServerStatusResponse(num_flows=1, max_flows=4095).SerializeToString()
                self.writer.write(frame(DATA, 0, stream, message(status)) + frame(HEADERS, 5, stream, TRAILER))
            else:
                self.tasks.append(asyncio.ensure_future(self.flows(stream)))

    def settings(self, payload: bytes) -> None:
        """Take the client's window."""
        for index in range(0, len(payload), 6):
            if payload[index + 1] == 4:
                value = int.from_bytes(payload[index + 2 : index + 6], "big")
                self.streams = {stream: left + value - self.initial for stream, left in self.streams.items()}
                self.initial = value
        self.writer.write(frame(SETTINGS, 1, 0, b""))

    def grow(self, stream: int, size: int) -> None:
        """Let more be sent."""
        if stream == 0:
            self.window += size
        elif stream in self.streams:
            self.streams[stream] += size
        self.open.set()

    async def flows(self, stream: int) -> None:
        """Send the flows as the rate says and the windows allow."""
        count = int(self.rate * self.seconds) if self.rate else MAKE_AT_ONCE
        made = make(count, self.rate, time.time_ns() + int(1e9 * (1 + count / 60_000)))
        begin, sent = time.perf_counter() + 1, 0
        if not self.rate:
            count = int(200_000 * self.seconds)
        while sent < count and not (self.rate == 0 and time.perf_counter() > begin + self.seconds):
            due = min(count, int((time.perf_counter() - begin) * self.rate)) if self.rate else count
            if due <= sent:
                await asyncio.sleep(0.002)
                continue
            out: list[bytes] = []
            for _ in range(min(AT_ONCE, due - sent)):
                raw = made[sent % len(made)]
                while self.window < len(raw) or self.streams[stream] < len(raw):
                    if out:
                        self.writer.write(b"".join(out))
                        out = []
                    self.open.clear()
                    await self.open.wait()
                self.window -= len(raw)
                self.streams[stream] -= len(raw)
                out.append(frame(DATA, 0, stream, raw))
                sent += 1
            self.writer.write(b"".join(out))
            await self.writer.drain()
            await asyncio.sleep(0)
        self.writer.write(frame(HEADERS, 5, stream, TRAILER))
        print(sent, flush=True)


async def main() -> None:
    """Listen on a free port."""
    rate, seconds = int(sys.argv[1]), float(sys.argv[2])

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(reader, writer, rate, seconds).serve()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
