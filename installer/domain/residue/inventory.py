"""What there is on a host, thing by thing, so that the time before an install can be compared with the time after."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from installer.domain.errors import BeeyardError

FORMAT = 1


class Kind(StrEnum):
    """Kinds of things, in the order in which they are taken away."""

    PROCESS = "process"
    BPF = "bpf program"
    QDISC = "qdisc"
    RULE = "rule"
    ROUTE = "route"
    LINK = "link"
    ADDRESS = "address"
    IPTABLES_RULE = "iptables rule"
    IPTABLES_CHAIN = "iptables chain"
    NFT_TABLE = "nft table"
    IPSET = "ipset"
    NETNS = "network namespace"
    MOUNT = "mount"
    PIN = "bpf pin"
    CGROUP = "cgroup"
    FILE = "file"
    KUBECONFIG = "kubeconfig"
    SYSCTL = "sysctl"
    MODULE = "kernel module"
    PORT = "port"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing.

    Attributes:
        kind: what it is.
        name: what tells it from others of its kind.
        facts: what is compared.
        handle: what is needed to take it away and differs from boot to boot (numbers); neither compared nor kept.
    """

    kind: Kind
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    handle: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Kind, str]:
        """What tells it from all others."""
        return self.kind, self.name


class Inventory:
    """Things by kind and name.

    Args:
        items: the things; of several with one name, the later ones are numbered.
        at: UNIX time in seconds.
        complete: no kind was left out for want of a tool; ``missing`` names the reasons otherwise.
    """

    def __init__(self, items: Iterable[Item] = (), *, at: float = 0.0, missing: Iterable[str] = ()) -> None:
        self._items: dict[tuple[Kind, str], Item] = {}
        self.at = at
        self.missing = tuple(missing)
        for item in items:
            name, number = item.name, 2
            while (item.kind, name) in self._items:
                name, number = f"{item.name} #{number}", number + 1
            self._items[item.kind, name] = Item(item.kind, name, item.facts, item.handle)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def get(self, kind: Kind, name: str) -> Item | None:
        """Return a thing, None where there is none of that name."""
        return self._items.get((kind, name))

    def of(self, *kinds: Kind) -> list[Item]:
        """Return the things of some kinds."""
        return [item for item in self if item.kind in kinds]

    def dump(self) -> bytes:
        """Return the file's content."""
        items = [{"kind": item.kind, "name": item.name, "facts": item.facts} for item in self]
        document = {"format": FORMAT, "at": self.at, "missing": list(self.missing), "items": items}
        return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def load(data: bytes, name: str) -> Inventory:
    """Read an inventory.

    Raises:
        BeeyardError: ``E-RESIDUE-001`` it cannot be understood.
    """
    try:
        raw = json.loads(data)
        if raw["format"] != FORMAT:
            raise ValueError(f"format {raw['format']}, this program knows {FORMAT}")
        items = [Item(Kind(one["kind"]), one["name"], one["facts"]) for one in raw["items"]]
        return Inventory(items, at=float(raw["at"]), missing=raw["missing"])
    except (ValueError, KeyError, TypeError) as error:
        raise BeeyardError(
            f"the inventory {name} cannot be read",
            why=str(error),
            fix=f"Move {name} away: what is ours is then told by rules alone.",
            code="E-RESIDUE-001",
        ) from error
