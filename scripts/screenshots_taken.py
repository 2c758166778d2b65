"""Takes the pictures that ``scripts/screenshots`` is asked for. A picture more is a line in ``SHOTS``."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from installer.domain.flows.feed import Connected, Flows
from installer.domain.flows.flow import Answer
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Options
from installer.services.cockpit import CockpitServices
from installer.tui.app import Cockpit
from installer.tui.areas import present
from installer.tui.overview.card_view import CardView
from installer.tui.run.screen import RunScreen
from installer.tui.settings import Settings
from tests.support.cockpit import (
    StubCluster,
    cockpit_of,
    no_kubeconfig,
    stable_svg,
    still,
    stub_services,
    text_of,
    wait_for,
)
from tests.support.flow_feeds import ScriptedFeeds, recorded
from tests.support.overviews import NOW, Overviews, calm, of_today, troubled
from tests.support.policies import shop, shop_services
from tests.support.scripted_run import BEGAN, ScriptedInstall, first_half, until_ready
from tests.support.setup import World, setup_service
from tests.support.tap import NodeKube, busy, denied, tapping
from tests.tui.kernel.conftest import Clock, Node
from tests.tui.kernel.test_pictures import marked
from tests.tui.policies.conftest import SEEN, Shop
from tests.tui.policies.test_pictures import edited

DOCS = Path(__file__).parent.parent / "docs"
Scene = Callable[[Pilot[int]], Awaitable[None]]
SIZE = (120, 36)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture.

    Attributes:
        name: name of its file.
        area: the area that is shown first.
        services: makes what the app works with, given a folder of its own.
        scene: goes to where the picture is taken.
        theme: theme.
        size: columns and lines.
        live: whether it can be taken on a running cluster as well.
    """

    name: str
    area: str
    services: Callable[[Path], CockpitServices]
    scene: Scene
    theme: str = "beeyard-dark"
    size: tuple[int, int] = SIZE
    live: bool = False


# What the app works with


def _calm(folder: Path) -> CockpitServices:
    del folder
    return stub_services(overview=Overviews(of_today(calm())), now=lambda: NOW)


def _troubled(folder: Path) -> CockpitServices:
    del folder
    return stub_services(overview=Overviews(of_today(troubled())), now=lambda: NOW)


def _setup(folder: Path) -> CockpitServices:
    made = setup_service(World(), folder)

    async def contexts() -> tuple[()]:
        return ()

    return stub_services(
        StubCluster(no_kubeconfig()), setup=lambda: made, has_kubeconfig=lambda: False, contexts=contexts
    )


def _run(folder: Path) -> CockpitServices:
    script = ScriptedInstall()
    return stub_services(install=lambda: script, reports=folder)


def _flows(folder: Path) -> CockpitServices:
    del folder
    return stub_services(flow_feeds=ScriptedFeeds(Connected("relay 127.0.0.1:4245"), Flows(recorded())))


def _kernel(folder: Path) -> CockpitServices:
    hubble = ScriptedFeeds(Connected("relay"), Flows([Answer(flow=denied())]))
    kube = NodeKube()
    return shop_services(kube, folder, taps=tapping(busy()), flow_feeds=hubble)


def _policies(folder: Path) -> CockpitServices:
    return shop_services(shop(), folder, SEEN)


# Ways to the picture


async def _overview(pilot: Pilot[int]) -> None:
    await wait_for(pilot, lambda: pilot.app.screen.query_one("#nodes", CardView).card.rows)
    await wait_for(pilot, lambda: "reading" not in pilot.app.screen.query_one("#agents", CardView).card.summary)


async def _details(pilot: Pilot[int]) -> None:
    await _overview(pilot)
    await pilot.press("p", "enter")


async def _settled(pilot: Pilot[int]) -> None:
    await wait_for(pilot, lambda: getattr(pilot.app.screen, "settled", False))


async def _plan(pilot: Pilot[int]) -> None:
    await _settled(pilot)
    await pilot.press(*["ctrl+n"] * 5)
    await wait_for(pilot, lambda: "to download" in text_of(pilot.app))


