"""What the steps of one run share: the specification, the tools, what was found, and what is being fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from installer.domain import installed
from installer.domain.diagnosis import Diagnosis
from installer.domain.errors import BeeyardError
from installer.domain.events import Event, LogLine, StepProgress
from installer.domain.installed import Installed
from installer.domain.plan import Change
from installer.domain.releases import ChartRelease, Releases
from installer.domain.spec import ClusterSpec
from installer.pipeline.book import Book
from installer.pipeline.chart_values import chart_release
from installer.ports.cluster import Kube, Kubes
from installer.ports.helm import Helm, Release
from installer.ports.host import Files, FileState, HostProbe, Processes, ServiceManager
from installer.ports.kubeconfig import UserKubeconfigs
from installer.ports.sources import Bundle, Sources
from installer.ports.web import Downloader

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a run behaves, beyond the specification.

    Attributes:
        allow_unsupported: versions outside the support table are warnings.
        verify: prove the network at the end.
        ready_timeout: seconds until everything must be ready.
        undo_on_failure: take back what this run changed when it fails.
        state_dir: our own state.
        environment: variables of the invoking process (proxies).
    """

    allow_unsupported: bool = False
    verify: bool = True
    ready_timeout: float = 600.0
    undo_on_failure: bool = False
    state_dir: Path = Path("/var/lib/beeyard")
    environment: Mapping[str, str] = field(default_factory=dict)


class HelmFactory(Protocol):
    """Opens the helm binary for a cluster."""

    def __call__(self, binary: Path, kubeconfig: Path) -> Helm:
        """Return helm on this kubeconfig."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """The adapters that steps work with."""

    processes: Processes
    files: Files
    services: ServiceManager
    probe: HostProbe
    downloader: Downloader
    sources: Sources
    kubes: Kubes
    helm: HelmFactory
    kubeconfigs: UserKubeconfigs
    assets: Callable[[str], Path]
    now: Callable[[], float]
    wait_ready: Callable[[Run, float], Awaitable[str]]
    prove: Callable[[Run], Awaitable[str]]
    remember: Callable[[Run], AbstractAsyncContextManager[None]] = lambda _: nullcontext()
    explain: Callable[[Run, BeeyardError], Awaitable[Diagnosis | None]] | None = None


class Artifacts:
    """Things being fetched in the background; a step waits only for the one it needs."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Path]] = {}
        self._here: dict[str, Path] = {}

    def put(self, name: str, path: Path) -> None:
        """Name an artifact that is here already."""
        self._here[name] = path

    def start(self, group: asyncio.TaskGroup, name: str, fetch: Coroutine[Any, Any, Path]) -> None:
        """Begin to fetch an artifact."""
        self._tasks[name] = group.create_task(fetch, name=f"fetch {name}")

    def has(self, name: str) -> bool:
        """Whether the artifact is here or on its way."""
        return name in self._tasks or name in self._here

    async def get(self, name: str) -> Path:
        """Wait for an artifact and return its path."""
        if name in self._here:
            return self._here[name]
        if name not in self._tasks:
            raise BeeyardError(
                f"{name} was not fetched", why="The plan did not include it.", fix="Run again.", code="E-FETCH-002"
            )
        return await asyncio.shield(self._tasks[name])

    async def all(self) -> None:
        """Wait for everything."""
        for task in list(self._tasks.values()):
            await asyncio.shield(task)


def read_installed(read: Callable[[Path], FileState | None], state_dir: Path) -> Installed:
    """Return what earlier runs wrote down."""
    path = state_dir / "installed.json"
    record = read(path)
    return installed.load(record.data if record else None, str(path))


