"""What filters packets on this host: firewalld, ufw, nftables, both kinds of iptables."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from installer.adapters.host import procfs
from installer.domain.errors import BeeyardError
from installer.domain.preflight.surroundings import Drop, Firewall, Firewalld, Ufw
from installer.ports.host import CommandResult, Processes

_TABLES: Final = {
    "iptables-save": "",
    "ip6tables-save": "",
    "iptables-legacy-save": "ip_tables_names",
    "ip6tables-legacy-save": "ip6_tables_names",
}
"""Program that prints a family's rules, and the file below /proc/net that tells whether there can be any."""
_HOOKS: Final = {"INPUT": "input", "FORWARD": "forward"}
_KUBE: Final = re.compile(r"^:(KUBE-(?:SVC|SEP|SERVICES|FW|EXT|NODEPORTS)\S*) ", re.MULTILINE)
_OWNED: Final = re.compile(r"ufw6?-|cilium", re.IGNORECASE)
_MANY: Final = 60
"""Rules of a chain that are looked at; a chain of our own making is short."""


async def gather(processes: Processes, unknown: dict[str, str]) -> Firewall:
    """Look at all that filters packets; what cannot be read is noted as unknown."""
    saved, native, firewalld, ufw = await asyncio.gather(
        _saved(processes, unknown),
        _native(processes, unknown),
        _firewalld(processes, unknown),
        _ufw(processes, unknown),
    )
    text = "\n".join(saved.values())
    drops = [*native, *(drop for name, rules in saved.items() for drop in _drops(name, rules))]
    return Firewall(
        drops=tuple(dict.fromkeys(_without_doubles(drops, ufw, firewalld))),
        firewalld=firewalld,
        ufw=ufw,
        docker=":DOCKER-USER " in text or ":DOCKER-FORWARD " in text,
        kube_chains=len(set(_KUBE.findall(text))),
    )


def _without_doubles(drops: list[Drop], ufw: Ufw | None, firewalld: Firewalld | None) -> Iterator[Drop]:
    """Leave out what firewalld or ufw decides, of which they are asked themselves."""
    for drop in drops:
        by_ufw = ufw is not None and re.match(r"ip6? filter ", drop.chain)
        if not by_ufw and not (firewalld is not None and "firewalld" in drop.chain):
            yield drop


async def _saved(processes: Processes, unknown: dict[str, str]) -> dict[str, str]:
    """Return the rules that each kind of iptables prints to root."""
    found: dict[str, str] = {}
    for program, names in _TABLES.items() if os.geteuid() == 0 else ():
        if names and not procfs.text(procfs.PROC / "net" / names).strip():
            continue
        done = await _run(processes, [program], unknown)
        if done is not None and done.rc == 0:
            found[program] = done.out
        elif done is not None:
            unknown["iptables"] = f"{program}: {done.err.strip() or f'exit status {done.rc}'}"
    return found


def _drops(program: str, rules: str) -> Iterator[Drop]:
    family = "ip6" if program.startswith("ip6") else "ip"
    table = ""
    for line in rules.splitlines():
        table = line[1:] if line.startswith("*") else table
        found = re.match(r":(INPUT|FORWARD) DROP ", line)
        if found and table == "filter":
            chain = found[1]
            own = [one for one in rules.splitlines() if one.startswith(f"-A {chain} ")]
            yield Drop(f"{family} filter {chain}", _HOOKS[chain], tuple(own[:_MANY]))


async def _native(processes: Processes, unknown: dict[str, str]) -> list[Drop]:
    """Return nftables' own base chains that drop, for root; those that iptables keeps there are left to it."""
    done = await _run(processes, ["nft", "-j", "list", "chains"], unknown) if os.geteuid() == 0 else None
    if done is None:
        return []
    try:
        if done.rc != 0:
            raise ValueError(done.err.strip() or f"exit status {done.rc}")
        rows = [row["chain"] for row in json.loads(done.out).get("nftables", []) if "chain" in row]
    except (ValueError, AttributeError, TypeError) as error:
        unknown["nftables"] = f"nft list chains: {error}"
        return []
    iptables = shutil.which("iptables-save") is not None
    return [await _native_drop(processes, row, unknown) for row in rows if _is_native_drop(row, iptables=iptables)]


def _is_native_drop(row: dict[str, Any], *, iptables: bool) -> bool:
    by_iptables = iptables and row.get("table") == "filter" and row.get("name") in _HOOKS
    right = row.get("hook") in _HOOKS.values() and row.get("policy") == "drop"
    return right and row.get("family") in ("ip", "ip6", "inet") and not by_iptables


async def _native_drop(processes: Processes, row: dict[str, Any], unknown: dict[str, str]) -> Drop:
    place = [str(row["family"]), str(row["table"]), str(row["name"])]
    done = await _run(processes, ["nft", "list", "chain", *place], unknown)
    lines = [line.strip() for line in (done.out if done else "").splitlines()]
    rules = [line for line in lines if line and not line.startswith(("table ", "chain ", "type ", "}"))]
    return Drop(" ".join(place), str(row["hook"]), tuple(rules[:_MANY]))


async def _firewalld(processes: Processes, unknown: dict[str, str]) -> Firewalld | None:
    state = await _run(processes, ["firewall-cmd", "--state"], unknown)
    if state is None or state.rc != 0 or "running" not in state.out.split():
        return None
    zone = await _words(processes, ["firewall-cmd", "--get-default-zone"], unknown)
    name = zone[0] if zone else "public"
    return Firewalld(
        name,
        await _words(processes, ["firewall-cmd", "--zone=trusted", "--list-sources"], unknown),
        await _words(processes, ["firewall-cmd", f"--zone={name}", "--list-ports"], unknown),
    )


async def _words(processes: Processes, argv: list[str], unknown: dict[str, str]) -> tuple[str, ...]:
    done = await _run(processes, argv, unknown)
    return tuple(done.out.split()) if done is not None and done.rc == 0 else ()


async def _ufw(processes: Processes, unknown: dict[str, str]) -> Ufw | None:
    """Ask ufw; without root its configuration tells at least whether it is switched on."""
    done = await _run(processes, ["ufw", "status", "verbose"], unknown)
    if done is None:
        return None
    if done.rc != 0:
        enabled = re.search(r"^ENABLED=yes", procfs.text(Path("/etc/ufw/ufw.conf")), re.MULTILINE | re.IGNORECASE)
        return Ufw(seen=False) if enabled else None
    if not re.search(r"^Status: active", done.out, re.MULTILINE):
        return None
    policies = re.search(r"^Default: (\w+) \(incoming\), \w+ \(outgoing\), (\w+) \(routed\)", done.out, re.MULTILINE)
    added = await _run(processes, ["ufw", "show", "added"], unknown)
    rules = re.findall(r"^ufw (.+)$", added.out if added else "", re.MULTILINE)
    return Ufw(tuple(rules), policies[1] if policies else "", policies[2] if policies else "")


async def _run(processes: Processes, argv: list[str], unknown: dict[str, str]) -> CommandResult | None:
    """Run a program if it is there; None where it is not, or where it never ends, which is noted as unknown."""
    if shutil.which(argv[0]) is None:
        return None
    try:
        return await processes.run(argv, env={"LC_ALL": "C"}, timeout=20.0, check=False)
    except BeeyardError as error:
        unknown[argv[0]] = f"{error.what}: {error.why}"
        return None
