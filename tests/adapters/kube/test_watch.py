from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from installer.adapters.kube import watch as watch_module
from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.collection import Selection, list_all
from installer.adapters.kube.errors import GoneError
from installer.adapters.kube.opener import Kubeconfigs
from installer.adapters.kube.watch import WatchStream, follow_once
from installer.domain.errors import BeeyardError, ConnectError
from installer.ports.cluster import CONFIG_MAPS, CRDS, NAMESPACES, NODES, PODS, Resource, WatchEvent
from installer.services.watching import watched
from tests.support.apiserver import ApiServer
from tests.support.bare_cluster import BareCluster

GADGETS = Resource("example.org/v1", "gadgets", namespaced=False)


def config_map(name: str, value: str = "") -> dict[str, object]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}


async def until(events: WatchStream, wanted: Callable[[WatchEvent], bool]) -> list[WatchEvent]:
    """Return the events up to the wanted one."""
    seen: list[WatchEvent] = []
    async for event in events:
        seen.append(event)
        if wanted(event):
            return seen
    raise AssertionError(f"the watch ended: {seen}")


def is_change(kind: str, name: str) -> Callable[[WatchEvent], bool]:
    return lambda event: event.kind == kind and event.object is not None and event.object["metadata"]["name"] == name


def is_kind(kind: str) -> Callable[[WatchEvent], bool]:
    return lambda event: event.kind == kind


@pytest.fixture
async def clean(kube: KubeClient) -> None:
    for item in await kube.list(CONFIG_MAPS, namespace="default"):
        await kube.delete(CONFIG_MAPS, item["metadata"]["name"], namespace="default")


async def test_a_watch_that_is_left_half_way_leaves_no_request_behind(kube: KubeClient) -> None:
    before = asyncio.all_tasks()
    async with watched(kube, [(NAMESPACES, None), (NODES, None)]) as events:
        async for _ in events:
            assert len(asyncio.all_tasks() - before) >= 2
            break
    assert asyncio.all_tasks() == before


@pytest.mark.usefixtures("clean")
async def test_several_resources_come_merged(kube: KubeClient) -> None:
    await kube.create(config_map("before"))
    async with aclosing(kube.watch([(CONFIG_MAPS, "default"), (NAMESPACES, None)])) as events:
        first, second = await anext(events), await anext(events)
        synced = {event.resource: event for event in (first, second)}
        assert {event.kind for event in synced.values()} == {"SYNCED"}
        assert "before" in [item["metadata"]["name"] for item in synced[CONFIG_MAPS].objects]
        assert "kube-system" in [item["metadata"]["name"] for item in synced[NAMESPACES].objects]
        await kube.create(config_map("during"))
        await kube.apply(config_map("during", "changed"))
        await kube.delete(CONFIG_MAPS, "during", namespace="default")
        await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "during"}})
        wanted = {("ADDED", "during"), ("MODIFIED", "during"), ("DELETED", "during")}
        seen = await until(events, is_change("DELETED", "during"))
        kinds = {(event.kind, event.object["metadata"]["name"]) for event in seen if event.object}
        assert wanted <= kinds


@pytest.mark.usefixtures("clean")
async def test_survives_a_restart_of_the_api_server(kube: KubeClient, api: ApiServer) -> None:
    async with aclosing(kube.watch([(CONFIG_MAPS, "default")])) as events:
        await until(events, is_kind("SYNCED"))
        await asyncio.to_thread(api.stop_api)
        (lost,) = await until(events, is_kind("LOST"))
        assert api.server in lost.message
        assert not await kube.healthy()
        await asyncio.to_thread(api.start_api)
        seen = await until(events, is_kind("SYNCED"))
        assert [event.kind for event in seen] == ["SYNCED"]  # one LOST for the whole outage
        await kube.create(config_map("after"))
        await until(events, is_change("ADDED", "after"))


async def test_a_loss_ends_a_watch_that_may_not_reconnect(kube: KubeClient, api: ApiServer) -> None:
    events = kube.watch([(NODES, None)], reconnect=False)
    await until(events, is_kind("SYNCED"))
    await asyncio.to_thread(api.stop_api)
    with pytest.raises(ConnectError) as caught:
        await anext(events)
    assert caught.value.code == "E-KUBE-001"
    await asyncio.to_thread(api.start_api)
    with pytest.raises(StopAsyncIteration):
        await anext(events)


