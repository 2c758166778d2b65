"""What is left, in words and as JSON: each thing with its fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.residue.inventory import Item, Kind
from installer.domain.residue.judge import Changed, Judgement, Owned

AGAIN = "sudo beeyard uninstall"
ANYWAY = "sudo beeyard uninstall --force"


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that stays on purpose.

    Attributes:
        what: the thing.
        why: the reason.
        fix: how it goes as well, empty where it is the user's own.
    """

    what: str
    why: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"what": self.what, "why": self.why, **({"fix": self.fix} if self.fix else {})}


def by_hand(item: Item) -> str:
    """Return the command that takes one thing away, for somebody who does it by hand."""
    facts, name = item.facts, item.name
    family = "-6 " if facts.get("family") == "6" else ""
    hand = {
        Kind.LINK: f"ip link delete {name}",
        Kind.ADDRESS: "ip address delete {1} dev {0}".format(*f"{name} ".split(" ")[:2]),
        Kind.RULE: f"ip {family}rule delete priority {facts.get('priority')}",
        Kind.ROUTE: f"ip {family}route delete {name.partition(' ')[2]}",
        Kind.IPTABLES_RULE: f"iptables -t {facts.get('table')} -D {name.partition(' ')[2].partition(' ')[2]}",
        Kind.IPTABLES_CHAIN: f"iptables -t {facts.get('table')} -F {facts.get('chain')}, then -X",
        Kind.NFT_TABLE: f"nft delete table {name}",
        Kind.IPSET: f"ipset destroy {name}",
        Kind.NETNS: f"ip netns delete {name}",
        Kind.MOUNT: f"umount {name}",
        Kind.PIN: f"rm -r {name}",
        Kind.CGROUP: f"rmdir {name}",
        Kind.QDISC: f"tc qdisc delete dev {name.partition(' ')[0]} {facts.get('kind')}",
        Kind.PROCESS: f"kill {item.handle.get('pid', '')}".strip(),
    }
    return hand.get(item.kind, "")


def _left(one: Owned, fix: str) -> dict[str, Any]:
    return {
        "kind": str(one.item.kind),
        "name": one.item.name,
        "whose": one.whose,
        "fix": fix,
        **({"byHand": hand} if (hand := by_hand(one.item)) else {}),
    }


def _changed(one: Changed) -> dict[str, Any]:
    return {"kind": str(one.item.kind), "name": one.item.name, "how": one.how}


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to "is it clean?".

    Attributes:
        judgement: the comparison.
        kept: what stays on purpose.
        unseen: what could not be looked at, with the reason.
        fix: the command that takes away what is left.
    """

    judgement: Judgement
    kept: tuple[Kept, ...] = ()
    unseen: tuple[str, ...] = ()
    fix: str = AGAIN

    @property
    def clean(self) -> bool:
        """Whether nothing is left."""
        return self.judgement.clean

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        judged = self.judgement
        return {
            "clean": self.clean,
            "compared": "inventory" if judged.compared else "rules",
            "left": [_left(one, self.fix) for one in judged.left],
            "notRestored": [{**_changed(one), "fix": self.fix} for one in judged.restore],
            "kept": [one.to_dict() for one in self.kept],
            "drift": [{**_changed(one), "passing": one.passing} for one in judged.drift],
            "unseen": list(self.unseen),
        }

    def text(self) -> str:
        """Return it for people."""
        judged = self.judgement
        lines: list[str] = []
        for one in judged.left:
            hand = by_hand(one.item)
            lines.append(f"  - {one.item.kind} {one.item.name}  ({one.whose})" + (f"  by hand: {hand}" if hand else ""))
        lines += [f"  ~ {one.item.kind} {one.item.name}: {one.how}" for one in judged.restore]
        if lines:
            lines = [f"Left of the cluster: {len(lines)} things", *lines, "", f"Fix: {self.fix}"]
        how = (
            "compared with the inventory from before the install" if judged.compared else "by rules; no inventory here"
        )
        lines += [f"kept: {one.what}: {one.why}" + (f" ({one.fix})" if one.fix else "") for one in self.kept]
        lines += [f"not looked at: {text}" for text in self.unseen]
        lines += _drift(judged.drift)
        lines.append(f"Clean: nothing of the cluster is left ({how})." if self.clean else f"Not clean ({how}).")
        return "\n".join(lines)


def _drift(changes: Sequence[Changed]) -> list[str]:
    lasting = [one for one in changes if not one.passing]
    if not lasting:
        return []
    shown = [f"  {one.item.kind} {one.item.name} {one.how}" for one in lasting[:10]]
    more = [f"  and {len(lasting) - 10} more: -o json lists them"] if len(lasting) > 10 else []
    return ["Changed by others since the install:", *shown, *more]
