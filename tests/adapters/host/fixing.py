"""Fixes the host it runs on, takes that back, and prints the state in between; run in namespaces by the tests.

Arguments: the service manager, then ``kill`` to be killed at every boundary of every action as well, then the files
and folders whose content counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from installer.adapters.host.changes import LocalChanges
from installer.adapters.host.facts import gather
from installer.adapters.host.files import LocalFiles
from installer.adapters.host.mounting import is_bpf, propagation
from installer.adapters.host.processes import LocalProcesses
from installer.adapters.store.lock import FileLock
from installer.domain.preflight import Wanted, check, default_ports
from installer.domain.preflight.actions import Action
from installer.domain.preflight.fixes import Fix, fixes
from installer.ports.host import ServiceKind
from installer.services.preflight_fixes import FixService

STATE = Path("/var/lib/beeyard")
WANTED = Wanted(ports=default_ports())


class Killed(BaseException):
    """The process would be gone here."""


class Fragile(LocalChanges):
    """Dies before or after an action."""

    def __init__(self, dies_at: int) -> None:
        super().__init__(LocalProcesses(), LocalFiles())
        self.left = dies_at

    async def apply(self, action: Action) -> None:
        self._tick()
        await super().apply(action)
        self._tick()

    def _tick(self) -> None:
        if self.left == 0:
            self.left = -1
            raise Killed
        self.left -= 1


def ip(*words: str) -> Any:
    """Return what ``ip`` prints, without counters and numbers that are given anew."""
    rows = json.loads(subprocess.run(["ip", "-j", *words], capture_output=True, check=True).stdout or "[]")
    for row in rows:
        for key in ("ifindex", "stats64", "link_index", "valid_life_time", "preferred_life_time"):
            row.pop(key, None)
        row.pop("tso_max_size", None)  # of the link below, once that is known
        for address in row.get("addr_info", ()):
            for key in ("valid_life_time", "preferred_life_time", "tentative"):
                address.pop(key, None)
        _without_timers(row)
    return sorted(rows, key=json.dumps)


def _without_timers(row: dict[str, Any]) -> None:
    data = row.get("linkinfo", {}).get("info_data", {})
    for key in [key for key in data if key.endswith("_timer")]:
        del data[key]


def tree(paths: list[str]) -> dict[str, Any]:
    """Return all files below some paths: content, mode, owner."""
    found: dict[str, Any] = {}
    for top in map(Path, paths):
        for path in sorted([top, *top.rglob("*")]):
            if path.exists():
                info = path.stat()
                text = path.read_text() if path.is_file() else ""
                found[str(path)] = [text, info.st_mode, info.st_uid, info.st_gid]
    return found


def state(paths: list[str]) -> dict[str, Any]:
    """Return all that fixes may touch."""
    sysctls = [*Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter"), *Path("/proc/sys/fs/inotify").glob("max*")]
    return {
        "files": tree(paths),
        "sysctls": {str(path): path.read_text().strip() for path in sorted(sysctls)},
        "links": ip("-d", "link", "show"),
        "addresses": ip("addr", "show"),
        "routes": [
            row
            for family in ("-4", "-6")
            for row in ip(family, "route", "show", "table", "all")
            if row.get("table") != "local"
        ],
        # Named network namespaces of other tests come and go.
        "mounts": {point: kind for point, kind in propagation().items() if not point.startswith("/run/netns")},
        "bpf": is_bpf("/sys/fs/bpf"),
    }


async def planned(manager: str) -> tuple[list[Fix], list[dict[str, Any]]]:
    """Return the safe fixes and all findings."""
    facts = await gather(LocalProcesses(), manager=ServiceKind(manager), environ=os.environ)
    findings = check(facts, WANTED)
    return fixes(findings, facts, WANTED), [one.to_dict() for one in findings]


def service(dies_at: int = -1) -> FixService:
    return FixService(Fragile(dies_at), LocalFiles(), FileLock(STATE), time.time, STATE / "fixes.json")


async def killed_everywhere(manager: str, paths: list[str], before: Mapping[str, Any]) -> list[Any]:
    """Be killed before and after every action, take back, and return where the state was not as before."""
    differences = []
    actions = sum(len(one.actions) for one in (await planned(manager))[0])
    for point in range(2 * actions):
        try:
            dying = service(point)
            for one in (await planned(manager))[0]:
                await dying.apply(one)
        except Killed:
            pass
        undone = await service().undo()
        now = state(paths)
        left = [one.left for one in undone if one.left]
        if now != before or left or (STATE / "fixes.json").exists():
            differences.append([point, left, {key: now[key] for key in now if now[key] != before[key]}])
    return differences


async def main() -> None:
    """Fix, look, take back, look."""
    manager, *paths = sys.argv[1:]
    kill = "kill" in paths
    paths = [path for path in paths if path != "kill"]
    before = state(paths)
    differences = await killed_everywhere(manager, paths, before) if kill else []
    plan, findings = await planned(manager)
    for one in plan:
        await service().apply(one)
    during = state(paths)
    record = STATE / "fixes.json"
    mode = record.stat().st_mode & 0o777 if record.exists() else 0
    again, findings_after = await planned(manager)
    undone = await service().undo()
    told = {
        "before": before,
        "plan": [one.to_dict() for one in plan],
        "findings": findings,
        "during": during,
        "record_mode": mode,
        "again": [one.code for one in again],
        "findings_after": findings_after,
        "undone": [one.to_dict() for one in undone],
        "after": state(paths),
        "record_left": record.exists(),
        "differences": differences,
    }
    print(json.dumps(told))


asyncio.run(main())
