"""A network device written down before it is deleted, and made again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from installer.domain.errors import BeeyardError
from installer.ports.host import Processes

Row = Mapping[str, Any]


class LinkCopy:
    """Copies VXLAN devices and bridges.

    Args:
        processes: runs ``ip``.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    async def copy(self, name: str) -> dict[str, Any]:
        """Return the device with its addresses and routes; forwarding entries and neighbours are left out.

        Raises:
            BeeyardError: ``E-FIX-001`` it is of a kind that cannot be made again.
        """
        link = await self._rows("-d", "link", "show", "dev", name)
        kind = link[0].get("linkinfo", {}).get("info_kind", "")
        if kind not in ("vxlan", "bridge"):
            raise BeeyardError(
                f"the link {name} cannot be deleted so that it could be made again",
                why=f"It is a device of the kind {kind or 'hardware'}.",
                fix=f"Delete it yourself: ip link delete {name}.",
                code="E-FIX-001",
            )
        routes = [await self._rows(family, "route", "show", "table", "all", "dev", name) for family in ("-4", "-6")]
        return {
            "link": link[0],
            "addresses": (await self._rows("addr", "show", "dev", name))[0].get("addr_info", []),
            "routes": [
                row
                for group in routes
                for row in group
                if row.get("protocol") != "kernel" and row.get("type", "unicast") == "unicast"
            ],
        }

    async def make(self, kept: Row) -> str:
        """Make it again; nothing of it is left out."""
        link = kept["link"]
        name = str(link["ifname"])
        await self._ip("link", "add", name, *_head(link), *_kind(link))
        if link.get("link_netnsid") is None and link.get("master"):
            await self._ip("link", "set", name, "master", str(link["master"]))
        for address in kept["addresses"]:
            if not (address.get("protocol") == "kernel_ll" or address.get("scope") == "link"):
                await self._ip(
                    "addr", "replace", f"{address['local']}/{address['prefixlen']}", *_peer(address), "dev", name
                )
        if "UP" in link.get("flags", ()):
            await self._ip("link", "set", name, "up")
        for row in kept["routes"]:
            await self._ip(*_route(row, name))
        return ""

    async def _rows(self, *words: str) -> list[dict[str, Any]]:
        done = await self._processes.run(["ip", "-j", *words], timeout=20.0)
        rows: list[dict[str, Any]] = json.loads(done.out or "[]")
        return [row for row in rows if row]

    async def _ip(self, *words: str) -> None:
        await self._processes.run(["ip", *words], timeout=20.0)


def _head(link: Row) -> Iterator[str]:
    for word, key in (("address", "address"), ("mtu", "mtu"), ("txqueuelen", "txqlen")):
        if link.get(key):
            yield from (word, str(link[key]))


def _kind(link: Row) -> Iterator[str]:
    info = link["linkinfo"]
    data, kind = info.get("info_data", {}), info["info_kind"]
    yield from ("type", kind)
    yield from _vxlan(data) if kind == "vxlan" else _bridge(data)


def _vxlan(data: Row) -> Iterator[str]:
    if data.get("external"):
        yield "external"
    pairs = (("id", "id"), ("group", "group"), ("remote", "remote"), ("local", "local"), ("dstport", "port"))
    more = (("ttl", "ttl"), ("ageing", "ageing"))
    pairs6 = (("group", "group6"), ("remote", "remote6"), ("local", "local6"))
    for word, key in (*pairs, *pairs6, *more):
        if data.get(key) not in (None, "", 0, "auto"):
            yield from (word, str(data[key]))
    if data.get("link"):
        yield from ("dev", str(data["link"]))
    if data.get("learning") is False:
        yield "nolearning"


def _bridge(data: Row) -> Iterator[str]:
    for key in ("stp_state", "vlan_filtering"):
        if data.get(key):
            yield from (key, str(data[key]))


def _peer(address: Row) -> Iterator[str]:
    if address.get("address"):
        yield from ("peer", f"{address['address']}/{address['prefixlen']}")
    if address.get("broadcast"):
        yield from ("broadcast", str(address["broadcast"]))


def _route(row: Row, name: str) -> Iterator[str]:
    six = ":" in str(row["dst"]) or ":" in str(row.get("gateway", ""))
    yield from ("-6" if six else "-4", "route", "replace", str(row["dst"]))
    if row.get("gateway"):
        yield from ("via", str(row["gateway"]))
    yield from ("dev", name)
    for word, key in (
        ("table", "table"),
        ("metric", "metric"),
        ("scope", "scope"),
        ("proto", "protocol"),
        ("src", "prefsrc"),
    ):
        if row.get(key) and not (six and key == "scope"):
            yield from (word, str(row[key]))
    if "onlink" in row.get("flags", ()):
        yield "onlink"
