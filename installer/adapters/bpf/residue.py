"""The area of BPF programs and pins; implements ``installer.ports.residue.Area``."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from installer.adapters.bpf import attachments
from installer.adapters.bpf.attachments import Attachment
from installer.adapters.bpf.syscall import BpfError
from installer.domain.errors import BeeyardError
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import Changed
from installer.domain.residue.scope import Scope
from installer.ports.host import Processes
from installer.ports.residue import Seen

_BPFFS: Final = Path("/sys/fs/bpf")
_SIDES: Final = ("ingress", "egress")


class BpfArea:
    """Programs at devices (tc, tcx, netkit, XDP) and control groups, and what is pinned."""

    kinds = frozenset({Kind.BPF, Kind.PIN})

    def __init__(self, processes: Processes, *, bpffs: Path = _BPFFS) -> None:
        """Set up.

        Args:
            processes: runs ip and tc.
            bpffs: where pins are.
        """
        self._processes = processes
        self._bpffs = bpffs

    async def look(self, scope: Scope, before: Inventory | None) -> Seen:
        """Return what is there."""
        del scope, before
        items = list(self._pins())
        try:
            items += [item async for item in self._programs()]
        except BpfError as error:
            return Seen(tuple(items), (f"BPF programs: {error.strerror} (needs root and CAP_BPF)",))
        return Seen(tuple(items))

    def _pins(self) -> Iterator[Item]:
        for folder, folders, files in os.walk(self._bpffs):
            yield from (Item(Kind.PIN, f"{folder}/{name}") for name in sorted(files))
            for name in sorted(folders):
                empty = not any(found for _, _, found in os.walk(f"{folder}/{name}"))
                yield Item(Kind.PIN, f"{folder}/{name}", {"empty": True} if empty else {})

    async def _programs(self) -> Any:
        for root in _cgroup_roots():
            for one in attachments.on_cgroups(root):
                yield _item(one, shown=f"/{Path(one.place).relative_to(root)}".rstrip("."))
        for link in await self._json("ip", "-j", "-d", "link", "show"):
            name, index = str(link["ifname"]), int(link["ifindex"])
            for one in attachments.on_device(name, index):
                handle: dict[str, Any] = {"link": one.link_id, "id": one.program_id, "index": index}
                handle["number"] = one.number
                yield Item(Kind.BPF, f"{one.hook} {name} {one.program}", _facts(one.hook, name, one.program), handle)
            for program, mode in _xdp(link):
                title = attachments.program_name(program)
                handle = {"device": name, "mode": mode, "link": attachments.xdp_link(index, program)}
                yield Item(Kind.BPF, f"xdp {name} {title}", _facts("xdp", name, title), handle)
        for qdisc in await self._json("tc", "-j", "qdisc", "show"):
            if qdisc.get("kind") in ("clsact", "ingress"):
                for side in _SIDES:
                    async for item in self._filters(str(qdisc["dev"]), side):
                        yield item

    async def _filters(self, device: str, side: str) -> Any:
        for one in await self._json("tc", "-j", "filter", "show", "dev", device, side):
            options = one.get("options") or {}
            if one.get("kind") != "bpf" or not options:
                continue
            name = str((options.get("prog") or {}).get("name") or options.get("bpf_name", ""))
            handle = {"device": device, "side": side, "pref": one.get("pref"), "handle": options.get("handle")}
            handle["protocol"] = one.get("protocol", "all")
            yield Item(Kind.BPF, f"tc {side} {device} {name}", _facts(f"tc {side}", device, name), handle)

    async def _json(self, *argv: str) -> list[dict[str, Any]]:
        try:
            done = await self._processes.run(argv, check=False)
            found = json.loads(done.out or "[]")
        except (BeeyardError, ValueError):
            return []
        return [one for one in found if one]

    async def remove(self, items: Sequence[Item]) -> list[str]:
        """Take programs off, then unpin; a pinned link goes for good only when it is unpinned."""
        failed = [await self._take_off(item) for item in items if item.kind is Kind.BPF]
        for item in sorted((one for one in items if one.kind is Kind.PIN), key=lambda one: -len(one.name)):
            path = Path(item.name)
            try:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue
            except OSError as error:
                failed.append(f"{path}: {error.strerror}")
        return [text for text in failed if text]

    async def _take_off(self, item: Item) -> str:
        hook, handle = str(item.facts["hook"]), item.handle
        try:
            if hook.startswith("tc "):
                return await self._run(
                    "tc", "filter", "delete", "dev", handle["device"], handle["side"], "protocol", handle["protocol"],
                    "pref", handle["pref"], "handle", handle["handle"], "bpf",
                )  # fmt: skip
            if handle.get("link"):
                attachments.detach_link(int(handle["link"]))
            elif hook == "xdp":
                return await self._run("ip", "link", "set", "dev", handle["device"], str(handle["mode"]), "off")
            else:
                place = str(handle["index"]) if "index" in handle else str(handle["place"])
                one = Attachment(hook, place, "", int(handle["id"]), 0, int(handle["number"]))
                attachments.take_off(one)
        except BpfError as error:
            return f"{item.name}: {error.strerror}"
        return ""

    async def _run(self, *argv: object) -> str:
        words = [str(word) for word in argv]
        done = await self._processes.run(words, check=False)
        return "" if done.rc == 0 else f"{' '.join(words)}: {(done.err or done.out).strip()}"

    async def restore(self, changes: Sequence[Changed]) -> list[str]:
        """Programs are not put back: those of others were never touched."""
        del changes
        return []


def _facts(hook: str, place: str, program: str) -> dict[str, str]:
    return {"hook": hook, "place": place, "program": program}


def _item(one: Attachment, shown: str) -> Item:
    """Return a program of a control group; those of the service manager come and go."""
    facts: dict[str, Any] = {**_facts(one.hook, shown or "/", one.program), "dynamic": True}
    handle = {"link": one.link_id, "id": one.program_id, "place": one.place, "number": one.number}
    return Item(Kind.BPF, f"{one.hook} {shown or '/'} {one.program}", facts, handle)


def _xdp(link: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the number of each XDP program of a device, with the word by which ip names its mode."""
    xdp = link.get("xdp") or {}
    words = {1: "xdpdrv", 2: "xdpgeneric", 3: "xdpoffload"}
    for one in xdp.get("attached") or [{"mode": xdp.get("mode"), "prog": xdp.get("prog")}]:
        if (one.get("prog") or {}).get("id"):
            yield int(one["prog"]["id"]), words.get(int(one.get("mode") or 0), "xdp")


def _cgroup_roots() -> list[Path]:
    """Return one mount point of every cgroup2 hierarchy that is seen here."""
    found: dict[tuple[int, int], Path] = {}
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            own, _, rest = line.partition(" - ")
            if rest.startswith("cgroup2 "):
                path = Path(own.split()[4])
                with suppress(OSError):
                    info = path.stat()
                    found.setdefault((info.st_dev, info.st_ino), path)
    return list(found.values())
