"""Who a network namespace or a control group is: names of ``ip netns``, the host, pods."""

from __future__ import annotations

import ctypes
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

from installer.adapters.bpf.child.addresses import address

_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_PATIENCE = 1.0
_NEW_NETWORK = 0x40000000

Space = list[Any]
"""Kind (``host``, ``netns``, ``pod``), name, addresses."""


class Names:
    """Looks up what the parent was not told yet.

    Args:
        cgroup: where cgroup2 is mounted; empty for nowhere.
    """

    def __init__(self, cgroup: str) -> None:
        self._cgroup = cgroup
        self._spaces: dict[int, Space] = {}
        self._groups: dict[int, str] = {}
        self._looked = -_PATIENCE
        self._asked_in_vain: set[int] = set()

    def news(self, spaces: set[int], groups: set[int]) -> dict[str, dict[str, Any]]:
        """Return those that are new or changed: namespaces, and the paths of groups."""
        unknown = (spaces - self._spaces.keys()) | (groups - self._groups.keys())
        if not unknown - self._asked_in_vain or time.monotonic() - self._looked < _PATIENCE:
            return {}
        self._looked = time.monotonic()
        found, paths = self._find_spaces(), self._find_groups()
        told = {str(key): value for key, value in found.items() if self._spaces.get(key) != value}
        groups_told = {str(key): value for key, value in paths.items() if key in groups and key not in self._groups}
        self._spaces, self._asked_in_vain = found, unknown - found.keys() - paths.keys()
        self._groups.update((key, paths[key]) for key in groups if key in paths)
        return {"spaces": told, "groups": groups_told} if told or groups_told else {}

    def _find_spaces(self) -> dict[int, Space]:
        found: dict[int, Space] = {}
        for path in sorted(Path("/run/netns").glob("*")):
            try:
                found[path.stat().st_ino] = ["netns", path.name, _addresses_within(path)]
            except OSError:
                continue
        found.update(_pods())
        found[Path("/proc/self/ns/net").stat().st_ino] = ["host", "", _addresses(Path("/proc/self/net"))]
        return found

    def _find_groups(self) -> dict[int, str]:
        found = {}
        for folder, _, _ in os.walk(self._cgroup) if self._cgroup else ():
            try:
                found[Path(folder).stat().st_ino] = folder[len(self._cgroup) :] or "/"
            except OSError:
                continue
        return found


def _pods() -> dict[int, Space]:
    """Return the pods' ids by network namespace, from the control groups of all processes."""
    found: dict[int, Space] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            space = (process / "ns/net").stat().st_ino
            if space in found:
                continue
            pod = _POD.search((process / "cgroup").read_text())
            if pod is not None:
                found[space] = ["pod", pod[1].replace("_", "-"), _addresses(process / "net")]
        except OSError:
            continue
    return found


def _addresses_within(path: Path) -> list[str]:
    """Return the addresses of a namespace that may have no process: a thread of ours goes there."""
    found: list[str] = []

    def look() -> None:
        try:
            with path.open() as file:
                if ctypes.CDLL(None).setns(file.fileno(), _NEW_NETWORK) == 0:
                    found.extend(_addresses(Path("/proc/thread-self/net")))
        except OSError:
            return

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found


def _addresses(net: Path) -> list[str]:
    """Return the addresses that a folder ``/proc/.../net`` tells, without those of the loopback interface."""
    found = {address for address in _LOCAL.findall((net / "fib_trie").read_text()) if not address.startswith("127.")}
    try:
        lines = (net / "if_inet6").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        raw = line.split()[0]
        if raw != "0" * 31 + "1":
            found.add(address(bytes.fromhex(raw)))
    return sorted(found)
