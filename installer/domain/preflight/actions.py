"""What a fix does to the host, each action with what it needs to be taken back."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a file of ours.

    Attributes:
        path: where.
        text: content.
        mode: permission bits.
        then: command that makes the file known, run after writing and after taking back; empty for none.
    """

    path: str
    text: str
    mode: int = 0o644
    then: Command = ()

    def told(self) -> Iterator[str]:
        """Yield lines for people."""
        yield f"write {self.path}:"
        yield from (f"    {line}" for line in self.text.splitlines())
        if self.then:
            yield f"run {shlex.join(self.then)}"


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Take a file away; its content is kept in the record."""

    path: str

    def told(self) -> Iterator[str]:
        """Yield lines for people."""
        yield f"remove {self.path} (kept in the record)"


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """Set a kernel parameter now; ``key`` has dots, or slashes where a part of it has a dot."""

    key: str
    value: str

    @property
    def below_proc(self) -> str:
        """Path below ``/proc/sys``."""
        return self.key if "/" in self.key else self.key.replace(".", "/")

    def told(self) -> Iterator[str]:
        """Yield lines for people."""
        yield f"run sysctl -w {self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a command that another command takes back."""

    argv: Command
    undo: Command

    def told(self) -> Iterator[str]:
        """Yield lines for people."""
        yield f"run {shlex.join(self.argv)}"


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Delete a VXLAN device or a bridge; its attributes, addresses and routes are kept in the record."""

    name: str

    def told(self) -> Iterator[str]:
        """Yield lines for people."""
        yield f"run ip link delete {self.name}"


@dataclass(frozen=True, slots=True)
class ShareMounts:
    """Let mounts below ``/`` propagate."""

    def told(self) -> Iterator[str]:
        """Yield lines for people."""
        yield "run mount --make-rshared /"


@dataclass(frozen=True, slots=True)
class MountBpf:
    """Mount the BPF file system."""

    path: str = "/sys/fs/bpf"

    def told(self) -> Iterator[str]:
        """Yield lines for people."""
        yield f"run mount -t bpf bpf {self.path}"


Action = WriteFile | RemoveFile | SetSysctl | RunCommand | DeleteLink | ShareMounts | MountBpf

_KINDS: dict[str, Callable[..., Action]] = {
    "write-file": WriteFile,
    "remove-file": RemoveFile,
    "set-sysctl": SetSysctl,
    "run-command": RunCommand,
    "delete-link": DeleteLink,
    "share-mounts": ShareMounts,
    "mount-bpf": MountBpf,
}


def touches_network(action: Action) -> bool:
    """Whether an action could, if all goes wrong, cut the host off; such ones are guarded."""
    match action:
        case WriteFile(then=then):
            return bool(then)
        case SetSysctl(key=key):
            return key.startswith("net")
        case RunCommand(argv=argv):
            return argv[0] in ("firewall-cmd", "ufw")
        case _:
            return isinstance(action, DeleteLink)


def to_dict(action: Action) -> dict[str, Any]:
    """Return the JSON form."""
    kind = next(name for name, one in _KINDS.items() if type(action) is one)
    return {"kind": kind, **asdict(action)}


def from_dict(data: Mapping[str, Any]) -> Action:
    """Return the action of a JSON form.

    Raises:
        ValueError: it is none.
    """
    kind = _KINDS.get(str(data.get("kind")))
    if kind is None:
        raise ValueError(f"there is no action {data.get('kind')!r}")
    rest = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items() if name != "kind"}
    try:
        return kind(**rest)
    except TypeError as error:
        raise ValueError(str(error)) from None
