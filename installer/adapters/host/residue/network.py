"""Links, addresses, routes of all tables, rules, queueing disciplines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from installer.adapters.host.residue.common import ask_json, change
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import Changed
from installer.domain.residue.ownership import owner
from installer.domain.residue.scope import Scope
from installer.ports.host import Processes
from installer.ports.residue import Seen

_FOREVER: Final = 4294967295
_FAMILIES: Final = ("4", "6")
_INGRESS: Final = ("clsact", "ingress")
_ROUTE_TYPES: Final = {
    "1": "unicast", "2": "local", "3": "broadcast", "4": "anycast", "5": "multicast", "6": "blackhole",
    "7": "unreachable", "8": "prohibit", "9": "throw",
}  # fmt: skip
_MAIN: Final = "254"


class NetworkArea:
    """Implements ``installer.ports.residue.Area`` with ip and tc."""

    kinds = frozenset({Kind.LINK, Kind.ADDRESS, Kind.ROUTE, Kind.RULE, Kind.QDISC})

    def __init__(self, processes: Processes) -> None:
        """Set up.

        Args:
            processes: runs ip and tc.
        """
        self._processes = processes

    async def look(self, scope: Scope, before: Inventory | None) -> Seen:
        """Return what is there."""
        del before
        links = await ask_json(self._processes, ["ip", "-j", "-d", "link", "show"])
        if links is None:
            return Seen(missing=("links, routes and rules: there is no ip here (package iproute2)",))
        addresses = await ask_json(self._processes, ["ip", "-j", "address", "show"]) or []
        items = [*map(_link, links), *(item for one in addresses for item in _addresses(one))]
        for family in _FAMILIES:
            routes = await ask_json(self._processes, ["ip", "-N", "-j", f"-{family}", "route", "show", "table", "all"])
            rules = await ask_json(self._processes, ["ip", "-N", "-j", f"-{family}", "rule", "show"])
            items += [_route(one, family) for one in routes or []]
            items += [_rule(one, family) for one in rules or []]
        ours = {item.name for item in items if item.kind is Kind.LINK and owner(item, scope)}
        return Seen((*items, *[one async for one in self._qdiscs(ours)]))

    async def _qdiscs(self, ours: set[str]) -> Any:
        for one in await ask_json(self._processes, ["tc", "-j", "qdisc", "show"]) or []:
            device, kind = str(one.get("dev", "")), str(one.get("kind", ""))
            if device in ours or kind == "noqueue":
                continue
            if kind in _INGRESS:
                filters = [
                    await ask_json(self._processes, ["tc", "-j", "filter", "show", "dev", device, side])
                    for side in ("ingress", "egress")
                ]
                yield Item(Kind.QDISC, f"{device} {kind}", {"kind": kind, "empty": not any(filters)})
            elif one.get("root"):
                yield Item(Kind.QDISC, f"{device} root", {"kind": kind})

    async def remove(self, items: Sequence[Item]) -> list[str]:
        """Delete links, routes, rules, addresses, and empty ingress disciplines."""
        failed = [await self._local_first(items)]
        failed += [await change(self._processes, _deletion(item)) for item in items]
        return [text for text in failed if text]

    async def _local_first(self, items: Sequence[Item]) -> str:
        """Put the look-up of local addresses back before Cilium's own goes: without one, nothing is delivered."""
        failed = ""
        for family in {str(item.facts["family"]) for item in items if _is_local_rule(item)}:
            rules = await ask_json(self._processes, ["ip", "-N", "-j", f"-{family}", "rule", "show"]) or []
            if not any(one.get("priority") == 0 and str(one.get("table")) == "255" for one in rules):
                argv = ["ip", f"-{family}", "rule", "add", "from", "all", "lookup", "local", "priority", "0"]
                failed = failed or await change(self._processes, argv)
        return failed

    async def restore(self, changes: Sequence[Changed]) -> list[str]:
        """Put back the local look-up and root disciplines."""
        failed = []
        for one in changes:
            item = one.item
            if item.kind is Kind.RULE:
                argv = ["ip", f"-{item.facts['family']}", "rule", "add", *_rule_words(item.facts)]
                failed.append(await change(self._processes, argv))
            elif item.kind is Kind.QDISC:
                device = item.name.partition(" ")[0]
                argv = ["tc", "qdisc", "replace", "dev", device, "root", str(item.facts["kind"])]
                failed.append(await change(self._processes, argv))
        return [text for text in failed if text and "File exists" not in text]


