"""The way from the versions that run to those wanted: one minor at a time for each part, in the best tested order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from installer.domain.errors import RefusedError
from installer.domain.k3s_release import parse_version
from installer.domain.releases import KubernetesCheck, Releases, Support, check_kubernetes

_COST = {Support.TESTED: 0, Support.UNTESTED: 1, Support.UNSUPPORTED: 1000}
_NUMBERS = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


class Part(StrEnum):
    """What is upgraded."""

    K3S = "k3s"
    CILIUM = "cilium"


TITLES = {Part.K3S: "k3s", Part.CILIUM: "Cilium"}


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of both parts.

    Attributes:
        k3s: such as ``v1.36.4+k3s1``.
        cilium: such as ``1.20.0``.
    """

    k3s: str
    cilium: str

    def after(self, hop: Hop) -> Versions:
        """Return the versions after a hop."""
        return Versions(hop.target, self.cilium) if hop.part is Part.K3S else Versions(self.k3s, hop.target)

    def of(self, part: Part) -> str:
        """Return the version of a part."""
        return self.k3s if part is Part.K3S else self.cilium

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"k3s": self.k3s, "cilium": self.cilium}


@dataclass(frozen=True, slots=True)
class Hop:
    """One change of one part's version.

    Attributes:
        part: what is changed.
        source: version before.
        target: version after.
        support: how well the versions that run after it are known to work together.
        note: why they are not tested together, empty where they are.
    """

    part: Part
    source: str
    target: str
    support: Support = Support.TESTED
    note: str = ""

    @property
    def id(self) -> str:
        """A short stable name, such as ``cilium-1.20.0`` or ``k3s-1.36.4``."""
        return f"{self.part}-{self.target.removeprefix('v').partition('+')[0]}"

    @property
    def title(self) -> str:
        """What it does, for people."""
        return f"Upgrade {TITLES[self.part]} {self.source} to {self.target}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        found = {"part": str(self.part), "from": self.source, "to": self.target, "support": str(self.support)}
        return {**found, **({"note": self.note} if self.note else {})}


def minor_of(version: str) -> str:
    """Return the minor of a version of either part: ``1.36`` for ``v1.36.4+k3s1``."""
    return ".".join(map(str, _minor(version)))


def is_older(first: str, second: str) -> bool:
    """Return whether the first version of Cilium comes before the second."""
    return _key(first) < _key(second)


def minors_between(source: str, target: str) -> list[str]:
    """Return the minors after ``source`` and before ``target``, oldest first."""
    (major, first), (_, last) = _minor(source), _minor(target)
    return [f"{major}.{number}" for number in range(first + 1, last)]


def k3s_chain(source: str, target: str, newest: Mapping[str, str]) -> list[str]:
    """Return the versions of k3s to go through, the target last; empty where it runs already.

    Args:
        source: version that runs.
        target: version wanted.
        newest: newest version by minor, for the minors between.

    Raises:
        RefusedError: ``E-UPGRADE-001`` older than what runs, ``E-UPGRADE-002`` a minor between has no known version.
    """
    if parse_version(source) == parse_version(target):
        return []
    if parse_version(target) < parse_version(source):
        raise _downgrade(Part.K3S, source, target)
    _same_major(Part.K3S, source, target)
    missing = [minor for minor in minors_between(source, target) if minor not in newest]
    if missing:
        raise skipped(Part.K3S, source, target, missing)
    return [*(newest[minor] for minor in minors_between(source, target)), target]


def cilium_chain(source: str, target: str, releases: Releases, *, only: bool = False) -> list[str]:
    """Return the versions of Cilium to go through, the target last; empty where it runs already.

    Before the minor changes, upstream wants the newest patch of the one that runs.

    Args:
        source: version that runs.
        target: version wanted.
        releases: the support table.
        only: nothing but the target can be had (a bundle): no patch before it.

    Raises:
        RefusedError: ``E-UPGRADE-001`` older than what runs, ``E-UPGRADE-002`` a minor between is not in the table, or
            only the target can be had.
    """
    if _key(source) == _key(target):
        return []
    if _key(target) < _key(source):
        raise _downgrade(Part.CILIUM, source, target)
    _same_major(Part.CILIUM, source, target)
    between = minors_between(source, target)
    missing = between if only else [minor for minor in between if minor not in releases.minors]
    if missing:
        raise skipped(Part.CILIUM, source, target, missing)
    chain = [releases.minors[minor].default for minor in between]
    own = releases.minors.get(minor_of(source))
    if own and not only and minor_of(source) != minor_of(target) and _key(own.default) > _key(source):
        chain.insert(0, own.default)
    return [*chain, target]


