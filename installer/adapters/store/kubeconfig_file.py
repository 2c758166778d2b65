"""The invoking user's kubeconfig on disk: read, merge, write whole, never by two programs at once."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from installer.domain import kubeconfig
from installer.domain.errors import BeeyardError, TemporaryError, UsageError
from installer.ports.host import Files, FileState
from installer.ports.kubeconfig import KubeconfigChange

K3S_FILE = Path("/etc/rancher/k3s/k3s.yaml")
PRIVATE = 0o600
LOCK_POLL_SECONDS = 0.05
_HOLDER = "beeyard "
OTHER_WAY = "Use --kubeconfig PATH for another file, or --no-merge."


@dataclass(frozen=True, slots=True)
class Invoker:
    """Who called us.

    Attributes:
        home: home folder.
        owner: user and group id that files get; None where they are our own anyway.
    """

    home: Path
    owner: tuple[int, int] | None = None


def find_invoker(env: Mapping[str, str]) -> Invoker:
    """Return the user behind sudo, else the user that we run as."""
    sudo_uid, sudo_gid = env.get("SUDO_UID", ""), env.get("SUDO_GID", "")
    if os.geteuid() == 0 and sudo_uid.isdecimal() and int(sudo_uid):
        try:
            entry = pwd.getpwuid(int(sudo_uid))
        except (KeyError, OverflowError):
            return Invoker(Path(env.get("HOME") or "/root"))
        gid = int(sudo_gid) if sudo_gid.isdecimal() else entry.pw_gid
        return Invoker(Path(entry.pw_dir), (entry.pw_uid, gid))
    return Invoker(Path(env.get("HOME") or "~").expanduser())


class KubeconfigFile:
    """Merges into the invoking user's kubeconfig; implements ``ports.kubeconfig.UserKubeconfigs``.

    The file is ``path``, else the first of ``KUBECONFIG`` (k3s' own file passed over), else ``~/.kube/config``. It and
    the folder made for it belong to the invoking user. Comments do not survive a write, as with kubectl; the backup
    has them.

    Args:
        files: where to read and write.
        env: environment, for ``KUBECONFIG``.
        invoker: whose file it is; see ``find_invoker``.
        k3s_file: the cluster's own kubeconfig; never written.
        lock_seconds: how long to wait for another program's lock.
    """

    def __init__(
        self,
        files: Files,
        env: Mapping[str, str],
        invoker: Invoker,
        *,
        k3s_file: Path = K3S_FILE,
        lock_seconds: float = 2.0,
    ):
        self._files = files
        self._env = env
        self._invoker = invoker
        self._k3s_file = k3s_file
        self._lock_seconds = lock_seconds

    def plan(self, source: bytes | None, path: str | None, name: str) -> KubeconfigChange:
        """Say what merging would do; ``source`` None stands for a kubeconfig that does not exist yet.

        Raises:
            BeeyardError: as ``merge``, but for locks and writing.
        """
        target = self._target(path)
        state, existing = self._load(target)
        if source is None:
            known = existing is not None and kubeconfig.holds(kubeconfig.check(existing, str(target)), name)
            summary = f"context {name} {'replaced' if known else 'added'}"
            return KubeconfigChange(target, state is not None, changed=True, summary=summary)
        return self._change(
            target, state, kubeconfig.merge(existing, _parsed_source(source), **_of(name, target)), name
        )

    def merge(self, source: bytes, path: str | None, name: str) -> KubeconfigChange:
        """Merge k3s' kubeconfig by name; atomic, backed up, 0600.

        Raises:
            BeeyardError: ``E-KUBECONFIG-001`` the user's file is no kubeconfig, ``-002`` it is damaged, ``-003`` the
                source cannot be used, ``-004`` not readable, ``-005`` not writable.
            TemporaryError: ``E-KUBECONFIG-006`` another program holds its lock.
            UsageError: ``E-KUBECONFIG-007`` the path is k3s' own file.
        """
        target = self._target(path)
        with self._locked(target):
            state, existing = self._load(target)
            merged = kubeconfig.merge(existing, _parsed_source(source), **_of(name, target))
            change = self._change(target, state, merged, name)
            if change.changed:
                self._write(target, state, merged.config)
        return change

    def remove(self, path: str, name: str) -> bool:
        """Take the named entries out again; True when something was removed. A file that we made goes altogether.

        Raises:
            BeeyardError: as ``merge``.
        """
        target = self._target(path)
        with self._locked(target):
            state, existing = self._load(target)
            if existing is None or not kubeconfig.holds(kubeconfig.check(existing, str(target)), name):
                return False
            rest = kubeconfig.remove(existing, name, where=str(target))
            if rest is None:
                with _not_writable(target):
                    self._files.remove(_real(target))
            else:
                self._write(target, state, rest)
        return True

    def _target(self, path: str | None) -> Path:
        """Choose the file; a leading ``~`` is the invoking user's home."""
        if path:
            chosen = self._expanded(path)
            if self._is_k3s_file(chosen):
                raise _k3s_own(chosen)
            return chosen
        listed = [self._expanded(part) for part in self._env.get("KUBECONFIG", "").split(os.pathsep) if part]
        own = [candidate for candidate in listed if not self._is_k3s_file(candidate)]
        return own[0] if own else self._invoker.home / ".kube" / "config"

    def _expanded(self, path: str) -> Path:
        if path == "~" or path.startswith("~/"):
            return self._invoker.home / path[2:]
        return Path(path).absolute()

    def _is_k3s_file(self, path: Path) -> bool:
        return _real(path) == _real(self._k3s_file)

    def _load(self, path: Path) -> tuple[FileState | None, dict[str, Any] | None]:
        """Read the user's file; an empty one counts as an empty kubeconfig."""
        try:
            state = self._files.read(path)
        except BeeyardError as error:
            raise _failed(path, "read", error, "E-KUBECONFIG-004") from error
        if state is None:
            return None, None
        try:
            parsed = _parsed(state.data)
        except ValueError as error:
            raise _no_yaml(path, error) from None
        return state, {} if parsed is None else parsed

    def _owner(self, path: Path, state: FileState | None) -> tuple[int, int] | None:
        """In the user's home, links followed, and for new files the user; elsewhere whoever owns the file now."""
        if state is None or _real(path).is_relative_to(_real(self._invoker.home)):
            return self._invoker.owner
        return (state.uid, state.gid)

    def _change(self, path: Path, state: FileState | None, merged: kubeconfig.Merged, name: str) -> KubeconfigChange:
        parts = []
        if merged.changed:
            parts.append(f"context {name} {'replaced' if merged.replaced else 'added'}")
        if merged.current_set:
            parts.append("current-context set")
        if _is_left_behind(_lock_of(path)):
            parts.append("the lock of a killed run removed")
        if state is not None and state.mode != PRIVATE:
            parts.append("mode set to 0600")
        if state is not None and self._owner(path, state) not in (None, (state.uid, state.gid)):
            parts.append("given to its user")
        return KubeconfigChange(path, state is not None, bool(parts), ", ".join(parts) or "nothing to change")

    def _write(self, path: Path, state: FileState | None, config: dict[str, Any]) -> None:
        data = _dumped(config)
        if state is not None and _parsed(state.data) == config:
            data = state.data  # only mode or owner are to change
        with _not_writable(path):
            self._files.write(path, data, mode=PRIVATE, owner=self._owner(path, state))

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Hold ``NAME.lock`` as kubectl does; ours names its process, so that a killed one is in nobody's way."""
        lock = _lock_of(path)
        taken = self._take(lock, path)
        try:
            yield
        finally:
            if taken:
                lock.unlink(missing_ok=True)

    def _take(self, lock: Path, path: Path) -> bool:
        """Make the lock file; False where not even its folder exists, and nothing is to be locked."""
        deadline = time.monotonic() + self._lock_seconds
        while True:
            try:
                _make_lock(lock)
            except FileExistsError:
                if _removed_left_behind(lock):
                    continue
                if time.monotonic() >= deadline:
                    raise _lock_held(lock, path) from None
                time.sleep(LOCK_POLL_SECONDS)
            except FileNotFoundError:
                return False
            except OSError as error:
                raise _failed(path, "written", error, "E-KUBECONFIG-005") from error
            else:
                return True


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _make_lock(lock: Path) -> None:
    """Make the lock with its holder in it, at once or not at all."""
    part = lock.with_name(f".{lock.name}.{os.getpid()}.{threading.get_ident()}.beeyard-tmp")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(f"{_HOLDER}{os.getpid()}\n")
    try:
        lock.hardlink_to(part)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # a file system without links
    finally:
        part.unlink(missing_ok=True)


def _removed_left_behind(lock: Path) -> bool:
    """Remove a lock that a killed process of ours has left; one program at a time looks and removes."""
    folder = os.open(lock.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        left = _is_left_behind(lock)
        if left:
            lock.unlink(missing_ok=True)
        return left
    finally:
        os.close(folder)


def _is_left_behind(lock: Path) -> bool:
    """Tell whether a lock is one of ours whose process is gone."""
    try:
        holder = lock.read_text(errors="replace").removesuffix("\n")
    except OSError:
        return False
    pid = holder.removeprefix(_HOLDER)
    return holder.startswith(_HOLDER) and pid.isdecimal() and not Path(f"/proc/{pid}").exists()


def _real(path: Path) -> Path:
    """Follow symbolic links; unlike ``Path.resolve`` it never fails."""
    return Path(os.path.realpath(path))


def _of(name: str, path: Path) -> dict[str, Any]:
    return {"name": name, "where": str(path)}


class _Loader(yaml.SafeLoader):
    """Plain data as Kubernetes reads it: dates and ``12:30`` stay text, not time and a number to the base of 60."""


def _clock_free(tag: str, pattern: re.Pattern[str]) -> tuple[str, re.Pattern[str]]:
    return tag, re.compile(f"(?!.*:)(?:{pattern.pattern})", pattern.flags) if tag in _NUMBERS else pattern


_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_Loader.yaml_implicit_resolvers = {
    first: [_clock_free(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """Never anchors: what stood twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _parsed(data: bytes) -> Any:
    """Parse YAML; raises ValueError with the parser's words, which name the line."""
    try:
        return yaml.load(data.decode(), _Loader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(place + str(getattr(error, "problem", None) or "not YAML")) from None


def _parsed_source(source: bytes) -> Any:
    try:
        return _parsed(source)
    except ValueError as error:
        raise kubeconfig.unusable(f"It is not valid YAML: {error}") from None


def _dumped(config: dict[str, Any]) -> bytes:
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20).encode()


@contextmanager
def _not_writable(path: Path) -> Iterator[None]:
    try:
        yield
    except BeeyardError as error:
        raise _failed(path, "written", error, "E-KUBECONFIG-005") from error


def _failed(path: Path, done: str, error: BeeyardError | OSError, code: str) -> BeeyardError:
    why = f"{error.what}: {error.why}" if isinstance(error, BeeyardError) else str(error.strerror)
    details = {"path": str(path)}
    if isinstance(error, OSError):
        details["errno"] = errno.errorcode.get(error.errno or 0, "")
    return BeeyardError(f"The kubeconfig {path} cannot be {done}", why=why, fix=OTHER_WAY, code=code, details=details)


def _no_yaml(path: Path, error: ValueError) -> BeeyardError:
    return BeeyardError(
        f"{path} is no kubeconfig",
        why=f"It is not valid YAML: {error}",
        fix=f"Mend it or move it away. {OTHER_WAY}",
        code="E-KUBECONFIG-001",
    )


def _lock_held(lock: Path, path: Path) -> TemporaryError:
    return TemporaryError(
        f"The kubeconfig {path} is locked by another program",
        why=f"{lock} exists.",
        fix=f"Run again when kubectl and the like are done; if none runs, remove {lock}.",
        code="E-KUBECONFIG-006",
    )


def _k3s_own(path: Path) -> UsageError:
    return UsageError(
        f"{path} is the cluster's own kubeconfig",
        why="k3s writes it anew at every start; what is merged into it gets lost.",
        fix="Use --kubeconfig PATH for a file of your own, or --no-merge.",
        code="E-KUBECONFIG-007",
    )