def _link(one: dict[str, Any]) -> Item:
    flags = one.get("flags", [])
    facts = {
        "kind": (one.get("linkinfo") or {}).get("info_kind", ""),
        "mtu": one.get("mtu"),
        "up": "UP" in flags,
        "master": one.get("master", ""),
    }
    return Item(Kind.LINK, str(one["ifname"]), facts, {"index": one.get("ifindex")})


def _addresses(one: dict[str, Any]) -> Iterator[Item]:
    for address in one.get("addr_info", []):
        lease = address.get("valid_life_time", _FOREVER) != _FOREVER or bool(address.get("dynamic"))
        facts = {"scope": address.get("scope"), **({"dynamic": True} if lease else {})}
        yield Item(Kind.ADDRESS, f"{one['ifname']} {address.get('local')}/{address.get('prefixlen')}", facts)


def _route(one: dict[str, Any], family: str) -> Item:
    kind = _ROUTE_TYPES.get(str(one.get("type", "1")), str(one.get("type")))
    words = [] if kind == "unicast" else [kind]
    words.append(str(one.get("dst")))
    hops = one.get("nexthops")
    for hop in hops or [one]:
        gateway = hop.get("gateway") or (hop.get("via") or {}).get("host")
        words += ["nexthop"] if hops else []
        words += ["via", str(gateway)] if gateway else []
        words += ["dev", str(hop["dev"])] if hop.get("dev") else []
    table = str(one.get("table", _MAIN))
    words += ["table", table]
    if one.get("metric"):
        words += ["metric", str(one["metric"])]
    facts = {
        "family": family,
        "table": table,
        "dev": one.get("dev", ""),
        "protocol": str(one.get("protocol", "")),
        "source": one.get("prefsrc", ""),
        **({"dynamic": True} if "expires" in one or str(one.get("protocol")) in ("9", "16", "ra", "dhcp") else {}),
    }
    return Item(Kind.ROUTE, f"-{family} {' '.join(words)}", facts)


def _rule(one: dict[str, Any], family: str) -> Item:
    facts = {**one, "family": family, "table": str(one.get("table", ""))}
    return Item(Kind.RULE, f"-{family} {' '.join(_rule_words(facts))}", facts)


def _rule_words(facts: Any) -> list[str]:
    """Return a rule as ip takes it."""
    words = ["not"] if "not" in facts else []
    for side, word in (("src", "from"), ("dst", "to")):
        if side in facts:
            length = facts.get(f"{side}len")
            words += [word, str(facts[side]) + (f"/{length}" if length is not None else "")]
    if "fwmark" in facts:
        mask = facts.get("fwmask")
        words += ["fwmark", str(facts["fwmark"]) + (f"/{mask}" if mask else "")]
    for name, word in (("iif", "iif"), ("oif", "oif"), ("ipproto", "ipproto"), ("sport", "sport"), ("dport", "dport")):
        words += [word, str(facts[name])] if name in facts else []
    words += ["lookup", str(facts["table"])] if facts.get("table") else []
    return [*words, "priority", str(facts.get("priority", 0))]


def _is_local_rule(item: Item) -> bool:
    return item.kind is Kind.RULE and str(item.facts.get("table")) == "255"


def _deletion(item: Item) -> list[str]:
    """Return the command that takes one thing away."""
    name, facts = item.name, item.facts
    match item.kind:
        case Kind.LINK:
            return ["ip", "link", "delete", "dev", name]
        case Kind.ADDRESS:
            device, _, address = name.partition(" ")
            return ["ip", "address", "delete", address, "dev", device]
        case Kind.ROUTE:
            return ["ip", f"-{facts['family']}", "route", "delete", *name.split(" #")[0].split()[1:]]
        case Kind.RULE:
            return ["ip", f"-{facts['family']}", "rule", "delete", *_rule_words(facts)]
        case _:
            device, _, kind = name.partition(" ")
            return ["tc", "qdisc", "delete", "dev", device, kind]
