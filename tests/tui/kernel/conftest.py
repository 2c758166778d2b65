"""A Kernel screen on a node of the shop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.domain.flows.feed import Connected, Flows
from installer.domain.flows.flow import Answer
from installer.domain.kernel.judgement import judge
from installer.domain.kernel.settings import settings_of
from installer.domain.spec import ClusterSpec
from installer.services.kernel_proof import KernelReport
from installer.services.kernel_watch import KernelWatch
from installer.tui.areas import AREAS
from installer.tui.kernel.screen import KernelScreen
from tests.support import kernel
from tests.support.cockpit import StubCluster, cockpit_of, no_kubeconfig, stub_services, text_of, wait_for
from tests.support.flow_feeds import ScriptedFeeds
from tests.support.policies import PolicyCluster
from tests.support.tap import NOW, NodeKube, ScriptedTap, busy, denied, tapping
from tests.tui.conftest import Open


class Clock:
    """The time, which tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


async def prove(spec: ClusterSpec | None) -> KernelReport:
    """Tell what a recorded kernel answered, for a cluster with WireGuard."""
    proof = kernel.recorded()
    wanted = settings_of(spec or ClusterSpec()) | {"wireguard"}
    return KernelReport(judge(proof, wanted, distribution="debian"), proof, "the cluster of this host")


@dataclass
class Node:
    """What a test needs.

    Attributes:
        pilot: drives the app.
        tap: plays the tap.
        hubble: plays Hubble; what the Flows screen opens, too.
        clock: the time.
    """

    pilot: Pilot[int]
    tap: ScriptedTap
    hubble: ScriptedFeeds
    clock: Clock

    @property
    def screen(self) -> KernelScreen:
        found = next(frame for frame in cockpit_of(self.pilot).frames if isinstance(frame, KernelScreen))
        return found

    @property
    def watch(self) -> KernelWatch:
        found = self.screen.tap
        assert found is not None
        return found

    @property
    def text(self) -> str:
        return text_of(self.pilot.app)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        await wait_for(self.pilot, condition)

    async def sees(self, *words: str) -> None:
        await wait_for(self.pilot, lambda: all(word in self.text for word in words))

    async def start(self, view: str = "t") -> None:
        """Show a view, start the tap and wait until it told something, and until the policies are known."""
        await self.press(view, "s")
        await self.until(lambda: self.watch.word == "on" and self.watch.board.told.total)
        await self.until(lambda: self.watch.policies.word in ("there", "away", "off"))
        self.clock.now += 1
        self.screen.draw()
        await self.pilot.pause()


OpenNode = Callable[..., AbstractAsyncContextManager[Node]]


@pytest.fixture
def open_node(cockpit: Open) -> OpenNode:
    """Open the screen: ``async with open_node(size=(80, 24)) as node``."""

    @asynccontextmanager
    async def opened(
        answers: Sequence[Answer] | None = None,
        *,
        tap: ScriptedTap | None = None,
        cluster: bool = True,
        areas: Sequence[str] = ("kernel",),
        services: dict[str, Any] | None = None,
        **options: Any,
    ) -> AsyncIterator[Node]:
        tap = tap or tapping(busy() if answers is None else answers)
        hubble = ScriptedFeeds(Connected("relay"), Flows([Answer(flow=denied())]))
        clock, kube = Clock(), NodeKube()
        found = PolicyCluster(kube) if cluster else StubCluster(no_kubeconfig())
        changes = {"taps": tap, "flow_feeds": hubble, "now": clock, "kernel_proof": prove, **(services or {})}
        shown = tuple(area for area in AREAS if area.id in areas)
        async with cockpit(stub_services(found, **changes), areas=shown, area="kernel", **options) as pilot:
            node = Node(pilot, tap, hubble, clock)
            await node.until(lambda: cockpit_of(pilot).connection.state != "connecting")
            yield node

    return opened
