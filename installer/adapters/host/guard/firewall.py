"""The firewall: tables of nftables, and those of iptables by its own programs (both kinds, both families)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from installer.adapters.host.guard.links import Deed

_SAVES = (
    ("iptables-legacy-save", "ip6tables-legacy-save", "iptables-nft-save", "ip6tables-nft-save"),
    ("iptables-save", "ip6tables-save"),
)
_COUNTERS = re.compile(r"\[\d+:\d+\]")
_EXPIRES = re.compile(r" expires [0-9dhms]+")
_EMPTY_CHAIN = re.compile(r":\S+ ACCEPT \[0:0\]")
_SECONDS = 60

Tables = dict[str, dict[str, str]]
"""Text of a table by its name, by the program that tells it."""


def read() -> Tables:
    """Return all tables; programs that are not there have none."""
    saves = next((names for names in _SAVES if any(map(shutil.which, names))), ())
    found = {name: _saved(name) for name in saves if shutil.which(name)}
    if shutil.which("nft"):
        found["nft"] = _nft(_kept_by_iptables(found))
    return found


def put_back(before: Tables) -> Iterator[Deed]:
    """Bring tables to their text; one whose text is the same is not touched."""
    now = read()
    for program, tables in before.items():
        if program not in now:
            yield f"firewall of {program}", f"{program} is gone"
            continue
        there = now[program]
        for name, wanted in tables.items():
            if there.get(name) != wanted:
                yield f"firewall: table {name} ({program})", _load(program, name, wanted)
        for name in there.keys() - tables.keys():
            yield f"firewall: table {name} ({program}) removed", _drop(program, name, there[name])


def _saved(program: str) -> dict[str, str]:
    """Return the tables of iptables; one that is empty and lets everything through counts as none."""
    tables: dict[str, str] = {}
    name, lines = "", list[str]()
    for line in _run([program]).out.splitlines():
        if line.startswith("*"):
            name, lines = line[1:].strip(), []
        elif line == "COMMIT" and not all(map(_EMPTY_CHAIN.fullmatch, lines)):
            tables[name] = "\n".join(lines)
        elif line and not line.startswith("#"):
            lines.append(_COUNTERS.sub("[0:0]", line))
    return tables


def _kept_by_iptables(found: Tables) -> set[str]:
    """Return the names of nftables' tables that belong to iptables, whose extensions nft cannot write."""
    families = {"ip": ("iptables-nft-save", "iptables-save"), "ip6": ("ip6tables-nft-save", "ip6tables-save")}
    return {
        f"{family} {table}"
        for family, programs in families.items()
        for program in programs
        if program in found
        for table in _names(program)
    }


def _names(program: str) -> list[str]:
    """Return the tables that a program of iptables knows, also empty ones."""
    return [line[1:].strip() for line in _run([program]).out.splitlines() if line.startswith("*")]


def _nft(without: set[str]) -> dict[str, str]:
    tables = {}
    for line in _run(["nft", "list", "tables"]).out.splitlines():
        kind, _, name = line.partition(" ")
        if kind == "table" and name not in without:
            listed = _run(["nft", "--stateless", "list", "table", *name.split()])
            tables[name] = _EXPIRES.sub("", listed.out)
    return tables


def _load(program: str, name: str, wanted: str) -> str:
    if program == "nft":
        return _run(["nft", "-f", "-"], f"table {name} {{}}\ndelete table {name}\n{wanted}\n").problem
    return _run([program.replace("-save", "-restore"), "-w", "5"], f"*{name}\n{wanted}\nCOMMIT\n").problem


def _drop(program: str, name: str, there: str) -> str:
    if program == "nft":
        return _run(["nft", "delete", "table", *name.split()]).problem
    kept = [_policy(line) for line in there.splitlines() if line.startswith(":") and " - " not in line]
    return _load(program, name, "\n".join(kept))


def _policy(chain: str) -> str:
    return f"{chain.split()[0]} ACCEPT [0:0]"


class _Ran:
    """A command that ended."""

    def __init__(self, out: str, problem: str):
        self.out = out
        self.problem = problem


def _run(argv: Sequence[str], text: str = "") -> _Ran:
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _Ran("", str(error))
    return _Ran(done.stdout, "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}")
