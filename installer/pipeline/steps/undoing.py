"""Steps of an undo: what a run changed goes back to what its journal says was there, the last change first.

Each looks at what is there now, so that an undo that was killed goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.plan import Change, file_diff
from installer.domain.undo import ABSENT, FileBefore, ReleaseBefore, stamp
from installer.pipeline.run import Run
from installer.pipeline.steps.k3s import masked
from installer.pipeline.steps.proofs import ReadyStep

_SERVICE_FILES = ("/etc/rancher/", "/etc/systemd/", "/etc/init.d/", "/etc/conf.d/", "/var/lib/rancher/")


@dataclass(slots=True)
class ReleasesBackStep:
    """Brings Helm releases back to their revision."""

    releases: Sequence[ReleaseBefore]
    id: str = "release"
    title: str = "Bring the Helm release back"
    background: bool = False
    _now: dict[str, int] = field(default_factory=dict)

    async def gather(self, run: Run) -> None:
        """Look at the releases."""
        self._now = {}
        if not self.releases:
            return
        helm = await run.helm()
        for one in self.releases:
            try:
                found = await helm.release(one.name, one.namespace)
            except ConnectError as error:
                raise _no_api(error) from error
            if found is not None:
                self._now[f"{one.namespace}/{one.name}"] = found.revision

    async def check(self, run: Run) -> list[Change]:
        """Compare revisions."""
        del run
        changes = []
        for one in self.releases:
            name = f"{one.namespace}/{one.name}"
            now = self._now.get(name, 0)
            if one.revision == 0 and now:
                changes.append(Change("helm", "delete", name, "the run made it"))
            elif one.revision and now > one.revision:
                changes.append(Change("helm", "update", name, f"from revision {now} back to {one.revision}"))
        return changes

    async def apply(self, run: Run) -> None:
        """Roll back, or uninstall what the run made."""
        helm = await run.helm()
        for one in self.releases:
            now = self._now.get(f"{one.namespace}/{one.name}", 0)
            if one.revision == 0 and now:
                await helm.uninstall(one.name, one.namespace)
            elif one.revision and now > one.revision:
                await helm.rollback(one.name, one.namespace, one.revision)

    async def verify(self, run: Run) -> str:
        """Say what there is."""
        del run
        return ", ".join(f"{one.namespace}/{one.name} as in revision {one.revision}" for one in self.releases)

    async def undo(self, run: Run) -> None:
        """An undo is not taken back: the run is made again instead."""


@dataclass(slots=True)
class FilesBackStep:
    """Brings files back; one that somebody changed since the run is left alone.

    Attributes:
        files: in the order in which they were changed.
        runs: folder of all runs.
        ours: these are our own records: they go back in any case.
        kept: receives what is left alone, one line each.
    """

    files: Sequence[FileBefore]
    runs: Path
    kept: list[str]
    id: str = "files"
    title: str = "Bring files back"
    ours: bool = False
    background: bool = False
    _due: list[FileBefore] = field(default_factory=list)

    async def gather(self, run: Run) -> None:
        """Compare every file with what the run left and with what was there before."""
        self._due = []
        for one in reversed(self.files):
            verdict = one.verdict(self._stamp(run, one))
            if verdict == "foreign" and not self.ours:
                line = f"{one.path}: it was changed since by somebody else"
                self.kept += [line] if line not in self.kept else []
            elif verdict != "done":
                self._due.append(one)

    async def check(self, run: Run) -> list[Change]:
        """Return what goes back."""
        return [self._change(run, one) for one in self._due]

    async def apply(self, run: Run) -> None:
        """Write what was there, remove what was not."""
        files = run.tools.files
        for one in self._due:
            if one.before == ABSENT:
                files.remove(Path(one.path))
                continue
            data = self._copy(run, one)
            files.write(Path(one.path), data, mode=one.mode, owner=(one.uid, one.gid), backup=not one.after)

    async def verify(self, run: Run) -> str:
        """Check that all are back."""
        missing = [one.path for one in self._due if self._stamp(run, one) != one.before]
        if missing:
            raise BeeyardError(
                "files did not stay as they were put back",
                why="\n".join(missing),
                fix="Something writes them at the same time: end it, and run `beeyard undo` again.",
                code="E-UNDO-006",
            )
        return f"{len(self._due)} files" if self._due else "all as they were"

    async def undo(self, run: Run) -> None:
        """An undo is not taken back: the run is made again instead."""

    def _stamp(self, run: Run, one: FileBefore) -> str:
        found = run.tools.files.read(Path(one.path))
        return stamp(found.data if found else None)

    def _copy(self, run: Run, one: FileBefore) -> bytes:
        path = self.runs / one.run / one.copy
        found = run.tools.files.read(path)
        if found is None or stamp(found.data) != one.before:
            raise BeeyardError(
                f"the copy of {one.path} from before the run is {'damaged' if found else 'gone'}",
                why=f"Looked for {path}.",
                fix=f"Put {one.path} right by hand, then run `beeyard undo` again.",
                code="E-UNDO-005",
            )
        return found.data

    def _change(self, run: Run, one: FileBefore) -> Change:
        if one.before == ABSENT:
            return Change("file", "delete", one.path, "it was not there before")
        now = run.tools.files.read(Path(one.path))
        action = "update" if now else "create"
        if self.ours or any(word in one.path for word in ("kubeconfig", ".kube/", "k3s.yaml", ".env")):
            return Change("file", action, one.path, "as it was before")
        diff = file_diff(one.path, now.data if now else None, self._copy(run, one))
        return Change("file", action, one.path, "as it was before", diff=masked(diff))


@dataclass(slots=True)
class RestartStep:
    """Restarts k3s when files that it reads went back.

    An undo that goes on restarts it too: whether an earlier one came so far is not known.

    Attributes:
        files: what goes back.
    """

    files: Sequence[FileBefore]
    id: str = "service"
    title: str = "Restart k3s"
    background: bool = False
    _needed: bool = False

    async def gather(self, run: Run) -> None:
        """Look whether k3s runs, and whether it reads something that goes back."""
        reads = any(one.path.startswith(_SERVICE_FILES) for one in self.files)
        self._needed = reads and (await run.tools.services.state("k3s")).active

    async def check(self, run: Run) -> list[Change]:
        """Say so."""
        del run
        return [Change("service", "restart", "k3s", "its files change; running pods stay")] if self._needed else []

    async def apply(self, run: Run) -> None:
        """Restart."""
        await run.forget_kube()
        await run.tools.services.reload()
        await run.tools.services.restart("k3s")

    async def verify(self, run: Run) -> str:
        """Say how it is."""
        state = await run.tools.services.state("k3s")
        return "k3s runs" if state.active else state.detail

    async def undo(self, run: Run) -> None:
        """An undo is not taken back: the run is made again instead."""


@dataclass(slots=True)
class ReadyAgainStep(ReadyStep):
    """Waits until everything is ready again, where there is a cluster."""

    async def verify(self, run: Run) -> str:
        """Wait."""
        if not (await run.tools.services.state("k3s")).active:
            return "k3s does not run"
        return await run.tools.wait_ready(run, run.options.ready_timeout)


def _no_api(error: ConnectError) -> ConnectError:
    return ConnectError(
        "the cluster has to answer for its Helm release to go back",
        why=error.why or error.what,
        fix="Start k3s, then run `beeyard undo` again; `beeyard uninstall` needs no API.",
        code="E-UNDO-007",
    )
