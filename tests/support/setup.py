"""A setup for tests: the real service over a host and sources in memory."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import yaml

from installer.adapters.host.files import LocalFiles
from installer.adapters.store.assets import asset
from installer.adapters.store.journal import FileRunStore
from installer.adapters.store.lock import FileLock
from installer.adapters.store.runlog import FileRunLog
from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.plan import Change, Plan, StepPlan, file_diff
from installer.domain.preflight import Address, Filesystem, HostFacts, Link, Listener, Route
from installer.domain.redact import Redactor
from installer.domain.releases import parse_releases
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Tools
from installer.services.install import InstallService
from installer.services.setup import SetupService

GIB = 1024**3
TABLE = parse_releases(yaml.safe_load(asset("charts/cilium/releases.yaml").read_text()))
POWERS = "SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE MKNOD SYS_RESOURCE IPC_LOCK SYS_CHROOT BPF PERFMON"
VPS = HostFacts(
    uid=0,
    arch="x86_64",
    kernel="6.1.0-18-amd64",
    os_id="debian",
    os_version="12",
    cpus=4,
    memory_bytes=8 * GIB,
    cgroup="v2",
    controllers=("cpu", "cpuset", "io", "memory", "pids"),
    filesystems=(Filesystem("/var/lib/rancher/k3s", "/", "ext4", ("rw",), 80 * GIB, 60 * GIB, 10**7, 10**6),),
    root_shared=True,
    bpffs=True,
    routes=(Route("0.0.0.0/0", "eth0", "203.0.113.1"), Route("203.0.113.0/24", "eth0")),
    addresses=(Address("127.0.0.1/8", "lo"), Address("203.0.113.7/24", "eth0")),
    links=(Link("lo"), Link("eth0")),
    listeners=(Listener("tcp", "0.0.0.0", 22, 700, "sshd"),),
    inotify_instances=8192,
    inotify_watches=524288,
    hostname="bee-1",
    service_manager="systemd",
    init="systemd",
    capabilities=frozenset(f"CAP_{name}" for name in POWERS.split()),
    time=1_800_000_000.0,
)
BUSY = dataclasses.replace(
    VPS,
    memory_bytes=1 * GIB,
    routes=(*VPS.routes, Route("10.42.0.0/20", "tailscale0")),
    listeners=(*VPS.listeners, Listener("tcp", "0.0.0.0", 6443, 4711, "nginx")),
)
"""The same host with a taken network, a taken port and little memory."""

CONFIG = b"cluster-cidr: 10.42.0.0/16\nservice-cidr: 10.43.0.0/16\nflannel-backend: none\ndisable-kube-proxy: true\n"
VALUES = "\n".join(("+kubeProxyReplacement: true", "+hubble:", "+  enabled: true", "+  relay:", "+    enabled: true"))
PLAN = Plan(
    (
        StepPlan("preflight", "Check the host"),
        StepPlan(
            "fetch",
            "Fetch k3s, images, helm and the chart",
            (
                Change("download", "fetch", "https://github.com/k3s-io/k3s/k3s", "k3s v1.36.4+k3s1", size=78_000_000),
                Change("download", "fetch", "https://helm.cilium.io/cilium-1.20.0.tgz", "chart cilium", size=230_000),
            ),
        ),
        StepPlan(
            "k3s",
            "Install k3s",
            (
                Change("file", "create", "/usr/local/bin/k3s", "k3s v1.36.4+k3s1"),
                Change(
                    "file",
                    "create",
                    "/etc/rancher/k3s/config.yaml",
                    diff=file_diff("/etc/rancher/k3s/config.yaml", None, CONFIG),
                ),
                Change("service", "enable", "k3s", "kept running by systemd"),
                Change("service", "restart", "k3s", "its files change; running pods stay"),
            ),
        ),
        StepPlan("cilium", "Install Cilium", (Change("helm", "install", "kube-system/cilium", diff=VALUES),)),
        StepPlan("ready", "Wait until everything is ready"),
        StepPlan("verify", "Prove the network", (Change("proof", "run", "network", "three small pods"),)),
    ),
    ("swap is on: limits of pods become soft. Turn it off.",),
)


@dataclass
class World:
    """What the setup sees; a test changes it.

    Attributes:
        facts: the host.
        plan: what a plan would be, or the error of making one; None for the real service.
        web: error of everything that is fetched.
        gather: error of looking at the host.
        asked: specifications that plans were made for.
        text: answers instead of the web, for small documents.
        bundles: what is in a bundle, by path; others are read from the disk.
    """

    facts: HostFacts = VPS
    plan: Plan | BaseException | None = PLAN
    web: BeeyardError | None = None
    gather: BaseException | None = None
    asked: list[ClusterSpec] = field(default_factory=list)
    bundles: dict[str, Any] = field(default_factory=dict)
    text: Callable[..., Awaitable[str]] | None = None

    async def look(self) -> HostFacts:
        if self.gather is not None:
            raise self.gather
        return self.facts

    async def fetch(self, *_: Any, **__: Any) -> Any:
        if self.web is not None:
            raise self.web
        return SimpleNamespace(version="v1.36.4+k3s1")

    async def nothing(self, *_: Any) -> None:
        return None

    def read_bundle(self, path: Path) -> Any:
        from installer.adapters.store.bundle import read_manifest

        if str(path) in self.bundles:
            return self.bundles[str(path)]
        read_manifest(path)
        raise AssertionError

    @asynccontextmanager
    async def tools(self, spec: ClusterSpec, environment: Mapping[str, str]) -> AsyncIterator[Tools]:
        del spec, environment
        sources = SimpleNamespace(
            k3s=self.fetch,
            chart=self.fetch,
            helm=self.fetch,
            local_helm=self.nothing,
            read_bundle=self.read_bundle,
        )
        yield cast(
            Tools,
            SimpleNamespace(
                probe=SimpleNamespace(gather=self.look),
                sources=sources,
                downloader=SimpleNamespace(text=self.text or self.fetch),
                files=LocalFiles(),
                now=lambda: 5.0,
            ),
        )


class PlannedSetup(SetupService):
    """The real service, with plans from the test's world."""

    world: World

    async def plan(self, spec: ClusterSpec, *, allow_unsupported: bool = False) -> Plan:
        self.world.asked.append(spec)
        await asyncio.sleep(0)
        if self.world.plan is None:
            return await super().plan(spec, allow_unsupported=allow_unsupported)
        if isinstance(self.world.plan, BaseException):
            raise self.world.plan
        return self.world.plan


def install_service(world: World, state: Path) -> InstallService:
    """Return the real service over a world, with real files below ``state``."""
    redactor = Redactor()
    return InstallService(
        tools=world.tools,
        table=TABLE,
        runs=FileRunStore(state, redactor=redactor),
        open_log=lambda run_id: FileRunLog(run_id, redactor, fallback=state / "runs" / run_id, folder=state / "log"),
        lock=FileLock(state),
        redactor=redactor,
        read_current=lambda: LocalFiles().read(state / "cluster.yaml"),
        read=LocalFiles().read,
    )


def setup_service(
    world: World, state: Path, *, root: bool = True, environment: Mapping[str, str] | None = None
) -> PlannedSetup:
    """Return a setup over a world."""
    made = PlannedSetup(install_service(world, state), LocalFiles(), environment or {}, state, root=root)
    made.world = world
    return made


def unreachable(host: str = "update.k3s.io") -> ConnectError:
    """Return the error of a server that does not answer."""
    return ConnectError(
        f"cannot connect to {host}", why="Connection refused", fix="check the network", code="E-WEB-001"
    )
