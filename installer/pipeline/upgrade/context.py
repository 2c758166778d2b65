"""What the steps of one upgrade share, and the record of how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.spec import ClusterSpec
from installer.domain.upgrade.migration import KeyNote
from installer.domain.upgrade.path import Hop, Versions
from installer.domain.upgrade.state import OpenHop, UpgradeState
from installer.pipeline import kept_spec
from installer.pipeline.chart_values import Existing
from installer.pipeline.run import Run
from installer.ports.datastore import Datastore
from installer.ports.guard import Guarding

STATE_FILE = "upgrade.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The cluster as it is to be after a hop.

    Attributes:
        versions: versions that run.
        spec: specification.
        values: Helm values.
        files: values files of the user in their new form, by the place of the copy.
        notes: what was done with the user's values.
    """

    versions: Versions
    spec: ClusterSpec
    values: dict[str, Any]
    files: Mapping[Path, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[KeyNote, ...] = ()


@dataclass(slots=True)
class Upgrade:
    """One upgrade.

    Attributes:
        now: versions that run when it starts.
        goal: versions wanted.
        hops: the way.
        spec: specification that the cluster has when it starts.
        datastore: Kubernetes' state on this host.
        bundle: path of the bundle, empty where the network is used.
        given: Helm values that were given for this upgrade.
        guarding: puts the host's network back where a change cuts it off; None where nobody guards.
        state: how far it has come; None before anything was changed.
        prepared: what is to be after each hop, by its id.
        rendered: objects as rendered for each Cilium hop, by its id.
        carried: values that somebody put into the release by hand; None until they are known.
        existing: what of the running Cilium can never change; None until it is known.
        taken_back: what was taken back, for people.
        proven: ids of the hops that this run has proven.
    """

    now: Versions
    goal: Versions
    hops: tuple[Hop, ...]
    spec: ClusterSpec
    datastore: Datastore
    bundle: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    guarding: Guarding | None = None
    state: UpgradeState | None = None
    prepared: dict[str, Prepared] = field(default_factory=dict)
    rendered: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    carried: dict[str, Any] | None = None
    existing: Existing | None = None
    taken_back: list[str] = field(default_factory=list)
    proven: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take over what an earlier run found out."""
        if self.state is not None and self.state.existing:
            facts = self.state.existing
            self.carried = self.state.carried
            self.existing = Existing(facts["ipam"], tuple(facts["pools"]), int(facts["nodes"]))

    @property
    def resumes(self) -> bool:
        """Whether a hop of an earlier run is open: what it found need not be looked for again, and may not answer."""
        return self.state is not None and self.state.hop is not None

    def open_hop(self, hop: Hop) -> OpenHop | None:
        """Return the record of a hop that was begun and is not proven."""
        found = self.state.hop if self.state else None
        return found if found is not None and found.id == hop.id else None

    def begin(self, run: Run, hop: Hop, **facts: Any) -> OpenHop:
        """Write down that a hop begins; one that was begun before goes on."""
        found = self.open_hop(hop)
        if found is None:
            folder = self.folder(run) / hop.id
            found = OpenHop(hop.id, hop.part, hop.source, hop.target, backup=str(folder), **facts)
            self._write(run, found)
        return found

    def mark(self, run: Run, hop: Hop, **facts: Any) -> OpenHop:
        """Write down how far a hop has come."""
        found = self.open_hop(hop)
        assert found is not None
        changed = replace(found, **facts)
        self._write(run, changed)
        return changed

    def enter(self, run: Run, hop: Hop) -> Prepared:
        """Let the run be about the cluster as it is after a hop."""
        prepared = self.prepared[hop.id]
        run.spec, run.values = prepared.spec, prepared.values
        run.k3s_version, run.chart_version = prepared.versions.k3s, prepared.versions.cilium
        return prepared

    def prove(self, run: Run, hop: Hop) -> None:
        """Write down that a hop is done: the cluster's specification is the new one from here on."""
        kept = run.options.state_dir / "cluster.yaml"
        run.tools.files.write(kept, kept_spec.dump(run.spec), mode=0o600, backup=False)
        self.proven.append(hop.id)
        if hop is self.hops[-1]:
            run.tools.files.remove(self.path(run))
            self.state = None
        else:
            self._write(run, None)

    def leave(self, run: Run, story: str) -> None:
        """Write down that the open hop was taken back; the way is to be planned anew then."""
        self.taken_back.append(story)
        run.tools.files.remove(self.path(run))
        self.state = None

    def folder(self, run: Run) -> Path:
        """Return where backups are."""
        return run.options.state_dir / "upgrade"

    def path(self, run: Run) -> Path:
        """Return where the record is."""
        return run.options.state_dir / STATE_FILE

    def _write(self, run: Run, hop: OpenHop | None) -> None:
        existing = asdict(self.existing) if self.existing else {}
        self.state = UpgradeState(self.goal, self.bundle, hop, self.carried or {}, existing, self.given)
        run.tools.files.write(self.path(run), self.state.dump(), mode=0o600, backup=False)


def missing_backup(folder: Path) -> BeeyardError:
    """Return the error where there is nothing to go back to."""
    return BeeyardError(
        "the upgrade cannot be taken back",
        why=f"There is no backup in {folder}.",
        fix="Go on with the upgrade: beeyard upgrade --yes",
        code="E-UPGRADE-020",
    )
