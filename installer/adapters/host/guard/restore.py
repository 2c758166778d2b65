"""The network as a whole: taken, and put back where it is different."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from installer.adapters.host.guard import entries, firewall, links, sysctls
from installer.adapters.host.guard import rtnetlink as rt
from installer.adapters.host.guard.links import Deed

_PASSES = 4
"""How often it is looked whether all is back: one change can undo another (a link that comes up brings routes)."""


def take() -> dict[str, Any]:
    """Return the network of this namespace as JSON-like data.

    Raises:
        OSError: the kernel does not tell.
    """
    with rt.Netlink() as netlink:
        names = entries.Names(netlink)
        return {
            "links": {name: asdict(link) for name, link in links.read(netlink).items()},
            "pins": links.pins(),
            **{kind.name: [entry.to_list() for entry in kind.all(netlink, names)] for kind in entries.ALL},
            "sysctls": sysctls.read(),
            "firewall": firewall.read(),
        }


def put_back(snapshot: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Put back what is different; what is the same is not touched.

    Returns:
        What was done, and what could not be done with the reason: one line each.
    """
    done: dict[str, None] = {}
    failed: dict[str, str] = {}
    for _ in range(_PASSES):
        failed, worked = {}, False
        for what, problem in _one_pass(snapshot):
            if problem:
                failed[what] = problem
            else:
                done[what] = None
                worked = True
        if not worked:
            break
    return list(done), [f"{what}: {problem}" for what, problem in failed.items()]


def _one_pass(snapshot: dict[str, Any]) -> Iterator[Deed]:
    before = links.load(snapshot["links"])
    with rt.Netlink() as netlink:
        yield from links.put_back(netlink, before, snapshot["pins"])
        yield from sysctls.put_back(snapshot["sysctls"])
        for kind in entries.ALL:
            wanted = [entries.Entry.of_list(entry) for entry in snapshot[kind.name]]
            yield from kind.put_back(netlink, wanted, frozenset(before))
    yield from firewall.put_back(snapshot["firewall"])