def find_path(
    now: Versions, k3s: Sequence[str], cilium: Sequence[str], releases: Releases, *, allow_unsupported: bool = False
) -> list[Hop]:
    """Return both chains as one, in the order that passes through the fewest combinations nobody tested.

    Where it makes no difference Cilium goes first: a newer Cilium knows older Kubernetes, not the other way round.

    Raises:
        RefusedError: ``E-UPGRADE-003`` a combination on the way is one that Cilium's chart refuses.
    """
    left = _costs([now.k3s, *k3s], [now.cilium, *cilium], releases)
    hops: list[Hop] = []
    here, i, j = now, 0, 0
    while i < len(k3s) or j < len(cilium):
        by_cilium = left[i][j + 1] if j < len(cilium) else None
        by_k3s = left[i + 1][j] if i < len(k3s) else None
        if by_k3s is None or (by_cilium is not None and by_cilium <= by_k3s):
            hop, j = _hop(Part.CILIUM, here, cilium[j], releases), j + 1
        else:
            hop, i = _hop(Part.K3S, here, k3s[i], releases), i + 1
        here = here.after(hop)
        hops.append(hop)
    refused = next((hop for hop in hops if hop.support is Support.UNSUPPORTED), None)
    if refused is not None and not allow_unsupported:
        raise RefusedError(
            f"there is no supported way: {refused.note}",
            why=" -> ".join(describe(hop) for hop in hops),
            fix="Choose other versions, or --allow-unsupported.",
            code="E-UPGRADE-003",
        )
    return hops


def describe(hop: Hop) -> str:
    """Return a hop in a few words."""
    return f"{TITLES[hop.part]} {hop.target}"


def newest_supported(releases: Releases, channels: Mapping[str, str], now: Versions) -> Versions:
    """Return the newest versions that go together; what is not known stays as it runs.

    Args:
        releases: the support table.
        channels: version of k3s by channel: ``stable``, and minors such as ``v1.35``.
        now: what runs.
    """
    cilium = max(releases.minors[releases.default].default, now.cilium, key=_key)
    tested = _release(releases, cilium).data.kubernetes.tested
    stable = channels.get("stable", "")
    usable = stable and (_minor(stable) <= _minor(tested[-1]))
    k3s = stable if usable else channels.get(f"v{tested[-1]}", "")
    newer = k3s and parse_version(now.k3s) < parse_version(k3s)
    return Versions(k3s if newer else now.k3s, cilium)


def combination(releases: Releases, k3s: str, cilium: str) -> KubernetesCheck:
    """Judge versions of both parts together."""
    return check_kubernetes(_release(releases, cilium), k3s)


def skipped(part: Part, source: str, target: str, missing: Sequence[str]) -> RefusedError:
    """Return the refusal of a way that leaves out a minor."""
    name = TITLES[part]
    steps = " -> ".join([minor_of(source), *minors_between(source, target), minor_of(target)])
    return RefusedError(
        f"{name} {source} cannot go to {target} in one step",
        why=f"{name} is upgraded one minor at a time: {steps}. No release is at hand for {', '.join(missing)}.",
        fix=f"First upgrade to {name} {missing[0]}, with a bundle of it or over the network.",
        code="E-UPGRADE-002",
        details={"missing": list(missing)},
    )


def _costs(k3s: Sequence[str], cilium: Sequence[str], releases: Releases) -> list[list[int]]:
    """Return what the way from each combination to the last one costs, the combination itself included."""
    rows, columns = len(k3s), len(cilium)
    left = [[0] * columns for _ in range(rows)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            ahead = [left[i + 1][j]] if i + 1 < rows else []
            ahead += [left[i][j + 1]] if j + 1 < columns else []
            left[i][j] = _COST[combination(releases, k3s[i], cilium[j]).support] + min(ahead, default=0)
    return left


def _hop(part: Part, here: Versions, target: str, releases: Releases) -> Hop:
    then = here.after(Hop(part, here.of(part), target))
    verdict = combination(releases, then.k3s, then.cilium)
    return Hop(part, here.of(part), target, verdict.support, verdict.what)


def _release(releases: Releases, version: str) -> Any:
    return releases.resolve(version) if minor_of(version) in releases.minors else releases.beyond_table(version)


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.removeprefix("v").split(".")[:2]
    return int(major), int(minor)


def _key(version: str) -> tuple[int, int, int, bool, str]:
    match = _NUMBERS.match(version)
    assert match is not None, version
    rest = version[match.end() :].partition("+")[0]
    return (int(match[1]), int(match[2]), int(match[3]), not rest, rest)


def _same_major(part: Part, source: str, target: str) -> None:
    if _minor(source)[0] != _minor(target)[0]:
        raise skipped(part, source, target, [f"{_minor(target)[0]}.0"])


def _downgrade(part: Part, source: str, target: str) -> RefusedError:
    what = "Kubernetes' datastore" if part is Part.K3S else "Cilium's state in the kernel and its resources"
    return RefusedError(
        f"{TITLES[part]} {source} runs here, {target} is older",
        why=f"Going back is not supported: {what} may already be of the newer form.",
        fix=f"Ask for {source} or newer; an upgrade that failed is taken back by itself.",
        code="E-UPGRADE-001",
    )
