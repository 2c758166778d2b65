"""Setting up a cluster by questions: what the host and the sources say while they are answered, the plan, the exports.

The questions and every rule about answers are in ``installer.domain.setup``; here is what needs the outside.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from installer.domain.config_layers import Layer, from_environment, resolve
from installer.domain.errors import BeeyardError, UsageError
from installer.domain.events import Event
from installer.domain.installed import Installed
from installer.domain.plan import Plan
from installer.domain.preflight import Level
from installer.domain.setup import export
from installer.domain.setup.form import Form
from installer.domain.setup.judgement import Found, Judgement, Look, judge
from installer.domain.setup.note import Note
from installer.domain.setup.reading import registry_of
from installer.domain.spec import ClusterSpec
from installer.pipeline.cluster_there import cluster_facts
from installer.pipeline.run import Options, Tools, read_installed
from installer.ports.host import Files
from installer.services.install import InstallService

KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
"""k3s' own kubeconfig."""
_UNREACHABLE = ("E-WEB-001", "E-WEB-003", "E-WEB-005")
"""Codes of a server that does not answer, as opposed to one that refuses."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the setup starts from.

    Attributes:
        form: the form, with the answers of an earlier setup where there is one.
        trouble: why an earlier setup could not be used.
    """

    form: Form
    trouble: BeeyardError | None = None


