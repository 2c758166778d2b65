"""How mounts propagate, and putting that back."""

from __future__ import annotations

from collections.abc import Mapping

from installer.adapters.host import procfs
from installer.ports.host import Processes


def propagation() -> dict[str, str]:
    """Return the mounts that are not plainly shared: ``private``, ``slave`` or ``unbindable`` by mount point.

    Of several mounts at one point the topmost counts.
    """
    found: dict[str, str] = {}
    for line in procfs.text(procfs.PROC / "self/mountinfo").splitlines():
        fields = line.partition(" - ")[0].split()
        point, kind = _path(fields[4]), _kind(fields[6:])
        found[point] = kind
    return {point: kind for point, kind in found.items() if kind != "shared"}


def _path(field: str) -> str:
    return field.encode().decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")


def _kind(options: list[str]) -> str:
    if any(option.startswith("shared:") for option in options):
        return "shared"
    if any(option.startswith("master:") for option in options):
        return "slave"
    return "unbindable" if "unbindable" in options else "private"


async def put_back(processes: Processes, kinds: Mapping[str, str]) -> str:
    """Give mounts that still exist their former propagation; new ones are left alone. Always complete."""
    now = {_path(line.split()[4]) for line in procfs.text(procfs.PROC / "self/mountinfo").splitlines()}
    for point, kind in kinds.items():
        if point in now:
            await processes.run(["mount", f"--make-{kind}", point], check=False)
    return ""


def is_bpf(path: str) -> bool:
    """Whether a BPF file system is mounted there."""
    table = procfs.mounts(procfs.text(procfs.PROC / "self/mountinfo"))
    return any(mount.point == path and mount.kind == "bpf" for mount in table)
