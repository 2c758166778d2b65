"""What is to be done to take a run's changes back, from the records of its journal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABSENT = "absent"


def stamp(data: bytes | None) -> str:
    """Return what tells a file's contents apart."""
    return ABSENT if data is None else hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class FileBefore:
    """A file that a run changed.

    Attributes:
        path: the file.
        run: id of the run that keeps its copy.
        copy: the copy, below the run's folder; empty where the file was not there.
        mode: permission bits.
        uid: owner.
        gid: group.
        before: stamp of what was there.
        after: stamp of what the run left, empty where the run was killed before it could say.
    """

    path: str
    run: str
    copy: str
    mode: int
    uid: int
    gid: int
    before: str
    after: str

    def verdict(self, now: str) -> str:
        """Return ``done`` (it is back already), ``restore``, or ``foreign`` (somebody changed it since)."""
        if now == self.before:
            return "done"
        return "restore" if now == self.after or not self.after else "foreign"


@dataclass(frozen=True, slots=True)
class ReleaseBefore:
    """A Helm release that a run changed; revision 0 stands for none."""

    name: str
    namespace: str
    revision: int


@dataclass(frozen=True, slots=True)
class ServiceBefore:
    """A service that a run changed."""

    name: str
    installed: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes of a run, or of a run and those that went on with it.

    Attributes:
        files: in the order in which they were changed.
        releases: likewise.
        services: likewise.
    """

    files: tuple[FileBefore, ...] = ()
    releases: tuple[ReleaseBefore, ...] = ()
    services: tuple[ServiceBefore, ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.files or self.releases or self.services)

    @property
    def made_the_cluster(self) -> bool:
        """Whether the service was not there before: taking that back takes the cluster away."""
        return any(not service.installed for service in self.services)


Records = Iterable[tuple[str, Mapping[str, Any]]]


def changes_of(runs: Sequence[tuple[str, Records]]) -> Changes:
    """Return what runs changed; of several changes of one thing, what was before the first counts.

    Args:
        runs: id and records (kind and data) of each run, the oldest first.
    """
    files: dict[str, FileBefore] = {}
    releases: dict[str, ReleaseBefore] = {}
    services: dict[str, ServiceBefore] = {}
    for run, records in runs:
        for kind, data in records:
            what = data.get("what")
            if kind == "changed" and what == "file" and data["path"] in files:
                files[data["path"]] = _left(files[data["path"]], str(data["stamp"]))
            elif kind != "change":
                continue
            elif what == "file":
                _first(files, data["path"], _file(run, data))
            elif what == "release":
                release = ReleaseBefore(data["name"], data["namespace"], int(data["revision"]))
                _first(releases, f"{release.namespace}/{release.name}", release)
            elif what == "service":
                _first(services, data["name"], ServiceBefore(data["name"], bool(data["installed"])))
    return Changes(tuple(files.values()), tuple(releases.values()), tuple(services.values()))


def _first(known: dict[str, Any], name: str, found: Any) -> None:
    """Keep the first; a file that is changed again is not yet what this run left."""
    if name not in known:
        known[name] = found
    elif isinstance(found, FileBefore):
        known[name] = _left(known[name], "")


def _file(run: str, data: Mapping[str, Any]) -> FileBefore:
    existed = bool(data["existed"])
    return FileBefore(
        path=str(data["path"]),
        run=run,
        copy=str(data["copy"]) if existed else "",
        mode=int(data["mode"]) if existed else 0,
        uid=int(data["uid"]) if existed else 0,
        gid=int(data["gid"]) if existed else 0,
        before=str(data["stamp"]) if existed else ABSENT,
        after="",
    )


def _left(file: FileBefore, after: str) -> FileBefore:
    return FileBefore(file.path, file.run, file.copy, file.mode, file.uid, file.gid, before=file.before, after=after)
