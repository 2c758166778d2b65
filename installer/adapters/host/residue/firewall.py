"""iptables of both variants and both families, nftables, ipsets.

Our rules and chains are deleted one by one, in one transaction a table; nothing is saved, filtered and loaded again,
so a rule that somebody else adds meanwhile is never lost.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

from installer.adapters.host.residue.common import ask, change
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import Changed
from installer.domain.residue.scope import Scope
from installer.ports.host import Processes
from installer.ports.residue import Seen

_COMPAT: Final = re.compile(r"^(ip|ip6) (filter|nat|mangle|raw|security)$")
_TABLE: Final = re.compile(r"^table (\w+ \S+)$")
_VARIANTS: Final = (("4", "nft"), ("6", "nft"), ("4", "legacy"), ("6", "legacy"))
_LEGACY_TABLES: Final = {"4": Path("/proc/net/ip_tables_names"), "6": Path("/proc/net/ip6_tables_names")}
_COUNTERS: Final = re.compile(r"^\[\d+:\d+\] ")
_JUMPS: Final = ("-j", "--jump", "-g", "--goto")


class FirewallArea:
    """Implements ``installer.ports.residue.Area`` with iptables, nft and ipset, as far as they are here."""

    kinds = frozenset({Kind.IPTABLES_RULE, Kind.IPTABLES_CHAIN, Kind.NFT_TABLE, Kind.IPSET})

    def __init__(self, processes: Processes) -> None:
        """Set up.

        Args:
            processes: runs the tools.
        """
        self._processes = processes

    async def look(self, scope: Scope, before: Inventory | None) -> Seen:
        """Return what is there."""
        del scope, before
        items: list[Item] = []
        missing = set()
        for family, variant in _VARIANTS:
            if variant == "legacy" and not _has_legacy(family):
                continue
            saved = await ask(self._processes, [_program(family, variant, "save")])
            if saved is None:
                missing.add(f"iptables ({variant}): there is no iptables of that sort here (package iptables)")
            else:
                items += _parse(saved.out, family, variant)
        tables = await ask(self._processes, ["nft", "-s", "-n", "list", "ruleset"])
        if tables is None:
            missing.add("nftables: there is no nft here (package nftables)")
        else:
            items += _tables(tables.out)
        sets = await ask(self._processes, ["ipset", "list", "-t", "-o", "save"])
        items += _sets(sets.out) if sets else []
        return Seen(tuple(items), tuple(sorted(missing)))

    async def remove(self, items: Sequence[Item]) -> list[str]:
        """Delete rules and chains of ours, tables and sets."""
        chains = [item for item in items if item.kind in (Kind.IPTABLES_RULE, Kind.IPTABLES_CHAIN)]
        failed = []
        for (family, variant), group in groupby(sorted(chains, key=_place), key=_place):
            program = _program(family, variant, "restore")
            argv = [program, "--noflush", "--wait", "10"]
            failed.append(await change(self._processes, argv, stdin=_transaction(list(group))))
        for item in items:
            if item.kind is Kind.NFT_TABLE:
                failed.append(await change(self._processes, ["nft", "delete", "table", *item.name.split()]))
            elif item.kind is Kind.IPSET:
                failed.append(await change(self._processes, ["ipset", "destroy", item.name]))
        return [text for text in failed if text]

    async def restore(self, changes: Sequence[Changed]) -> list[str]:
        """Nothing of this area is put back: what is not ours was never touched."""
        del changes
        return []


def _has_legacy(family: str) -> bool:
    try:
        return bool(_LEGACY_TABLES[family].read_text().split())
    except OSError:
        return False


def _program(family: str, variant: str, verb: str) -> str:
    return f"{'iptables' if family == '4' else 'ip6tables'}-{variant}-{verb}"


def _place(item: Item) -> tuple[str, str]:
    return str(item.facts["family"]), str(item.facts["variant"])


def _parse(saved: str, family: str, variant: str) -> Iterator[Item]:
    """Read what iptables-save prints; built-in chains are told only where their policy is not the usual one."""
    table = ""
    for line in saved.splitlines():
        base = {"family": family, "variant": variant, "table": table}
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            if policy != "ACCEPT":
                name = f"{_short(family, variant)} {table} {chain}"
                yield Item(Kind.IPTABLES_CHAIN, name, {**base, "chain": chain, "policy": policy})
        elif (text := _COUNTERS.sub("", line)).startswith("-A "):
            chain, _, spec = text[3:].partition(" ")
            name = f"{_short(family, variant)} {table} {chain} {spec}"
            yield Item(Kind.IPTABLES_RULE, name, {**base, "chain": chain, "target": _target(spec)}, {"spec": spec})


def _short(family: str, variant: str) -> str:
    return f"ip{family}/{variant}"


def _target(spec: str) -> str:
    try:
        words = shlex.split(spec)
    except ValueError:
        words = spec.split()
    return next((after for word, after in pairwise(words) if word in _JUMPS), "")


def _transaction(items: Sequence[Item]) -> bytes:
    """Return the input of iptables-restore --noflush that deletes these and leaves all others alone."""
    lines: list[str] = []
    for table in dict.fromkeys(str(item.facts["table"]) for item in items):
        here = [item for item in items if item.facts["table"] == table]
        chains = [str(item.facts["chain"]) for item in here if item.kind is Kind.IPTABLES_CHAIN]
        rules = [item for item in here if item.kind is Kind.IPTABLES_RULE and item.facts["chain"] not in chains]
        lines.append(f"*{table}")
        lines += [f"-D {item.facts['chain']} {item.handle['spec']}" for item in rules]
        lines += [f"-F {chain}" for chain in chains]
        lines += [f"-X {chain}" for chain in chains]
        lines.append("COMMIT")
    return ("\n".join(lines) + "\n").encode()


def _tables(ruleset: str) -> Iterator[Item]:
    """Read nft's ruleset by table; of those that iptables keeps, only whether they are empty is told."""
    name, lines = "", list[str]()
    for line in ruleset.splitlines():
        text = line.split(" {")[0].strip() if line.startswith("table ") else ""
        if text and _TABLE.match(text):
            name, lines = text.removeprefix("table "), []
        elif line == "}" and name:
            yield _table(name, lines)
            name = ""
        elif name:
            lines.append(line.strip())


def _table(name: str, lines: Sequence[str]) -> Item:
    if not _COMPAT.match(name):
        return Item(Kind.NFT_TABLE, name, {"rules": [line for line in lines if line]})
    return Item(Kind.NFT_TABLE, name, {"iptables": True, "empty": _is_shell(lines)})


def _is_shell(lines: Sequence[str]) -> bool:
    """Whether a table of iptables has nothing but built-in chains that let everything through."""
    built_in = [line for line in lines if line.startswith("type ")]
    chains = [line for line in lines if line.startswith("chain ")]
    others = [line for line in lines if line not in ("", "}") and line not in built_in and line not in chains]
    return not others and len(chains) == len(built_in) and all("policy accept" in line for line in built_in)


def _sets(saved: str) -> Iterator[Item]:
    for line in saved.splitlines():
        words = line.split()
        if words[:1] == ["create"]:
            yield Item(Kind.IPSET, words[1], {"type": words[2]})
