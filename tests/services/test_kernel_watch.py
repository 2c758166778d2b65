"""The tap beside Hubble and the policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from installer.domain.errors import BeeyardError, ConnectError, RefusedError
from installer.domain.flows.feed import Connected, Disconnected, Flows, Notice
from installer.domain.flows.flow import Answer
from installer.services import kernel_watch
from installer.services.kernel_watch import KernelWatch, TapWish
from tests.support.flow_feeds import ScriptedFeeds
from tests.support.tap import NOW, NodeKube, ScriptedTap, busy, denied, drop, sample, tapping


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(
    tap: ScriptedTap, hubble: ScriptedFeeds | None = None, kube: NodeKube | None = None, host: str = "node1"
) -> AsyncIterator[KernelWatch]:
    clock = iter(range(10**9))
    watch = KernelWatch(tap, hubble, lambda: NOW + next(clock) * 0.001, host)
    task = asyncio.ensure_future(watch.run(TapWish(), kube))  # type: ignore[arg-type]
    try:
        await until(lambda: watch.word != "off")
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not watch.running


async def test_what_it_tells_is_put_together_and_it_is_detached() -> None:
    tap = tapping(busy())
    async with running(tap) as watch:
        await until(lambda: watch.board.told.total)
        assert (watch.word, watch.source) == ("on", "tap of node1")
        assert watch.board.lost == 17
        tap.tell(Notice("E-BPF-021", "compiled with other headers", "nothing depends on them"))
        await until(lambda: watch.notes)
        assert watch.notes[0] == "compiled with other headers nothing depends on them"
    assert (watch.word, tap.detached) == ("off", 1)
    assert watch.board.told.total  # what was told stays


async def test_a_host_that_cannot() -> None:
    tap = ScriptedTap()
    async with running(tap) as watch:
        tap.tell(RefusedError("bcc is not there", fix="Install it.", code="E-BPF-003"))
        await until(lambda: watch.word == "failed")
        assert watch.trouble is not None
        assert watch.trouble.code == "E-BPF-003"


async def test_its_process_dies_and_it_starts_again() -> None:
    tap = tapping(busy())
    async with running(tap) as watch:
        await until(lambda: watch.board.told.total)
        tap.tell(BeeyardError("The tap's process ended", code="E-BPF-010"))
        await until(lambda: watch.word == "failed")
        again = asyncio.ensure_future(watch.run(TapWish(interval=5), None))
        await until(lambda: watch.word == "on")
        assert watch.trouble is None
        assert watch.board.traffic.interval == 5
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_two_runs_take_turns() -> None:
    tap = tapping()
    watch = KernelWatch(tap, None, lambda: NOW)
    first = asyncio.ensure_future(watch.run(TapWish(), None))
    await until(lambda: watch.word == "on")
    second = asyncio.ensure_future(watch.run(TapWish(routine=True), None))
    await asyncio.sleep(0)
    assert len(tap.wishes) == 1
    first.cancel()
    await until(lambda: len(tap.wishes) == 2)
    assert tap.detached == 1
    await until(lambda: watch.word == "on")
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert (watch.word, tap.detached) == ("off", 2)


async def test_a_drop_is_explained_by_the_kernel_hubble_and_the_policies() -> None:
    hubble = ScriptedFeeds(Connected("relay"))
    async with running(tapping(busy()), hubble, NodeKube("node1")) as watch:
        await until(lambda: watch.policies.word == "there" and watch.board.told.total)
        found = {one.reason: one for one in watch.board.drops.distinct()}
        assert not watch.explanation(found["TC_INGRESS"])
        assert await watch.explain()
        lines = watch.explanation(found["TC_INGRESS"])
        assert "hubble: not heard; whether the program is Cilium's is not known" in lines
        assert not await watch.explain()  # nothing is new
        hubble.flows([Answer(flow=denied())])
        await until(lambda: watch.doctor.heard(found["TC_INGRESS"].flow))
        assert await watch.explain()
        lines = watch.explanation(found["TC_INGRESS"])
        assert any(line.startswith("hubble: why: Policy denied") for line in lines)
        assert any(line.startswith("policies: shop/") and "deny" in line for line in lines)
        assert any(line.startswith("fix: ") for line in lines)
        assert watch.doctor.denied(found["TC_INGRESS"].flow)
        assert not watch.doctor.denied(found["NETFILTER_DROP"].flow)
        assert any("nft list ruleset" in line for line in watch.explanation(found["NETFILTER_DROP"]))


async def test_what_only_one_side_told() -> None:
    hubble = ScriptedFeeds(Connected("relay"))
    tap = tapping()
    async with running(tap, hubble, NodeKube("node1")) as watch:
        assert await watch.compare() is None
        hubble.flows(
            [sample("frontend", "api", 100, ports=(50001, 8080)), sample("cart", "api", 100, ports=(50002, 8080))]
        )
        await until(lambda: watch.hubble.word == "there")
        tap.tell(
            Flows([sample("frontend", "api", 9, ports=(50001, 8080)), sample("frontend", "dns", 9, ports=(50003, 53))])
        )
        await until(lambda: watch.board.told.total == 2)
        watch._heard, watch._now = NOW - 5, lambda: NOW + 10
        found = await watch.compare()
        assert found is not None
        assert found.result.both == 1
        assert [one.line.split()[1] for one in found.result.only_kernel] == ["shop/frontend-0:50003"]
        assert [one.line.split()[1] for one in found.result.only_hubble] == ["shop/cart-0:50002"]


async def test_comparing_begins_anew_before_it_grows_without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    hubble = ScriptedFeeds(Connected("relay"))
    async with running(tapping(), hubble, NodeKube("node1")) as watch:
        monkeypatch.setattr(kernel_watch, "MOST_COMPARED", 2)
        told = [sample("cart", "api", 1, ports=(50000 + number, 8080)) for number in range(3)]
        hubble.flows([*told, Answer(flow=denied())])
        await until(lambda: watch.doctor.heard(denied()))
        assert await watch.compare() is None


async def test_hubble_that_goes_away() -> None:
    hubble = ScriptedFeeds(Connected("relay"))
    async with running(tapping(), hubble, NodeKube("node1")) as watch:
        await until(lambda: watch.hubble.word == "there")
        hubble.tell(Disconnected(ConnectError("Relay is gone", code="E-HUB-001"), 2.0, 1))
        await until(lambda: watch.hubble.word == "away")
        assert watch.hubble.why == "Relay is gone"
        hubble.tell(ConnectError("no rights", code="E-HUB-002"))
        await until(lambda: watch.hubble.why == "no rights")
        assert watch.running


async def test_a_cluster_out_of_reach_does_not_end_the_tap() -> None:
    kube = NodeKube("node1")
    kube.away = True
    async with running(tapping(busy()), None, kube) as watch:
        await until(lambda: watch.policies.word == "away")
        await until(lambda: watch.board.told.total)
        assert watch.policies.why == "the API is out of reach"


async def test_a_host_that_is_no_node() -> None:
    async with running(tapping(), None, NodeKube("other"), host="laptop") as watch:
        await until(lambda: watch.foreign)
    async with running(tapping(), None, NodeKube("Laptop"), host="laptop") as watch:
        await until(lambda: watch.policies.word == "there")
        assert not watch.foreign


async def test_clearing_forgets() -> None:
    async with running(tapping([drop("cart", "api", "NO_SOCKET")])) as watch:
        await until(lambda: len(watch.board.drops))
        await watch.explain()
        watch.clear()
        assert not len(watch.board.drops)
        assert watch.board.lost == 0


async def test_clearing_keeps_the_interval() -> None:
    watch = KernelWatch(tapping(), None, lambda: NOW)
    task = asyncio.ensure_future(watch.run(TapWish(interval=10), None))
    await until(lambda: watch.word == "on")
    watch.clear()
    assert watch.board.traffic.interval == 10
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
