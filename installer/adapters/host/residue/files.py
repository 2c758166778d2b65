"""Files and folders: what k3s and Cilium put on the host, and what was in those places before."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from installer.adapters.host import procfs
from installer.domain.errors import BeeyardError
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import BACK, Changed
from installer.domain.residue.ownership import HISTORY, SYSCTL_FILE
from installer.domain.residue.scope import Scope
from installer.ports.host import Files
from installer.ports.residue import Seen

KEEP_BYTES: Final = 8 << 20
"""Files up to this size are copied before an install, so that they can be put back."""
MOST: Final = 20_000
"""Entries of a folder that are told one by one; a larger folder that was there before is left alone whole."""
_CONFIG: Final = ("/etc/rancher", "/etc/cni", "/opt/cni")
_TREES: Final = (
    "/var/lib/kubelet", "/run/k3s", "/run/flannel", "/var/lib/cni", "/var/log/pods", "/var/log/containers",
    "/run/cilium", "/var/lib/cilium",
)  # fmt: skip
_SHELLS: Final = ("/var/lib/rancher", "/usr/libexec/kubernetes")
_PROGRAMS: Final = ("k3s", "kubectl", "crictl", "ctr", "k3s-killall.sh", "k3s-uninstall.sh")


class FileArea:
    """Implements ``installer.ports.residue.Area`` for files."""

    kinds = frozenset({Kind.FILE})

    def __init__(self, files: Files, copy_of: Callable[[str], Path | None], *, deep: bool = False) -> None:
        """Set up.

        Args:
            files: writes what is put back.
            copy_of: gives the copy of a file by its sha256.
            deep: tell every file of folders that belong to k3s and Cilium, as before an install.
        """
        self._files = files
        self._copy_of = copy_of
        self._deep = deep

    async def look(self, scope: Scope, before: Inventory | None) -> Seen:
        """Return what is there; of folders that were there before, file by file."""
        items: dict[str, Item] = {}
        for root in _CONFIG:
            for path in [Path(root), *_below(Path(root))]:
                _add(items, path, hashed=True)
        for path in _single(scope):
            _add(items, path, hashed=True)
        for root in (scope.data_dir, *_TREES):
            for item in self._tree(Path(root), scope, before):
                items.setdefault(item.name, item)
        state = [path for path in _children(Path(scope.state_dir)) if path.name not in HISTORY]
        for path in (*map(Path, _SHELLS), *state):
            _add(items, path, hashed=False)
        return Seen(tuple(items.values()))

    def _tree(self, root: Path, scope: Scope, before: Inventory | None) -> Iterator[Item]:
        """Yield a folder that is ours as a whole, or its entries where some were there before or are to stay."""
        if not os.path.lexists(root):
            return
        kept = [Path(path) for path in scope.keep if Path(path).is_relative_to(root)]
        old = before.get(Kind.FILE, str(root)) if before is not None else None
        if kept:
            yield from (_entry(path) for path in _children(root) if path not in kept)
        elif self._deep or old is not None:
            paths = list(_first(_below(root), MOST + 1))
            whole = len(paths) > MOST or bool(old and old.facts.get("whole"))
            yield Item(Kind.FILE, str(root), {"type": "dir", **({"whole": True} if whole else {})})
            yield from () if whole else (_entry(path) for path in paths)
        else:
            yield _entry(root)

    async def remove(self, items: Sequence[Item]) -> list[str]:
        """Delete files and folders; a folder that something is mounted in, or that others use, stays."""
        mounts = [Path(one.point) for one in procfs.mounts(procfs.text(procfs.PROC / "self/mountinfo"))]
        names = {item.name for item in items}
        failed = []
        for item in sorted(items, key=lambda one: -len(one.name)):
            path = Path(item.name)
            inside = next((point for point in mounts if point.is_relative_to(path) and path.is_dir()), None)
            if inside is not None and not path.is_symlink():
                failed.append(f"{path}: {inside} is still mounted")
            elif any(str(parent) in names for parent in path.parents):
                continue  # goes with its folder
            else:
                failed.append(_delete(path, shell=bool(item.facts.get("empty"))))
        return [text for text in failed if text]

    async def restore(self, changes: Sequence[Changed]) -> list[str]:
        """Write the copies of files back with their mode and owner."""
        return [text for one in changes if (text := self._put_back(one))]

    def _put_back(self, change: Changed) -> str:
        before = change.before
        if before is None:
            return _rename_back(Path(change.item.name))
        path, facts = Path(before.name), before.facts
        try:
            if facts.get("type") == "link":
                path.unlink(missing_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(str(facts["target"]))
                return ""
            copy = self._copy_of(str(facts.get("sha256", "")))
            if copy is None:
                return f"{path}: there is no copy of what it was"
            owner = (int(facts["uid"]), int(facts["gid"]))
            self._files.write(path, copy.read_bytes(), mode=int(facts["mode"], 8), owner=owner, backup=False)
            Path(f"{path}{BACK}").unlink(missing_ok=True)
        except (OSError, BeeyardError) as error:
            return f"{path}: {error}"
        return ""


def _rename_back(path: Path) -> str:
    try:
        path.rename(path.with_name(path.name.removesuffix(BACK)))
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def _single(scope: Scope) -> Iterator[Path]:
    """Yield the files that stand alone, with the copies that beeyard made of them."""
    unit = f"/etc/systemd/system/{scope.service}.service"
    names = [
        SYSCTL_FILE, unit, f"{unit}.env", f"/etc/systemd/system/multi-user.target.wants/{scope.service}.service",
        f"/etc/init.d/{scope.service}", f"/etc/conf.d/{scope.service}", f"/etc/runlevels/default/{scope.service}",
        f"/var/log/{scope.service}.log", *(f"{scope.bin_dir}/{name}" for name in _PROGRAMS),
        *scope.wrote,
    ]  # fmt: skip
    for name in names:
        path = Path(name)
        yield path
        with suppress(OSError):
            yield from path.parent.glob(f"{path.name}.beeyard-*")


def _add(items: dict[str, Item], path: Path, *, hashed: bool) -> None:
    if os.path.lexists(path) and str(path) not in items:
        items[str(path)] = _described(path) if hashed else _entry(path)


def _below(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        yield from (Path(folder) / name for name in (*folders, *files))


def _first(paths: Iterator[Path], count: int) -> Iterator[Path]:
    for _, path in zip(range(count), paths, strict=False):
        yield path


def _children(root: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(root.iterdir())
    return []


def _entry(path: Path) -> Item:
    """Tell what a path is, without reading it; of a folder also whether there is no file in it."""
    with suppress(OSError):
        if path.is_symlink():
            return Item(Kind.FILE, str(path), {"type": "link"})
        if path.is_dir():
            return Item(Kind.FILE, str(path), {"type": "dir", **({"empty": True} if _is_empty(path) else {})})
    return Item(Kind.FILE, str(path), {"type": "file"})


def _is_empty(path: Path) -> bool:
    return not any(True for _ in _files_below(path))


def _files_below(path: Path) -> Iterator[str]:
    for _, folders, files in os.walk(path):
        yield from files
        if len(folders) > MOST:
            yield "too many to tell"


def _described(path: Path) -> Item:
    """Tell all of a file that is compared: mode, owner, content."""
    try:
        info = path.lstat()
        facts: dict[str, Any] = {"mode": f"{stat.S_IMODE(info.st_mode):04o}", "uid": info.st_uid, "gid": info.st_gid}
        if stat.S_ISLNK(info.st_mode):
            facts = {"type": "link", "target": str(path.readlink()), "kept": True}
        elif stat.S_ISDIR(info.st_mode):
            facts |= {"type": "dir", **({"empty": True} if _is_empty(path) else {})}
        elif stat.S_ISREG(info.st_mode):
            facts |= {"type": "file", **_content(path, info)}
        else:
            facts |= {"type": "special"}
    except OSError:
        return Item(Kind.FILE, str(path), {"type": "unreadable"})
    return Item(Kind.FILE, str(path), facts)


def _content(path: Path, info: os.stat_result) -> dict[str, Any]:
    """Tell a file's content by its checksum; of one too large to be kept, size and time must do."""
    if info.st_size > KEEP_BYTES:
        return {"size": info.st_size, "modified": int(info.st_mtime)}
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "kept": True}


def _delete(path: Path, *, shell: bool) -> str:
    """Delete a path; a folder told of as empty goes only if no file came into it since."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        elif not shell:
            shutil.rmtree(path)
        else:
            for folder, _, _ in os.walk(path, topdown=False):
                Path(folder).rmdir()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""
