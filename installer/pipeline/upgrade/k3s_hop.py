"""Another version of k3s: a copy of the datastore and of the binary, the binary swapped, the service started.

k3s' install script is never run: it flushes firewall rules that a live node needs. Pods and their connections go on
while k3s is away; only the API does not answer.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from installer.domain.errors import BeeyardError, ConnectError, DeadlineError
from installer.domain.k3s_release import parse_version_output
from installer.domain.plan import Change
from installer.domain.upgrade.checks import kubelet_version
from installer.domain.upgrade.path import Hop
from installer.domain.upgrade.state import OpenHop, Phase
from installer.pipeline.run import Run
from installer.pipeline.upgrade.context import Upgrade, missing_backup
from installer.pipeline.upgrade.images import image_folder, keep
from installer.ports.cluster import NODES
from installer.ports.datastore import DatastoreKind

SERVICE = "k3s"
API_SECONDS = 240.0
"""Seconds until the API must answer in the new version."""
DOWN_SECONDS = 20.0
"""Seconds that the service may be down in one go, between two starts of its manager, before that counts as failed."""
STARTS = 4
"""How often its manager may start the service anew before that counts as failed."""
SECRETS = ("token", "node-token", "agent-token")


@dataclass(slots=True)
class K3sHopStep:
    """Swaps the binary of k3s."""

    upgrade: Upgrade
    hop: Hop
    background: bool = False
    id: str = field(init=False)
    title: str = field(init=False)
    _kind: DatastoreKind = DatastoreKind.NONE
    _away: float = 0.0

    def __post_init__(self) -> None:
        """Name the step after its hop."""
        self.id, self.title = self.hop.id, self.hop.title

    async def gather(self, run: Run) -> None:
        """Look which datastore is there."""
        self._kind = self.upgrade.datastore.kind(_data_dir(run))

    async def check(self, run: Run) -> list[Change]:
        """Say what is swapped; an open hop is gone through again, and does what is left."""
        copies = f"k3s {self.hop.source}" + (f", the datastore ({self._kind})" if self._kind != "none" else "")
        return [
            Change("file", "create", str(self.upgrade.folder(run) / self.hop.id), f"copies of {copies}"),
            Change("file", "update", str(_binary(run)), f"k3s {self.hop.source} -> {self.hop.target}"),
            Change("service", "restart", SERVICE, "running pods stay; the API is away for some seconds"),
        ]

    async def apply(self, run: Run) -> None:
        """Copy, swap, start; after an interruption, what is left of it."""
        self.upgrade.enter(run, self.hop)
        record = self.upgrade.begin(run, self.hop)
        if record.phase is Phase.BACKUP or await _version(run) == self.hop.source:
            record = await self._back_up(run, record)
        await self._swap(run, record)

    async def verify(self, run: Run) -> str:
        """Wait until the API and this host's kubelet run in the new version."""
        self.upgrade.enter(run, self.hop)
        await wait_for_version(run, self.hop.target)
        away = f"; the API was away for {time.monotonic() - self._away:.0f} s" if self._away else ""
        return f"k3s {self.hop.target} runs{away}"

    async def undo(self, run: Run) -> None:
        """Bring back binary, images and datastore, and start the k3s that was there."""
        record = self.upgrade.open_hop(self.hop)
        if record is None:
            return
        changed = record.phase is not Phase.BACKUP
        folder = Path(record.backup)
        if changed and not (folder / "k3s").exists():
            raise missing_backup(folder)
        record = self.upgrade.mark(run, self.hop, phase=Phase.ROLLBACK if changed else Phase.BACKUP)
        await run.forget_kube()
        await run.tools.services.stop(SERVICE)
        aside = await asyncio.to_thread(self._put_back, run, record) if changed else None
        await run.tools.services.start(SERVICE)
        run.installed.k3s_version = run.k3s_version = self.hop.source
        run.save()
        await wait_for_version(run, self.hop.source)
        self.upgrade.leave(run, _story(self.hop, record, aside))

    async def _back_up(self, run: Run, record: OpenHop) -> OpenHop:
        """Stop k3s, so that nothing is written after the copy; its pods go on."""
        folder = Path(record.backup)
        await run.forget_kube()
        self._away = time.monotonic()
        await run.tools.services.stop(SERVICE)
        try:
            await asyncio.to_thread(self._copy, run, folder)
        except BeeyardError:
            await run.tools.services.start(SERVICE)
            raise
        return self.upgrade.mark(run, self.hop, phase=Phase.CHANGE, stopped=run.tools.now())

    def _copy(self, run: Run, folder: Path) -> None:
        files, server = run.tools.files, _data_dir(run) / "server"
        if self._kind is not DatastoreKind.NONE:
            self.upgrade.datastore.copy(_data_dir(run), folder / "db")
        for name in SECRETS:
            if (kept := files.read(server / name)) is not None:
                files.write(folder / name, kept.data, mode=0o600, backup=False)
        files.install(_binary(run), folder / "k3s")

    async def _swap(self, run: Run, record: OpenHop) -> None:
        if run.artifacts.has(f"images@{self.hop.target}"):
            await self._place_images(run, record)
        new = await run.artifacts.get(f"k3s@{self.hop.target}")
        state = await run.tools.services.state(SERVICE)
        if state.active and await _version(run) != self.hop.target:
            await run.tools.services.stop(SERVICE)
        await asyncio.to_thread(run.tools.files.install, new, _binary(run))
        run.installed.k3s_version = self.hop.target
        run.installed.bundle = run.bundle.digest if run.bundle else run.installed.bundle
        run.save()
        await run.forget_kube()
        if not (await run.tools.services.state(SERVICE)).active:
            await run.tools.services.start(SERVICE)

    async def _place_images(self, run: Run, record: OpenHop) -> None:
        source = await run.artifacts.get(f"images@{self.hop.target}")
        dest = image_folder(run) / source.name
        copy = Path(record.backup) / "images" / dest.name
        kept = await asyncio.to_thread(keep, run, dest, copy)
        self.upgrade.mark(run, self.hop, files={**record.files, str(dest): str(copy) if kept else ""})
        await asyncio.to_thread(run.tools.files.install, source, dest, mode=0o644)

    def _put_back(self, run: Run, record: OpenHop) -> Path | None:
        folder = Path(record.backup)
        aside = None
        if (folder / "db").exists():
            aside = self.upgrade.datastore.put_back(_data_dir(run), folder / "db")
        for place, copy in record.files.items():
            if copy:
                run.tools.files.install(Path(copy), Path(place), mode=0o644)
            else:
                run.tools.files.remove(Path(place))
        run.tools.files.install(folder / "k3s", _binary(run))
        return aside


