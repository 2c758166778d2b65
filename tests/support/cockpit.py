"""A cockpit for tests: services in memory, and ways to wait and to look."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from installer.domain.errors import BeeyardError, ConnectError
from installer.ports.contexts import ContextInfo
from installer.ports.settings import StoredSettings
from installer.tui.app import Cockpit
from installer.tui.services import ClusterVersions, CockpitServices

SECONDS = 20
CONTEXTS = (
    ContextInfo("beeyard", "https://127.0.0.1:6443", "beeyard", "", "/root/.kube/config", current=True),
    ContextInfo("prod-eu-central", "https://k8s.example.org:6443", "ops", "shop", "/root/.kube/config"),
    ContextInfo("staging", "https://10.20.0.5:6443", "dev", "", "/root/.kube/config"),
)
VERSIONS = ClusterVersions("v1.36.4+k3s1", "v1.20.2", "v1.20.2")


class MemorySettings:
    """Settings that live as long as the test."""

    def __init__(self, data: Mapping[str, Any] | None = None, problem: BeeyardError | None = None):
        self.path = Path("/home/user/.config/beeyard/settings.yaml")
        self.data = dict(data or {})
        self.problem = problem
        self.failure: BeeyardError | None = None

    def load(self) -> StoredSettings:
        return StoredSettings(self.data, self.problem)

    def save(self, data: Mapping[str, Any]) -> None:
        if self.failure:
            raise self.failure
        self.data = dict(data)


class StubKube:
    """A cluster that is there as long as ``failure`` is None; everything in it is empty."""

    server = "https://127.0.0.1:6443"

    def __init__(self, context: str = "beeyard"):
        self.context = context
        self.failure: BeeyardError | None = None
        self.closed = False

    async def version(self) -> str:
        if self.failure:
            raise self.failure
        return VERSIONS.kubernetes

    async def healthy(self) -> bool:
        return self.failure is None

    async def list(self, *_: Any, **__: Any) -> list[Any]:
        if self.failure:
            raise self.failure
        return []

    async def get(self, *_: Any, **__: Any) -> None:
        if self.failure:
            raise self.failure

    async def close(self) -> None:
        self.closed = True


class StubCluster:
    """Opens ``StubKube``; fails while ``failure`` is set, also in connections that are open."""

    def __init__(self, failure: BeeyardError | None = None):
        self._failure = failure
        self.opened: list[StubKube] = []
        self.targets: list[ContextInfo | None] = []

    @property
    def failure(self) -> BeeyardError | None:
        return self._failure

    @failure.setter
    def failure(self, failure: BeeyardError | None) -> None:
        self._failure = failure
        for kube in self.opened:
            kube.failure = failure

    async def connect(self, target: ContextInfo | None) -> Any:
        self.targets.append(target)
        if self._failure:
            raise self._failure
        self.opened.append(StubKube(target.name if target else "beeyard"))
        return self.opened[-1]


class Pauses:
    """Stands for waiting: ``end`` ends what waits now."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, asyncio.Future[None]]] = []

    async def __call__(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (seconds, future)
        self.waiting.append(entry)
        try:
            await future
        finally:
            self.waiting.remove(entry)

    @property
    def seconds(self) -> list[float]:
        return [seconds for seconds, _ in self.waiting]

    def end(self) -> None:
        for _, future in self.waiting:
            if not future.done():
                future.set_result(None)


def no_kubeconfig() -> ConnectError:
    return ConnectError("no kubeconfig found", why="looked at ~/.kube/config", fix="Name one.", code="E-KUBE-002")


def out_of_reach() -> ConnectError:
    return ConnectError(
        "the Kubernetes API at https://127.0.0.1:6443 is out of reach",
        why="Connection refused",
        fix="Is the cluster running?",
        code="E-KUBE-001",
    )


def stub_services(cluster: StubCluster | None = None, **changes: Any) -> CockpitServices:
    """Return services of a cluster that is there; ``changes`` are fields of ``CockpitServices``."""
    cluster = cluster or StubCluster()

    async def contexts() -> tuple[ContextInfo, ...]:
        return CONTEXTS

    async def versions(kube: Any) -> ClusterVersions:
        await kube.version()
        return VERSIONS

    fields: dict[str, Any] = {
        "settings": MemorySettings(),
        "connect": cluster.connect,
        "contexts": contexts,
        "versions": versions,
        "has_kubeconfig": lambda: True,
        "root": True,
        "environment": {"PATH": "/usr/bin:/bin"},
        "pause": Pauses(),
    }
    return CockpitServices(**{**fields, **changes})


async def wait_for(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Let messages and I/O go on until the condition holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"did not come true; the screen says:\n{text_of(pilot.app)}")
        await pilot.pause()
        await asyncio.sleep(0.001)
    await pilot.pause()


async def still(pilot: Pilot[Any]) -> None:
    """Let messages go on until the picture does not change any more, also on a busy machine."""
    before, same = lines_of(pilot.app), 0
    while same < 4:
        await pilot.pause()
        await asyncio.sleep(0.02)  # a screen draws 60 times a second
        now = lines_of(pilot.app)
        before, same = now, same + 1 if now == before else 0


def lines_of(app: Any) -> list[Any]:
    """Return what is drawn, with its colours: the screen and those that shine through it."""
    screens = [*app._background_screens, app.screen]
    return [screen._compositor.render_strips() for screen in screens]


def cockpit_of(pilot: Pilot[Any]) -> Cockpit:
    assert isinstance(pilot.app, Cockpit)
    return pilot.app


def text_of(app: Any) -> str:
    """Return what the screen shows, as plain lines without trailing blanks."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


def stable_svg(app: Any) -> str:
    """Return a picture of the screen that is the same in every run."""
    return re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="beeyard"))
