"""Comparing a host with what it was: what of ours is left, what is to be put back, and what others have changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.ownership import owner
from installer.domain.residue.scope import Scope

_SETS = {
    "rp_filter": "0", "forwarding": "1", "ip_forward": "1", "accept_local": "1", "route_localnet": "1",
    "send_redirects": "0", "bridge-nf-call-iptables": "1", "bridge-nf-call-ip6tables": "1", "bpf_jit_enable": "1",
    "fib_multipath_use_neigh": "1", "timer_migration": "0", "overcommit_memory": "1", "panic_on_oom": "0",
    "panic": "10", "panic_on_oops": "1", "root_maxkeys": "1000000", "root_maxbytes": "25000000",
}  # fmt: skip
"""What the kubelet, k3s and Cilium set; another value is somebody else's, and stays."""
_FORWARDING = (".ip_forward", ".forwarding")
_FORWARDERS = ("bridge", "tun", "wireguard")
_PASSING = (Kind.PROCESS, Kind.PORT, Kind.MODULE)
"""Kinds that come and go by themselves, or stay loaded until the next boot without doing anything."""
BACK = ".cilium_bak"
"""What Cilium appends to the names of others' CNI configuration."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A thing of ours that is there.

    Attributes:
        item: the thing.
        whose: ``Cilium``, ``k3s`` or ``beeyard``.
    """

    item: Item
    whose: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A thing that is not as it was.

    Attributes:
        before: as it was before the install, None where it was not there.
        now: as it is, None where it is gone.
        passing: differences of this sort come by themselves (leases, counters, loaded modules).
    """

    before: Item | None
    now: Item | None
    passing: bool = False

    @property
    def item(self) -> Item:
        """The thing, as it was or is."""
        found = self.before or self.now
        assert found is not None
        return found

    @property
    def how(self) -> str:
        """The difference in words."""
        if self.before is None:
            return "was renamed by Cilium" if self.item.name.endswith(BACK) else "is new"
        if self.now is None:
            return "is gone"
        names = sorted({*self.before.facts, *self.now.facts})
        changes = [
            f"{name} was {_short(self.before.facts.get(name))}, is {_short(self.now.facts.get(name))}"
            for name in names
            if self.before.facts.get(name) != self.now.facts.get(name)
        ]
        return "; ".join(changes)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a comparison gives.

    Attributes:
        left: things of ours, in the order in which they are taken away.
        restore: things that beeyard, k3s or Cilium changed and that can be put back.
        drift: other differences: not ours, told only.
        compared: an inventory of the time before was there to compare with.
    """

    left: tuple[Owned, ...] = ()
    restore: tuple[Changed, ...] = ()
    drift: tuple[Changed, ...] = ()
    compared: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing of ours is left, and nothing is to be put back."""
        return not self.left and not self.restore

    def telling(self) -> Judgement:
        """Return it without empty folders, which tell of nobody where no inventory says that they are new."""
        if self.compared:
            return self
        left = tuple(one for one in self.left if not (one.item.kind is Kind.FILE and one.item.facts.get("empty")))
        return Judgement(left, self.restore, self.drift, self.compared)


@dataclass(slots=True)
class _Sorting:
    left: list[Owned] = field(default_factory=list)
    restore: list[Changed] = field(default_factory=list)
    drift: list[Changed] = field(default_factory=list)
    forwarded: bool = False


def judge(before: Inventory | None, now: Inventory, scope: Scope, kinds: Iterable[Kind] = tuple(Kind)) -> Judgement:
    """Sort everything that is or was there.

    Args:
        before: inventory of the time before the install, None where there is none.
        now: inventory of now; it must have looked at the kinds, and at links where sysctls are among them.
        scope: what is known of the cluster.
        kinds: kinds to judge.
    """
    sorting, wanted = _Sorting(forwarded=_others_forward(before, now, scope)), set(kinds)
    for item in now:
        if item.kind in wanted:
            _sort(item, before, now, scope, sorting)
    for old in before or ():
        if old.kind in wanted and old.key not in now:
            _gone(old, now, sorting)
    order = list(Kind)
    sorting.left.sort(key=lambda one: order.index(one.item.kind))
    return Judgement(tuple(sorting.left), tuple(sorting.restore), tuple(sorting.drift), before is not None)


def _sort(item: Item, before: Inventory | None, now: Inventory, scope: Scope, into: _Sorting) -> None:
    old = before.get(item.kind, item.name) if before is not None else None
    whose = owner(item, scope)
    if item.kind is Kind.KUBECONFIG and whose and (old is None or old.facts != item.facts):
        into.left.append(Owned(item, whose))
    elif old is None:
        _new(item, whose, before, now, into)
    elif old.facts != item.facts:
        change = Changed(old, item, passing=_passes(item) or _passes(old))
        needed = into.forwarded and item.kind is Kind.SYSCTL and item.name.endswith(_FORWARDING)
        into.restore.append(change) if _restorable(change, scope) and not needed else into.drift.append(change)


def _others_forward(before: Inventory | None, now: Inventory, scope: Scope) -> bool:
    """Whether somebody else has come since who needs this host to forward: virtual machines, containers, a VPN."""
    links = (item for item in now.of(Kind.LINK) if before is not None and item.key not in before)
    return any(item.facts.get("kind") in _FORWARDERS and not owner(item, scope) for item in links)


def _new(item: Item, whose: str, before: Inventory | None, now: Inventory, into: _Sorting) -> None:
    if not whose and _is_renamed(item, now):
        if before is None or (Kind.FILE, item.name.removesuffix(BACK)) not in before:  # else that tells of it
            into.restore.append(Changed(None, item))
    elif whose:
        into.left.append(Owned(item, whose))
    elif before is not None and _left_empty(item):
        into.left.append(Owned(item, "k3s" if item.kind is Kind.NFT_TABLE else "Cilium"))
    elif before is not None:
        into.drift.append(Changed(None, item, passing=_passes(item)))


def _is_renamed(item: Item, now: Inventory) -> bool:
    """Whether it is somebody's CNI configuration that Cilium put aside."""
    if item.kind is not Kind.FILE or not item.name.startswith("/etc/cni/net.d/") or not item.name.endswith(BACK):
        return False
    return (Kind.FILE, item.name.removesuffix(BACK)) not in now


