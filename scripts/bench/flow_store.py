"""Memory and time of the flow store: flows of a recording again and again, each with its own identity, time and ports.

See ``scripts/bench/flow_store``.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from installer.domain.flows.flow import Answer, Flow, Layer4
from installer.domain.flows.store import FlowStore
from installer.domain.flows.times import from_ns

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDING = REPOSITORY / "tests/fixtures/hubble/flows-cilium-1.16.jsonl"
BATCH = 500
_random = random.Random(7)


def resident() -> float:
    """Return this process's resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def lines(recording: Path, count: int) -> Iterator[bytes]:
    """Give the recording's lines ``count`` times over, no two of them alike, as they come from the wire."""
    decoder, encoder = msgspec.json.Decoder(Answer), msgspec.json.Encoder()
    answers = [decoder.decode(line) for line in recording.read_bytes().splitlines()]
    flows = [answer.flow for answer in answers if answer.flow]
    for number, flow in enumerate(itertools.islice(itertools.cycle(flows), count)):
        own = _own(flow, number)
        yield encoder.encode(Answer(flow=own, node_name=own.node_name, time=own.time))


def _own(flow: Flow, number: int) -> Flow:
    summary = flow.summary if number % 20 else f"{flow.summary} {number}"
    moment = from_ns(1_800_000_000_000_000_000 + number * 200_117)
    identity = str(uuid.UUID(int=_random.getrandbits(128)))
    return msgspec.structs.replace(flow, uuid=identity, time=moment, l4=_ports(flow.l4), summary=summary)


def _ports(l4: Layer4 | None) -> Layer4 | None:
    if l4 is None or l4.tcp is None:
        return l4
    ports = {"source_port": _random.randrange(32768, 61000), "destination_port": l4.tcp.destination_port}
    return Layer4(tcp=msgspec.structs.replace(l4.tcp, **ports))


def main(arguments: list[str]) -> None:
    """Print the figures."""
    count = int(arguments[0]) if arguments else 100_000
    recording = Path(arguments[1]) if len(arguments) > 1 else RECORDING
    decoder = msgspec.json.Decoder(Answer)
    source = lines(recording, 2 * count)
    store = FlowStore(count)
    store.add([decoder.decode(next(lines(recording, 1)))])
    before = resident()
    took = _fill(store, source, decoder, count)
    print(f"{len(store):,} flows kept in {resident() - before:.1f} MB ({took / count * 1e6:.1f} us/flow to take in)")
    took = _fill(store, source, decoder, count)
    print(f"another {count:,} with eviction: {resident() - before:.1f} MB ({took / count * 1e6:.1f} us/flow)")
    view = store.view(lambda flow: flow.verdict == "DROPPED")
    start = time.perf_counter()
    while view.advance():
        pass
    took = time.perf_counter() - start
    print(f"filtering all: {took * 1000:.0f} ms, {len(view):,} match ({took / count * 5e6:.1f} ms a slice of 5,000)")


def _fill(store: FlowStore, source: Iterator[bytes], decoder: msgspec.json.Decoder[Answer], count: int) -> float:
    took = 0.0
    while count > 0:
        batch = [decoder.decode(line) for line in itertools.islice(source, min(count, BATCH))]
        count -= BATCH
        start = time.perf_counter()
        store.add(batch)
        took += time.perf_counter() - start
    return took


if __name__ == "__main__":
    main(sys.argv[1:])