async def wait_for_version(run: Run, version: str) -> None:
    """Wait until the API answers in a version of k3s and a kubelet of it has registered.

    Raises:
        BeeyardError: ``E-UPGRADE-013`` the service does not stay up.
        DeadlineError: ``E-UPGRADE-014``.
    """
    deadline = time.monotonic() + API_SECONDS
    up = time.monotonic()
    cause = ""
    pids: set[int] = set()
    while time.monotonic() < deadline:
        state = await run.tools.services.state(SERVICE)
        if state.active:
            up = time.monotonic()
            pids.add(state.pid)
        if time.monotonic() - up > DOWN_SECONDS or len(pids) > STARTS:
            raise await _does_not_run(run, version)
        try:
            cause = await _not_there(run, version)
        except ConnectError as error:
            await run.forget_kube()
            cause = error.why or error.what
        if not cause:
            return
        await asyncio.sleep(0.2)
    raise DeadlineError(
        f"k3s {version} did not answer within {API_SECONDS:.0f} s",
        why="\n".join([cause, *await run.tools.services.logs(SERVICE, 15)]),
        fix="Read the last lines of k3s' log above.",
        code="E-UPGRADE-014",
    )


async def _not_there(run: Run, version: str) -> str:
    kube = await run.kube()
    if not await kube.healthy():
        return "the API server does not say that it is ready"
    if (found := await kube.version()) != version:
        return f"the API server says that it is {found}"
    kubelets = {kubelet_version(node) for node in await kube.list(NODES)}
    return "" if version in kubelets else f"the kubelet of this host has not registered as {version} yet"


async def _does_not_run(run: Run, version: str) -> BeeyardError:
    state, logs = await run.tools.services.state(SERVICE), await run.tools.services.logs(SERVICE, 15)
    return BeeyardError(
        f"k3s {version} does not stay up",
        why="\n".join([state.detail, *logs]).strip(),
        fix="Read the last lines of its log above.",
        code="E-UPGRADE-013",
    )


async def _version(run: Run) -> str:
    """Return the version of the binary in place."""
    answer = await run.tools.processes.run([str(_binary(run)), "--version"])
    return str(parse_version_output(answer.out))


def _story(hop: Hop, record: OpenHop, aside: Path | None) -> str:
    if aside is None:
        return f"k3s {hop.source} runs again; nothing was lost"
    at = time.strftime("%H:%M:%S", time.localtime(record.stopped))
    return f"k3s {hop.source} runs again; what was written to the cluster after {at} is lost here, and kept in {aside}"


def _binary(run: Run) -> Path:
    return Path(run.spec.k3s.bin_dir) / "k3s"


def _data_dir(run: Run) -> Path:
    return Path(run.spec.k3s.data_dir)