def _left_empty(item: Item) -> bool:
    """Whether it is an empty shell for rules, filters or pins that are gone, and was not there before."""
    return item.kind in (Kind.NFT_TABLE, Kind.QDISC, Kind.MOUNT) and bool(item.facts.get("empty"))


def _gone(old: Item, now: Inventory, into: _Sorting) -> None:
    del now
    lost_local = old.kind is Kind.RULE and str(old.facts.get("priority")) == "0" and old.facts.get("table") == "255"
    lost_file = old.kind is Kind.FILE and (old.facts.get("kept") or old.name.startswith("/etc/cni/net.d/"))
    change = Changed(old, None, passing=_passes(old))
    into.restore.append(change) if lost_local or lost_file else into.drift.append(change)


def _restorable(change: Changed, scope: Scope) -> bool:
    """Whether a thing was changed by what we installed: a value that it sets, or a file that beeyard wrote."""
    item, before, now = change.item, change.before, change.now
    assert before is not None
    assert now is not None
    if item.kind is Kind.FILE:
        written = item.name in {*scope.wrote, *scope.arrived} or item.name.startswith("/etc/rancher/")
        written = written or item.name == f"/var/log/{scope.service}.log"
        return written and bool(before.facts.get("kept"))
    if item.kind is Kind.MOUNT:
        return bool(now.facts.get("shared")) and not before.facts.get("shared")
    if item.kind is Kind.QDISC:
        return now.facts.get("kind") == "fq"
    if item.kind is Kind.SYSCTL:
        wanted = _SETS.get(item.name.rpartition(".")[2])
        return wanted is None or now.facts.get("value") == wanted
    return False


def _passes(item: Item) -> bool:
    return item.kind in _PASSING or bool(item.facts.get("dynamic"))


def _short(value: Any) -> str:
    text = "nothing" if value is None or value == "" else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