@pytest.mark.usefixtures("clean")
async def test_a_silent_connection_is_given_up(
    kube: KubeClient, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "SILENCE_SECONDS", 1.0)
    async with aclosing(kube.watch([(CONFIG_MAPS, "default")])) as events:
        await until(events, is_kind("SYNCED"))
        api.pause_api()
        try:
            (lost,) = await until(events, is_kind("LOST"))
        finally:
            api.resume_api()
        assert "no answer in time" in lost.message
        await until(events, is_kind("SYNCED"))


@pytest.mark.usefixtures("clean")
async def test_goes_on_where_a_span_ended(kube: KubeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "SPAN_SECONDS", 2)
    spans: list[str] = []
    third = asyncio.Event()
    original = follow_once

    def counted(transport: object, selection: object, version: str) -> object:
        spans.append(version)
        if len(spans) == 3:  # a span ends by itself after two seconds
            third.set()
        return original(transport, selection, version)  # type: ignore[arg-type]

    monkeypatch.setattr(watch_module, "follow_once", counted)
    async with aclosing(kube.watch([(CONFIG_MAPS, "default")])) as events:
        await until(events, is_kind("SYNCED"))
        reading = asyncio.ensure_future(until(events, is_change("ADDED", "late")))
        await third.wait()
        await kube.create(config_map("late"))
        seen = await reading
    assert [event.kind for event in seen] == ["ADDED"]


async def test_a_compacted_version_is_gone(kube: KubeClient, api: ApiServer) -> None:
    await kube.apply(config_map("any", "1"))
    await asyncio.to_thread(api.compact)
    with pytest.raises(GoneError):
        async for _ in follow_once(kube._transport, Selection(CONFIG_MAPS), "1"):
            pass


async def test_lists_again_when_the_version_is_gone(kube: KubeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = ["1"]

    async def old_list(transport: object, selection: object) -> object:
        objects, version = await list_all(transport, selection)  # type: ignore[arg-type]
        return objects, versions.pop() if versions else version

    await kube.apply(config_map("any", "2"))
    monkeypatch.setattr(watch_module, "list_all", old_list)
    async with aclosing(kube.watch([(CONFIG_MAPS, "default")])) as events:
        assert [(await anext(events)).kind, (await anext(events)).kind] == ["SYNCED", "SYNCED"]
        await kube.create(config_map("gone-and-back"))
        await until(events, is_change("ADDED", "gone-and-back"))


async def test_a_resource_type_may_come_and_go(kube: KubeClient) -> None:
    async with aclosing(kube.watch([(GADGETS, None)])) as events:
        (first,) = await until(events, is_kind("SYNCED"))
        assert first.objects == ()
        await BareCluster(kube).define(GADGETS, "Gadget")
        await until(events, is_kind("SYNCED"))
        await kube.apply({"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": "one"}})
        await until(events, is_change("ADDED", "one"))
        await kube.delete(CRDS, "gadgets.example.org")
        await until(events, lambda event: event.kind == "DELETED" or (event.kind == "SYNCED" and not event.objects))


async def test_forbidden_is_told_at_once(api: ApiServer, opener: Kubeconfigs) -> None:
    reader = await opener.open(str(api.kubeconfig("reader")))
    async with aclosing(reader.watch([(PODS, "kube-system")])) as events:
        with pytest.raises(BeeyardError) as caught:
            await anext(events)
    assert caught.value.code == "E-KUBE-003"
    await reader.close()


async def test_unreachable_from_the_start_is_lost_then_synced(kube: KubeClient, api: ApiServer) -> None:
    await asyncio.to_thread(api.stop_api)
    async with aclosing(kube.watch([(NODES, None)])) as events:
        assert (await anext(events)).kind == "LOST"
        await asyncio.to_thread(api.start_api)
        assert (await anext(events)).kind == "SYNCED"


async def test_closing_ends_the_tasks(kube: KubeClient) -> None:
    events = kube.watch([(NODES, None), (PODS, None)])
    await anext(events)
    await events.aclose()
    assert len(asyncio.all_tasks()) == 1


async def test_lines_of_any_length_and_cut() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b'{"a"', b":1}\n\n{", b"}\n", b"x" * 10, b"\n"):
            yield chunk

    assert [line async for line in watch_module._lines(chunks())] == [b'{"a":1}', b"{}", b"x" * 10]
