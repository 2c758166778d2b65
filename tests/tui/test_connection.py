"""The connection: unreachable at start, lost in the middle, refused, absent, another context."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from textual.pilot import Pilot

from installer.adapters.kube.errors import Target, forbidden, unauthorized
from installer.ports.contexts import ContextInfo
from installer.tui.connection import LOOK_EVERY
from installer.tui.dialogs.contexts import ContextSwitcher
from installer.tui.dialogs.error import ErrorDialog
from installer.tui.settings import Settings
from installer.wiring.cockpit import cockpit_services
from tests.support.cockpit import (
    CONTEXTS,
    MemorySettings,
    Pauses,
    StubCluster,
    cockpit_of,
    no_kubeconfig,
    out_of_reach,
    stub_services,
    text_of,
    wait_for,
)
from tests.support.demo_areas import DEMO
from tests.tui.conftest import Open


async def test_out_of_reach_at_start_comes_back_by_itself(cockpit: Open) -> None:
    cluster, pauses = StubCluster(out_of_reach()), Pauses()
    async with cockpit(stub_services(cluster, pause=pauses), areas=DEMO) as pilot:
        seen = [await _next_try(pilot, pauses) for _ in range(7)]
        assert seen == [1, 2, 4, 8, 15, 30, 30]
        cluster.failure = None
        await wait_for(pilot, lambda: pauses.waiting)
        pauses.end()
        await wait_for(pilot, lambda: "● connected" in text_of(pilot.app))
        assert "out of reach" not in text_of(pilot.app)


async def test_lost_in_the_middle_keeps_the_connection_for_those_who_watch(cockpit: Open) -> None:
    cluster, pauses = StubCluster(), Pauses()
    async with cockpit(stub_services(cluster, pause=pauses), areas=DEMO) as pilot:
        connection = cockpit_of(pilot).connection
        await wait_for(pilot, lambda: pauses.seconds == [LOOK_EVERY])
        kube = connection.kube
        cluster.failure = out_of_reach()
        pauses.end()
        await wait_for(pilot, lambda: "▲ out of reach" in text_of(pilot.app))
        assert connection.kube is kube
        await pilot.press("1")
        assert "▲ out of reach" in text_of(pilot.app)
        assert "E explains" in text_of(pilot.app)
        cluster.failure = None
        await pilot.press("R")
        await wait_for(pilot, lambda: "● connected" in text_of(pilot.app))
        assert connection.kube is kube


async def test_a_new_connection_replaces_one_that_does_not_come_back(cockpit: Open) -> None:
    cluster, pauses = StubCluster(), Pauses()
    async with cockpit(stub_services(cluster, pause=pauses), areas=DEMO) as pilot:
        connection = cockpit_of(pilot).connection
        await wait_for(pilot, lambda: pauses.seconds == [LOOK_EVERY])
        cluster.opened[0].failure = out_of_reach()
        pauses.end()
        await wait_for(pilot, lambda: len(cluster.opened) == 2 and connection.state == "connected")
        assert cluster.opened[0].closed
        assert connection.kube is cluster.opened[1]  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (forbidden(Target("list", "pods", "shop"), "forbidden"), ("Not allowed to list pods in shop", "E-KUBE-003")),
        (unauthorized("https://x:6443", "expired"), ("does not accept these credentials", "E-KUBE-005")),
    ],
)
async def test_refused_names_what_was_refused(cockpit: Open, error: Any, words: tuple[str, str]) -> None:
    async with cockpit(stub_services(StubCluster(error)), areas=DEMO) as pilot:
        await wait_for(pilot, lambda: "■ refused" in text_of(pilot.app))
        assert words[0] in text_of(pilot.app)
        await pilot.press("E")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ErrorDialog))
        assert words[1] in text_of(pilot.app)
        assert str(error.fix)[:40] in text_of(pilot.app)


async def test_without_a_kubeconfig_nothing_is_red_and_one_that_appears_is_used(cockpit: Open) -> None:
    cluster, pauses = StubCluster(no_kubeconfig()), Pauses()
    services = stub_services(cluster, pause=pauses, contexts=_none, has_kubeconfig=lambda: False)
    async with cockpit(services, areas=DEMO) as pilot:
        await wait_for(pilot, lambda: "○ no cluster" in text_of(pilot.app))
        assert "explains" not in text_of(pilot.app)
        await pilot.press("C")
        await wait_for(pilot, lambda: "There is no kubeconfig here." in text_of(pilot.app))
        await pilot.press("escape")
        cluster.failure = None
        await pilot.press("R")
        await wait_for(pilot, lambda: "● connected" in text_of(pilot.app))


async def test_a_broken_kubeconfig_is_told(cockpit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").write_text("clusters: [")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    services = cockpit_services()
    services.settings, services.pause, services.install = MemorySettings(), Pauses(), None
    async with cockpit(services, areas=DEMO, size=(120, 36)) as pilot:
        await wait_for(pilot, lambda: "kubeconfig is not valid" in text_of(pilot.app))
        assert "○ no cluster" in text_of(pilot.app)
        await pilot.press("C")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ErrorDialog))


async def test_leaving_closes_the_connection(cockpit: Open) -> None:
    cluster = StubCluster()
    async with cockpit(stub_services(cluster), areas=DEMO) as pilot:
        await wait_for(pilot, lambda: "● connected" in text_of(pilot.app))
        await pilot.press("q")
    assert cluster.opened[0].closed


async def test_another_context_is_chosen_used_and_kept(cockpit: Open) -> None:
    cluster, store = StubCluster(), MemorySettings()
    async with cockpit(stub_services(cluster, settings=store), areas=DEMO) as pilot:
        await wait_for(pilot, lambda: "● connected  beeyard" in text_of(pilot.app))
        await pilot.press("C")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ContextSwitcher))
        await pilot.press(*"10.20", "enter")
        await wait_for(pilot, lambda: "● connected  staging" in text_of(pilot.app))
        assert store.data["context"] == "staging"
        assert cluster.opened[0].closed
        assert cluster.targets[-1] == CONTEXTS[2]


async def test_the_context_in_use_is_marked_also_when_another_became_the_usual_one(cockpit: Open) -> None:
    known = [*CONTEXTS]

    async def contexts() -> tuple[ContextInfo, ...]:
        return tuple(known)

    async with cockpit(stub_services(contexts=contexts), areas=DEMO) as pilot:
        await wait_for(pilot, lambda: "● connected  beeyard" in text_of(pilot.app))
        known[:] = [replace(one, current=one.name == "staging") for one in CONTEXTS]
        await pilot.press("C")
        await wait_for(pilot, lambda: "> beeyard" in text_of(pilot.app))


async def test_the_context_of_the_command_line_wins_over_the_kept_one(cockpit: Open) -> None:
    cluster = StubCluster()
    services = stub_services(cluster, context="staging")
    async with cockpit(services, settings=Settings(context="prod-eu-central"), areas=DEMO) as pilot:
        await wait_for(pilot, lambda: "● connected  staging" in text_of(pilot.app))


async def test_an_error_nobody_expected_is_told_and_the_app_lives(cockpit: Open) -> None:
    async def broken(_: object) -> Any:
        raise RuntimeError("boom")

    async with cockpit(stub_services(connect=broken), areas=DEMO) as pilot:
        await wait_for(pilot, lambda: "E-BUG-001" in text_of(pilot.app))
        await pilot.press("escape")
        assert pilot.app.is_running


async def test_with_a_real_client_and_a_server_that_goes_and_comes(
    cockpit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = Pauses()
    async with _server(0) as port:
        monkeypatch.setenv("KUBECONFIG", str(_kubeconfig(tmp_path, port)))
        services = cockpit_services()
        services.settings, services.pause = MemorySettings(), pauses
        services.install = services.setup = None
        assert services.has_kubeconfig()
        opened = cockpit(services, areas=DEMO)
        pilot = await opened.__aenter__()
        await wait_for(pilot, lambda: "● connected  here" in text_of(pilot.app) and pauses.waiting)
        assert "k3s v1.36.4+k3s1" in text_of(pilot.app)
    try:
        pauses.end()
        await wait_for(pilot, lambda: "▲ out of reach" in text_of(pilot.app) and pauses.waiting)
        async with _server(port):
            pauses.end()
            await wait_for(pilot, lambda: "● connected" in text_of(pilot.app))
    finally:
        await opened.__aexit__(None, None, None)


async def _next_try(pilot: Pilot[int], pauses: Pauses) -> float:
    """Wait until it waits, look, end the waiting; return how long it would have been."""
    await wait_for(pilot, lambda: pauses.waiting)
    assert "E explains. It comes back by itself. Connection refused" in text_of(pilot.app)
    entry = pauses.waiting[0]
    pauses.end()
    await wait_for(pilot, lambda: entry not in pauses.waiting)
    return entry[0]


async def _none() -> tuple[()]:
    return ()


@asynccontextmanager
async def _server(port: int) -> AsyncIterator[int]:
    """Serve what a connection asks for: version and readiness."""
    app = web.Application()
    app.router.add_get("/version", _version)
    app.router.add_get("/readyz", _ready)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _version(request: web.Request) -> web.Response:
    return web.json_response({"gitVersion": "v1.36.4+k3s1"})


async def _ready(request: web.Request) -> web.Response:
    return web.Response(text="ok")


def _kubeconfig(folder: Path, port: int) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "x"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path
