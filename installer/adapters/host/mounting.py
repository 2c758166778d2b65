"""How mounts propagate, and putting that back."""

from __future__ import annotations

from collections.abc import Mapping

from installer.adapters.host import procfs
from installer.ports.host import Processes


def propagation() -> dict[str, str]:
    """Return ``shared``, ``private``, ``slave`` or ``unbindable`` by mount point (the topmost of several)."""
    found: dict[str, str] = {}
    for line in procfs.text(procfs.PROC / "self/mountinfo").splitlines():
        fields = line.partition(" - ")[0].split()
        found[_path(fields[4])] = _kind(fields[6:])
    return found


def _path(field: str) -> str:
    return field.encode().decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")


def _kind(options: list[str]) -> str:
    if any(option.startswith("shared:") for option in options):
        return "shared"
    if any(option.startswith("master:") for option in options):
        return "slave"
    return "unbindable" if "unbindable" in options else "private"


async def put_back(processes: Processes, kinds: Mapping[str, str]) -> str:
    """Give mounts that still exist their former propagation. Always complete.

    Where nothing was shared before, all mounts get the root's former propagation first, so that also those that
    others hide are reached. Else the ones that were shared must stay in their groups, and each is set by itself.
    """
    usual = "shared"
    if usual not in kinds.values():
        usual = kinds.get("/", "private")
        await processes.run(["mount", f"--make-r{usual}", "/"])
    now = propagation()
    for point, kind in kinds.items():
        if kind != usual and point in now:
            await processes.run(["mount", f"--make-{kind}", point], check=False)
    return ""


def is_bpf(path: str) -> bool:
    """Whether a BPF file system is mounted there."""
    table = procfs.mounts(procfs.text(procfs.PROC / "self/mountinfo"))
    return any(mount.point == path and mount.kind == "bpf" for mount in table)