@dataclass(slots=True)
class Run:
    """One run, shared by its steps.

    Attributes:
        spec: the cluster to be.
        options: how to behave.
        tools: adapters.
        emit: receives events.
        installed: what earlier runs left, kept up to date by the steps.
        warnings: findings that do not stop the run.
        table: what is known of Cilium's versions.
        group: background work of the run; set while it executes.
        artifacts: what is being fetched.
        bundle: the bundle, where one is used.
        k3s_version: release to be installed.
        chart_version: chart to be installed.
        helm_binary: helm, where it is here already.
        release: the Helm release as found.
        values: Helm values to be.
        current: id of the step at work.
        book: where changes are written down before they are made.
    """

    spec: ClusterSpec
    options: Options
    tools: Tools
    emit: Emit
    installed: Installed
    table: Releases
    warnings: list[str] = field(default_factory=list)
    group: asyncio.TaskGroup | None = None
    artifacts: Artifacts = field(default_factory=Artifacts)
    bundle: Bundle | None = None
    k3s_version: str = ""
    chart_version: str = ""
    helm_binary: Path | None = None
    release: Release | None = None
    values: dict[str, Any] = field(default_factory=dict)
    current: str = ""
    book: Book = field(default_factory=Book)
    _kube: Kube | None = None

    @property
    def chart(self) -> ChartRelease:
        """What is known of the chart to be installed."""
        return chart_release(self.table, self.chart_version, allow_unsupported=self.options.allow_unsupported)

    @property
    def bundle_path(self) -> Path:
        """The bundle that the specification names."""
        return Path(str(self.spec.downloads.bundle))

    @property
    def kept_values(self) -> Path:
        """Folder with our copies of the bundle's values files."""
        return self.options.state_dir / "bundle-values"

    @property
    def bundled_values(self) -> tuple[Path, ...]:
        """The bundle's values files: its own, or our copies once it is installed and no longer looked into."""
        if self.bundle is not None:
            return self.bundle.values
        return tuple(sorted(self.kept_values.glob("*"))) if self.spec.downloads.bundle else ()

    def warn(self, text: str) -> None:
        """Keep a warning for the plan, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def save(self) -> None:
        """Write down what is installed."""
        self.tools.files.write(
            self.options.state_dir / "installed.json", self.installed.dump(), mode=0o600, backup=False
        )

    @property
    def kubeconfig(self) -> Path:
        """k3s' own kubeconfig."""
        return Path("/etc/rancher/k3s/k3s.yaml")

    def log(self, text: str, level: str = "info", step: str | None = None) -> None:
        """Emit a log line."""
        self.emit(LogLine(self.tools.now(), self.current if step is None else step, level, text))

    def progress(self, item: str, done: int, total: int, *, unit: str = "B", step: str | None = None) -> None:
        """Emit progress of an item."""
        self.emit(StepProgress(self.tools.now(), step or self.current, item, done, total, unit))

    async def kube(self) -> Kube:
        """Return the connection to the new cluster, opened at first use."""
        if self._kube is None:
            self._kube = await self.tools.kubes.open(str(self.kubeconfig))
        return self._kube

    async def helm(self) -> Helm:
        """Return helm on the new cluster."""
        binary = self.helm_binary or await self.artifacts.get("helm")
        return self.tools.helm(binary, self.kubeconfig)

    async def forget_kube(self) -> None:
        """Close the connection; the next use opens a new one (k3s was restarted, certificates may differ)."""
        if self._kube is not None:
            await self._kube.close()
            self._kube = None


class Step(Protocol):
    """One phase of a run: look, compare, change, prove, and take back.

    Attributes:
        id: stable short name.
        title: what it does, for people.
        background: ``verify`` may go on while the next steps run.
    """

    id: str
    title: str
    background: bool

    async def gather(self, run: Run) -> None:
        """Read facts; change nothing."""
        ...

    async def check(self, run: Run) -> list[Change]:
        """Return what would change; an empty list when nothing is to do. Refuses what cannot be."""
        ...

    async def apply(self, run: Run) -> None:
        """Make the changes; made to be run again after an interruption at any point."""
        ...

    async def verify(self, run: Run) -> str:
        """Prove that the goal is reached; return one line about it."""
        ...

    async def undo(self, run: Run) -> None:
        """Take back what ``apply`` of this run changed."""
        ...
