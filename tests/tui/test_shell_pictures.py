"""How the parts of the shell look, at the sizes and in the themes that people use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from installer.domain.errors import BeeyardError
from installer.tui.settings import Settings
from tests.support.cockpit import StubCluster, cockpit_of, out_of_reach, still, stub_services, text_of, wait_for
from tests.support.demo_areas import DEMO
from tests.tui.conftest import Open

Picture = Callable[[Any], bool]
SIZES = {"60x20": (60, 20), "80x24": (80, 24), "120x36": (120, 36), "200x60": (200, 60)}
SHOWN = {
    "question_mark": "Make a cluster.",
    "ctrl+p": "Choose another cluster of the kubeconfig.",
    "C": "staging",
    "comma": "Keys and saved filters",
}
"""What the last part of a dialog says."""
ERROR = BeeyardError(
    "the k3s service did not become ready in 90 s",
    why="k3s.service ended with exit code 1:\nfailed to find memory cgroup (v2), you may need to enable it",
    fix="Add `cgroup_enable=memory` to the kernel's command line, restart the host, and run the install again.",
    code="E-K3S-012",
    details={"log": "/var/log/beeyard/20261123T120000.000Z-ab12cd.log"},
)


@pytest.mark.parametrize(
    ("keys", "size", "theme"),
    [
        ("question_mark", "80x24", "beeyard-dark"),
        ("question_mark", "60x20", "beeyard-light"),
        ("ctrl+p", "80x24", "beeyard-dark"),
        ("ctrl+p", "120x36", "beeyard-light"),
        ("C", "80x24", "beeyard-dark"),
        ("C", "60x20", "beeyard-contrast"),
        ("comma", "80x24", "beeyard-light"),
        ("comma", "200x60", "beeyard-colourblind"),
    ],
)
async def test_dialogs(cockpit: Open, picture: Picture, keys: str, size: str, theme: str) -> None:
    async with cockpit(areas=DEMO, area="setup", size=SIZES[size], settings=Settings(theme=theme)) as pilot:
        await wait_for(pilot, lambda: cockpit_of(pilot).connection.versions.hubble)
        frame = pilot.app.screen
        await pilot.press(keys)
        await wait_for(pilot, lambda: pilot.app.screen is not frame and SHOWN[keys] in text_of(pilot.app))
        await still(pilot)
        assert picture(pilot)


@pytest.mark.parametrize(("size", "theme"), [("80x24", "beeyard-dark"), ("60x20", "beeyard-light")])
async def test_an_error(cockpit: Open, picture: Picture, size: str, theme: str) -> None:
    async with cockpit(areas=DEMO, area="setup", size=SIZES[size], settings=Settings(theme=theme)) as pilot:
        await wait_for(pilot, lambda: cockpit_of(pilot).connection.versions.hubble)
        cockpit_of(pilot).show_error(ERROR)
        await wait_for(pilot, lambda: "E-K3S-012" in text_of(pilot.app) and "Copy" in text_of(pilot.app))
        await still(pilot)
        assert picture(pilot)


@pytest.mark.parametrize(("size", "theme"), [("80x24", "beeyard-dark"), ("120x36", "beeyard-light")])
async def test_a_lost_cluster(cockpit: Open, picture: Picture, size: str, theme: str) -> None:
    services = stub_services(StubCluster(out_of_reach()))
    settings = Settings(theme=theme)
    async with cockpit(services, areas=DEMO, area="setup", size=SIZES[size], settings=settings) as pilot:
        cockpit_of(pilot).lost_events = 12
        await wait_for(pilot, lambda: "E explains" in text_of(pilot.app))
        await still(pilot)
        assert picture(pilot)
