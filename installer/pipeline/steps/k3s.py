"""Step ``k3s``: binary, configuration and service in place, and the API answering."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from installer.domain import k3s_config, proxy
from installer.domain.errors import BeeyardError, ConnectError, DeadlineError, RefusedError
from installer.domain.k3s_config import MergedConfig
from installer.domain.plan import Change, file_diff
from installer.pipeline.run import Run
from installer.ports.cluster import NODES, SERVICE_ACCOUNTS
from installer.ports.host import FileState, ServiceState, ServiceUnit

CONFIG = Path("/etc/rancher/k3s/config.yaml")
REGISTRIES = Path("/etc/rancher/k3s/registries.yaml")
LINKS = ("kubectl", "crictl", "ctr")
API_TIMEOUT = 240.0
"""Seconds until the API must answer; a small board needs two minutes for its first start."""
NO_SERVICE = ServiceState(installed=False, enabled=False, active=False)
LASTING = ("cluster-cidr", "service-cidr", "cluster-dns", "cluster-domain", "data-dir")
"""Keys that a cluster is made with; k3s cannot change them afterwards."""
SECRET_KEYS = ("token", "agent-token", "password", "auth", "datastore-endpoint", "etcd-s3-secret-key")


@dataclass(slots=True)
class _Wanted:
    """A file as it should be."""

    path: Path
    data: bytes
    mode: int
    backup: bool = True


@dataclass(slots=True)
class K3sStep:
    """Installs k3s and starts it."""

    id: str = "k3s"
    title: str = "Install and start k3s"
    background: bool = False
    _config: MergedConfig | None = None
    _files: list[_Wanted] = field(default_factory=list)
    _before: dict[Path, FileState | None] = field(default_factory=dict)
    _state: ServiceState = NO_SERVICE
    _binary_changes: bool = False
    _undo: list[Callable[[], None]] = field(default_factory=list)
    _started: bool = False

    async def gather(self, run: Run) -> None:
        """Read the configuration, the service and the binary as they are."""
        files = run.tools.files
        existing = files.read(CONFIG)
        self._config = k3s_config.merge(
            existing.data.decode() if existing else None,
            run.installed.k3s_config,
            k3s_config.wanted(run.spec),
            str(CONFIG),
        )
        self._files = [_Wanted(CONFIG, self._config.text.encode(), existing.mode if existing else 0o600)]
        if run.spec.k3s.registries is not None:
            text = yaml.safe_dump(run.spec.k3s.registries, sort_keys=False)
            self._files.append(_Wanted(REGISTRIES, text.encode(), 0o600))
        self._files += [
            # No backup: a copy of a service definition beside it would be a second service to OpenRC.
            _Wanted(item.path, item.data, item.mode, backup=False)
            for item in run.tools.services.definition(_unit(run))
        ]
        if run.bundle:
            self._files += [
                _Wanted(item.dest, item.path.read_bytes(), item.mode) for item in run.bundle.files if item.path.exists()
            ]
        self._before = {item.path: files.read(item.path) for item in self._files}
        self._state = await run.tools.services.state("k3s")
        self._binary_changes = _binary(run).exists() is False or run.installed.k3s_version != run.k3s_version

    async def check(self, run: Run) -> list[Change]:
        """Compare with what the specification asks for."""
        _refuse_lasting(run)
        changes = []
        if self._binary_changes:
            action = "update" if _binary(run).exists() else "create"
            changes.append(Change("file", action, str(_binary(run)), f"k3s {run.k3s_version}"))
        changes += [
            Change("file", "create", str(path), detail="k3s' own images, preloaded") for _, path in self._images(run)
        ]
        for item in self._changed():
            before = self._before[item.path]
            diff = masked(file_diff(str(item.path), before.data if before else None, item.data))
            changes.append(Change("file", "update" if before else "create", str(item.path), diff=diff))
        if not self._state.enabled:
            changes.append(Change("service", "enable", "k3s", f"kept running by {_manager(run)}"))
        if not self._state.active:
            changes.append(Change("service", "start", "k3s"))
        elif self._must_restart():
            changes.append(Change("service", "restart", "k3s", "its files change; running pods stay"))
        return changes

    async def apply(self, run: Run) -> None:
        """Put files in place and start the service."""
        restart = self._state.active and self._must_restart()
        self._remember(run)  # before the change: a run that is killed here knows what is its own
        for item in self._changed():
            self._write(run, item)
        for source, dest in self._images(run):
            await asyncio.to_thread(run.tools.files.install, source, dest, mode=0o644)
        if self._binary_changes:
            await self._install_binary(run)
        services = run.tools.services
        run.book.service("k3s", self._state)
        await services.reload()
        if not self._state.enabled:
            await services.enable("k3s")
        if restart:
            await run.forget_kube()
            await services.restart("k3s")
        elif not self._state.active:
            await services.start("k3s")
            self._started = True

    async def verify(self, run: Run) -> str:
        """Wait until the API is ready, the node is registered and pods may be made."""
        deadline = run.tools.now() + API_TIMEOUT
        cause = "the service has not written its kubeconfig yet"
        while run.tools.now() < deadline:
            await self._still_running(run)
            try:
                cause = await _api_missing(run)
            except ConnectError as error:
                await run.forget_kube()
                cause = error.why or error.what
            if not cause:
                self._preload(run)
                if run.bundle:  # not in apply: the run after a killed one may have nothing to apply
                    run.installed.bundle = run.bundle.digest
                    run.save()
                return f"API {await (await run.kube()).version()} answers; the node stays NotReady until Cilium runs"
            await asyncio.sleep(0.1)
        raise DeadlineError(
            f"the Kubernetes API did not answer within {API_TIMEOUT:.0f} s",
            why="\n".join([cause, *await run.tools.services.logs("k3s", 15)]),
            fix="Read the last lines of k3s' log above; run the same command again to go on.",
            code="E-K3S-011",
        )

    async def undo(self, run: Run) -> None:
        """Stop the service if we started it and put back the files that were there."""
        if self._started:
            await run.tools.services.remove(_unit(run))
        for action in reversed(self._undo):
            action()
        self._undo.clear()
        run.installed.k3s_config = {}
        run.save()

    def _preload(self, run: Run) -> None:
        """Import downloaded images when they land; k3s itself reads its images folder at its start only."""
        if run.artifacts.has("images") and run.group is not None:
            run.group.create_task(_import_images(run), name="import images")

    def _images(self, run: Run) -> list[tuple[Path, Path]]:
        """Return the image archives of a bundle that are not in place yet, with their places."""
        if run.bundle is None:
            return []
        folder = Path(run.spec.k3s.data_dir) / "agent/images"
        pairs = [(source, folder / source.name) for source in run.bundle.images]
        return [(source, dest) for source, dest in pairs if not _same_size(source, dest)]

    def _changed(self) -> list[_Wanted]:
        result = []
        for item in self._files:
            before = self._before[item.path]
            if before is None or before.data != item.data or before.mode != item.mode:
                result.append(item)
        return result

    def _must_restart(self) -> bool:
        return self._binary_changes or bool(self._changed())

    def _write(self, run: Run, item: _Wanted) -> None:
        before = self._before[item.path]
        run.book.before(item.path)
        run.tools.files.write(item.path, item.data, mode=item.mode, backup=item.backup)
        run.book.after(item.path)
        self._undo.append(lambda: _put_back(run, item.path, before))

    def _remember(self, run: Run) -> None:
        assert self._config is not None
        run.installed.k3s_config = self._config.written
        run.installed.service = "k3s"
        run.installed.proxy = _proxy(run)
        run.installed.images_due = run.artifacts.has("images")
        for item in self._changed():
            run.installed.files[str(item.path)] = hashlib.sha256(item.data).hexdigest()
        run.save()

    async def _install_binary(self, run: Run) -> None:
        source, target = await run.artifacts.get("k3s"), _binary(run)
        fresh = not target.exists()
        run.book.binary(target)
        await asyncio.to_thread(run.tools.files.install, source, target)
        if fresh:
            self._undo.append(lambda: run.tools.files.remove(target))
        for name in LINKS:
            link = target.parent / name
            if not link.exists() and not link.is_symlink():
                link.symlink_to("k3s")
                self._undo.append(lambda link=link: run.tools.files.remove(link))  # type: ignore[misc]  # bound now
        run.installed.k3s_version = run.k3s_version
        run.save()

    async def _still_running(self, run: Run) -> None:
        state = await run.tools.services.state("k3s")
        if not state.active:
            logs = await run.tools.services.logs("k3s", 15)
            raise BeeyardError(
                "the k3s service stopped while it was starting",
                why="\n".join([state.detail, *logs]).strip(),
                fix="Mend what the last log lines name and run the same command again.",
                code="E-K3S-010",
            )


async def _api_missing(run: Run) -> str:
    """Return what the API still lacks, an empty string when it is ready for work."""
    if run.tools.files.read(run.kubeconfig) is None:
        return "the service has not written its kubeconfig yet"
    kube = await run.kube()
    if not await kube.healthy():
        return "the API server does not say that it is ready"
    if not await kube.list(NODES):
        return "the node has not registered yet"
    if await kube.get(SERVICE_ACCOUNTS, "default", namespace="default") is None:
        return "the default ServiceAccount does not exist yet"
    return ""


async def _import_images(run: Run) -> None:
    archive = await run.artifacts.get("images")
    dest = Path(run.spec.k3s.data_dir) / "agent/images" / archive.name
    await asyncio.to_thread(run.tools.files.install, archive, dest, mode=0o644)
    ctr = [str(_binary(run)), "ctr", "--namespace", "k8s.io", "images", "import", str(dest)]
    await run.tools.processes.run(ctr, timeout=600)
    run.installed.images_due = False
    run.save()
    run.log("k3s' own images are imported", step="k3s")


def _unit(run: Run) -> ServiceUnit:
    return ServiceUnit(
        name="k3s",
        description="Lightweight Kubernetes",
        argv=(str(_binary(run)), "server"),
        env={**_proxy(run), **run.spec.k3s.env},
    )


def _refuse_lasting(run: Run) -> None:
    """Refuse to change what a running cluster was made with."""
    if not run.installed.k3s_version:
        return
    before, want = run.installed.k3s_config, k3s_config.wanted(run.spec)
    changed = [key for key in LASTING if key in before and str(want.get(key)) != str(before[key])]
    if changed:
        raise RefusedError(
            "a running cluster cannot get other networks or names",
            why="\n".join(f"{key}: made with {before[key]}, asked for is {want.get(key)}" for key in changed),
            fix="Give the values that the cluster was made with.",
            code="E-K3S-023",
            details={"keys": changed},
        )


def _proxy(run: Run) -> dict[str, str]:
    """Return the proxy variables of the service; those of the last run where this one is given none."""
    return proxy.variables(run.spec, run.options.environment) or run.installed.proxy


def _binary(run: Run) -> Path:
    return Path(run.spec.k3s.bin_dir) / "k3s"


def _manager(run: Run) -> str:
    kind = str(run.tools.services.kind)
    return "beeyard itself (no service manager here; not across a reboot)" if kind == "none" else kind


def _same_size(source: Path, dest: Path) -> bool:
    return dest.exists() and dest.stat().st_size == source.stat().st_size


def _put_back(run: Run, path: Path, before: FileState | None) -> None:
    if before is None:
        run.tools.files.remove(path)
    else:
        run.tools.files.write(path, before.data, mode=before.mode, owner=(before.uid, before.gid), backup=False)


def masked(diff: str) -> str:
    """Return the diff with the values of secret keys hidden."""
    lines = []
    for line in diff.splitlines():
        key, colon, _ = line.lstrip("+- ").partition(":")
        secret = bool(colon) and any(word in key.lower() for word in SECRET_KEYS)
        lines.append(f"{line[: line.index(':') + 1]} ***" if secret else line)
    return "\n".join(lines)