async def _running(pilot: Pilot[int]) -> None:
    app = cockpit_of(pilot)
    await wait_for(pilot, lambda: "connected" in text_of(app))
    assert app.services.install is not None
    script = app.services.install()
    assert isinstance(script, ScriptedInstall)
    app.run_host.now = lambda: BEGAN + 62
    app.run_host.start(ClusterSpec(), Options())
    app.show_run()
    await wait_for(pilot, lambda: app.run_host.view.run_id and isinstance(app.screen, RunScreen))
    for event in (*first_half(), *until_ready()):
        script.emit(event)
    await wait_for(pilot, lambda: "hubble-relay" in text_of(app) and "0 of 8" not in text_of(app))
    await still(pilot)


async def _impact(pilot: Pilot[int]) -> None:
    opened = Shop(pilot, shop())
    await opened.until(lambda: opened.screen.tree_view.target is not None)
    await edited(opened, "impact")
    await opened.sees("CUT", "25 of 25")


async def _explained(pilot: Pilot[int]) -> None:
    node = Node(pilot, tapping(), ScriptedFeeds(), Clock())
    await marked(node)


async def _flowing(pilot: Pilot[int]) -> None:
    await wait_for(pilot, lambda: "FORWARDED" in text_of(pilot.app).upper())


SHOTS = (
    Shot("overview", "overview", _calm, _overview, live=True),
    Shot("overview-trouble", "overview", _troubled, _overview, size=(160, 40)),
    Shot("overview-details", "overview", _troubled, _details, size=(80, 24)),
    Shot("overview-light", "overview", _calm, _overview, theme="beeyard-light", live=True),
    Shot("setup", "setup", _setup, _settled),
    Shot("plan", "setup", _setup, _plan),
    Shot("run", "overview", _run, _running),
    Shot("policies", "policies", _policies, _impact),
    Shot("kernel", "kernel", _kernel, _explained),
    Shot("flows", "flows", _flows, _flowing, live=True),
)


def main() -> int:
    """Take the pictures."""
    options = _arguments()
    chosen = [shot for shot in SHOTS if shot.name in (options.only or shot.name) and (shot.live or not options.testbed)]
    areas = {area.id for area in present()}
    os.environ.pop("NO_COLOR", None)
    os.environ["COLORTERM"] = "truecolor"
    failed = 0
    for shot in chosen:
        if shot.area not in areas:
            print(f"{shot.name}: there is no area {shot.area} yet")
            continue
        failed += _take(shot, options)
    return min(failed, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description="Pictures of the cockpit.")
    parser.add_argument("--only", action="append", choices=[shot.name for shot in SHOTS], help="take this one")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder (docs)")
    parser.add_argument("--testbed", action="store_true", help="on a running cluster")
    parser.add_argument("--kubeconfig", help="of the running cluster; else the usual one")
    parser.add_argument("--context", help="context of that kubeconfig")
    return parser.parse_args()


def _take(shot: Shot, options: argparse.Namespace) -> int:
    path = options.out / f"{shot.name}.svg"
    try:
        with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
            services = _live_services(options) if options.testbed else shot.services(Path(folder))
            path.write_text(asyncio.run(_picture(shot, services)), encoding="utf-8")
    except AssertionError as error:
        print(f"{shot.name}: {error}", file=sys.stderr)
        return 1
    print(f"{shot.name}: {path}")
    return 0


def _live_services(options: argparse.Namespace) -> CockpitServices:
    from installer.wiring.cockpit import cockpit_services

    return cockpit_services(options.kubeconfig, options.context)


async def _picture(shot: Shot, services: CockpitServices) -> str:
    async with _opened(shot, services) as pilot:
        await shot.scene(pilot)
        await pilot.pause()
        return _standing_alone(stable_svg(pilot.app))


@asynccontextmanager
async def _opened(shot: Shot, services: CockpitServices) -> AsyncIterator[Pilot[int]]:
    app = Cockpit(services, Settings(theme=shot.theme), area=shot.area)
    app.animation_level = "none"
    async with app.run_test(size=shot.size) as pilot:
        await wait_for(pilot, lambda: app.connection.state != "connecting")
        yield pilot


def _standing_alone(svg: str) -> str:
    """Leave out fonts of other servers: the reader's own fixed-width font is used instead."""
    return re.sub(r"\s*@font-face\s*\{[^}]*\}", "", svg)


if __name__ == "__main__":
    sys.exit(main())