@dataclass(slots=True)
class SetupService:
    """Use cases of the setup.

    Attributes:
        install: makes plans; its tools look at host and sources.
        files: writes the exports.
        environment: variables of the invoking process.
        state_dir: our own state.
        root: whether we may change this host.
    """

    install: InstallService
    files: Files
    environment: Mapping[str, str]
    state_dir: Path = Path("/var/lib/beeyard")
    root: bool = True

    def options(self, *, allow_unsupported: bool = False) -> Options:
        """Return how a run of the setup behaves."""
        return Options(allow_unsupported=allow_unsupported, state_dir=self.state_dir, environment=self.environment)

    def begin(self) -> Beginning:
        """Return the form to start with: the earlier setup of this host, else the defaults."""
        try:
            base, origin = self._earlier()
        except BeeyardError as error:
            return Beginning(self._form(ClusterSpec(), ""), error)
        return Beginning(self._form(base, origin))

    def _earlier(self) -> tuple[ClusterSpec, str]:
        record = self.install.read_current()
        layers = [self._layer(record.data)] if record else []
        layers += from_environment(self.environment)
        return resolve(layers).document.spec, "cluster.yaml" if record else ""

    def _layer(self, data: bytes) -> Layer:
        path = self.state_dir / "cluster.yaml"
        try:
            document = yaml.safe_load(data)
            if not isinstance(document, dict):
                raise TypeError(f"It holds a {type(document).__name__}, not a mapping.")
        except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
            raise UsageError(
                f"{path} is damaged", why=str(error), fix=f"Move {path} away.", code="E-CONFIG-004"
            ) from error
        return Layer(str(path), document)

    def _form(self, base: ClusterSpec, origin: str) -> Form:
        table = self.install.table
        others = [minor for minor in reversed(table.supported) if minor != table.default]
        return Form.over(
            base, tuple((minor, table.minors[minor].default) for minor in (table.default, *others)), origin
        )

    async def look(self, spec: ClusterSpec) -> Look:
        """Look at the host; nothing is changed, and root is not needed."""
        async with self.install.tools(spec, self.environment) as tools:
            facts, record = await tools.probe.gather(), self._installed(tools)
            if facts.k3s.pid and self.root:
                facts = replace(facts, cluster=await cluster_facts(tools.kubes, KUBECONFIG))
            return Look(facts, ours=bool(record.service), k3s_version=record.k3s_version)

    def _installed(self, tools: Tools) -> Installed:
        try:
            return read_installed(tools.files.read, self.state_dir)
        except BeeyardError:
            if self.root:
                raise
            return Installed(service="k3s")  # it is root's alone, but it is there

    async def find(self, spec: ClusterSpec, look: Look, *, allow_unsupported: bool = False) -> Found:
        """Ask the sources for what would be installed; what fails becomes notes, by question."""
        try:
            async with self.install.tools(spec, self.environment) as tools:
                if spec.downloads.bundle:
                    return await _ask_bundle(tools, spec)
                return await self._ask_sources(tools, spec, look, allow_unsupported=allow_unsupported)
        except BeeyardError as error:
            return Found(notes={"ca" if spec.downloads.ca_file else "source": (Note.of_error(error),)})

    async def _ask_sources(self, tools: Tools, spec: ClusterSpec, look: Look, *, allow_unsupported: bool) -> Found:
        if look.k3s_version:
            return Found(look.k3s_version)  # a running cluster keeps its version, and everything is here
        notes = dict[str, list[Note]]()
        k3s, chart, _, _ = await asyncio.gather(
            _told(_k3s(tools, spec, look), spec, notes),
            _told(self._chart(tools, spec, allow_unsupported=allow_unsupported), spec, notes),
            _told(_helm(tools, spec, look), spec, notes),
            _told(_registry(tools, spec), spec, notes),
        )
        return Found(k3s or "", chart or "", {key: tuple(group) for key, group in notes.items()})

    async def _chart(self, tools: Tools, spec: ClusterSpec, *, allow_unsupported: bool) -> str:
        source = spec.downloads.chart
        if source.file:
            return await tools.sources.chart_version(Path(source.file))
        release = self.install.table.find(spec.cilium.version, allow_unsupported=allow_unsupported)
        await tools.sources.chart(source.repository, release.version, release.sha256)
        return release.version

    def judge(self, form: Form, look: Look | None = None, found: Found | None = None) -> Judgement:
        """Return what is to be said about the answers, with as much as is known by now."""
        return judge(form, self.install.table, look, found)

    async def plan(self, spec: ClusterSpec, *, allow_unsupported: bool = False) -> Plan:
        """Return what an install would change; nothing is changed.

        Raises:
            RefusedError: ``E-RUN-001`` another run holds the lock, ``E-PRE-001`` not root, a check says no.
            BeeyardError: what stands in the way.
        """
        async with self.install.open(spec, self.options(allow_unsupported=allow_unsupported), _ignore) as job:
            return await job.plan()

    def write(self, path: Path, spec: ClusterSpec, *, replace: bool = False) -> Path:
        """Write ``beeyard.yaml`` and return its whole path.

        Raises:
            UsageError: ``E-CONFIG-006`` a file is there and ``replace`` was not asked for.
            BeeyardError: ``E-HOST-01x`` it cannot be written.
        """
        target = Path.cwd() / path.expanduser()
        text = export.to_yaml(spec).encode()
        there = self.files.read(target)
        if there is not None and there.data != text and not replace:
            raise UsageError(f"{target} is there already", fix="Give another path, or replace it.", code="E-CONFIG-006")
        self.files.write(target, text, mode=0o600 if export.has_secrets(spec) else 0o644, owner=self._invoker())
        return target

    def _invoker(self) -> tuple[int, int] | None:
        """Return user and group who called sudo: the file is theirs."""
        ids = [self.environment.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
        return (int(ids[0]), int(ids[1])) if os.geteuid() == 0 and all(map(str.isdigit, ids)) else None

    def command(self, spec: ClusterSpec, file: str = "", *, allow_unsupported: bool = False) -> str:
        """Return the command line that installs the same without a cockpit."""
        try:
            usual = resolve(from_environment(self.environment)).document.spec
        except BeeyardError:
            usual = ClusterSpec()
        return export.command_line(spec, usual, file=file, allow_unsupported=allow_unsupported)


def _ignore(event: Event) -> None:
    """Nobody listens while a plan is made."""
    del event


async def _ask_bundle(tools: Tools, spec: ClusterSpec) -> Found:
    path = Path(str(spec.downloads.bundle))
    try:
        bundle = await asyncio.to_thread(tools.sources.read_bundle, path)
    except BeeyardError as error:
        return Found(notes={"bundle": (Note.of_error(error),)})
    return Found(bundle.k3s_version, bundle.chart_version)


async def _k3s(tools: Tools, spec: ClusterSpec, look: Look) -> str:
    k3s = spec.k3s
    return (await tools.sources.k3s(channel=k3s.channel, version=k3s.version, arch=look.facts.arch)).version


async def _helm(tools: Tools, spec: ClusterSpec, look: Look) -> str:
    source = spec.downloads.helm
    if not source.binary and await tools.sources.local_helm() is None:
        await tools.sources.helm(source.url, source.version, look.facts.arch)
    return ""


async def _registry(tools: Tools, spec: ClusterSpec) -> str:
    """Knock at a registry's door; one that wants a password is there."""
    url = registry_of(spec.k3s.registries)
    try:
        if url:
            await tools.downloader.text(f"{url.rstrip('/')}/v2/")
    except BeeyardError as error:
        if error.code in _UNREACHABLE:
            raise
    return ""


async def _told(question: Awaitable[str], spec: ClusterSpec, notes: dict[str, list[Note]]) -> str | None:
    """Return an answer; an error becomes a note beside the question that it is about."""
    try:
        return await question
    except BeeyardError as error:
        notes.setdefault(_blamed(error, spec), []).append(Note.of_error(error, Level.ERROR))
        return None


def _blamed(error: BeeyardError, spec: ClusterSpec) -> str:
    """Return the question that an error of a source is about."""
    if error.code.startswith("E-K3S"):
        return "k3s.release" if spec.k3s.version is None and spec.k3s.channel in ("stable", "latest") else "k3s.exact"
    if error.code.startswith(("E-HELM", "E-CILIUM", "E-CHART")):
        return "cilium.version"
    usual, given = ClusterSpec().downloads, spec.downloads
    places = {
        "mirror.k3s": (given.k3s, usual.k3s),
        "mirror.channels": (given.channels, usual.channels),
        "mirror.chart": (given.chart.repository, usual.chart.repository),
        "mirror.helm": (given.helm.url, usual.helm.url),
        "registry": (registry_of(spec.k3s.registries), ""),
    }
    told = f"{error.what} {error.why}"
    hits = [key for key, (url, other) in places.items() if url != other and urlsplit(url).netloc in told]
    exact = [key for key in hits if places[key][0].rstrip("/") in told]
    return (exact or hits or ["source"])[0]
