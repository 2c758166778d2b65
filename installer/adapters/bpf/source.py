"""The kernel as a source of flows."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

from installer.adapters.bpf import frames
from installer.adapters.bpf.process import TapProcess, run
from installer.domain.flows.filter_match import Match, compile_filters
from installer.domain.flows.flow import Answer
from installer.domain.tap.convert import Converter
from installer.domain.tap.directory import Directory
from installer.domain.tap.reasons import is_routine
from installer.ports.flows import FlowRequest


@dataclass(frozen=True, slots=True)
class TapOptions:
    """What is watched.

    Attributes:
        flows: count the traffic of sockets.
        drops: packets that the kernel drops.
        routine: also those drops that are no losses, such as leftovers of closed sockets.
        tcp: connections, retransmits, resets.
        dns: messages of DNS over UDP; needs the programs of ``flows``, whose own rows are left out without it.
        interval: seconds between two rows of a flow.
        table: flows that the kernel remembers.
        new_flows: new flows a second on each processor, beyond which they are shed.
        ring_pages: room for events, in pages; a power of 2.
    """

    flows: bool = True
    drops: bool = True
    routine: bool = False
    tcp: bool = True
    dns: bool = True
    interval: float = 1.0
    table: int = 65536
    new_flows: int = 50000
    ring_pages: int = 256


class TapSource:
    """Gives flows of this node from the kernel, as a ``FlowSource``.

    Args:
        programs: folder of the C sources.
        directory: names the sides; the names that the tap's process finds are added to it.
        node: name of this node.
        options: what is watched.
        on_ready: called with notes when the programs are at work.
    """

    def __init__(
        self,
        programs: Path,
        directory: Directory,
        node: str,
        options: TapOptions | None = None,
        on_ready: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        self._programs = programs
        self._directory = directory
        self._node = node
        self._options = options or TapOptions()
        self._on_ready = on_ready
        self._converter = Converter(directory, node, str(uuid.uuid4())[:24])
        self.stopping = asyncio.Event()

    @property
    def name(self) -> str:
        """Name for people."""
        return f"tap of {self._node}"

    def wish(self) -> dict[str, object]:
        """Return what the process is asked for."""
        asked = self._options
        return {
            "sources": str(self._programs),
            "flows": asked.flows or asked.dns,
            "drops": asked.drops,
            "tcp": asked.tcp,
            "dns": asked.dns,
            "table": asked.table,
            "new_flows": asked.new_flows,
            "ring_pages": asked.ring_pages,
            "interval": asked.interval,
        }

    async def batches(self, request: FlowRequest) -> AsyncGenerator[Sequence[Answer], None]:
        """Yield flows from now on. The past is not kept: ``number``, ``first`` and ``since`` mean nothing here.

        Ends at ``request.until``, or when ``stopping`` is set, with what came up to then.

        Raises:
            RefusedError: ``E-BPF-001`` to ``-009``.
            BeeyardError: ``E-BPF-010`` its process ended.
        """
        wanted = bool(request.filters.whitelist or request.filters.blacklist)
        keep = compile_filters(request.filters) if wanted else None
        async with run(self.wish()) as process:
            stopper = asyncio.ensure_future(self._stop(process, request.until))
            try:
                async with aclosing(process.frames()) as told:
                    async for frame in told:
                        answers = self._answers(frame, keep)
                        if answers:
                            yield answers
            finally:
                stopper.cancel()
                with suppress(asyncio.CancelledError):
                    await stopper

    async def _stop(self, process: TapProcess, until: float | None) -> None:
        seconds = None if until is None else max(0.0, until - time.time())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        await process.send("stop")

    def _answers(self, frame: frames.AnyFrame, keep: Match | None) -> list[Answer]:
        make = self._converter
        match frame:
            case frames.Ready(notes=notes):
                self._on_ready(notes)
                return []
            case frames.Names(spaces=spaces, groups=groups):
                self._directory.add_spaces(spaces, groups)
                return []
            case frames.Tick(time=moment, lost=lost):
                return make.losses(lost, moment)
            case frames.Samples(rows=samples):
                answers = [make.sample(row) for row in samples] if self._options.flows else []
            case frames.Drops(rows=drops):
                answers = [make.drop(row) for row in drops if self._options.routine or not is_routine(row)]
            case frames.Tcp(rows=events):
                answers = [make.tcp(row) for row in events]
            case frames.Dns(rows=messages):
                answers = [answer for row in messages if (answer := make.dns(row)) is not None]
            case _:
                answers = []
        return answers if keep is None else [answer for answer in answers if keep(answer.flow)]
