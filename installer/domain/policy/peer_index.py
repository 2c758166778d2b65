"""Which of many peer rules an identity meets: worked out once per identity, kept as bits."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from installer.domain.policy.entry import CIDR, FQDNs, Labelled, Match, PeerRule, Subject, any_peer
from installer.domain.policy.labels import Selector
from installer.domain.policy.model import Peer


class PeerIndex:
    """Numbers peer rules; equal ones share a number.

    A rule whose matches all carry one certain label is looked at only for identities with that label, one of addresses
    and names only for what is outside the cluster.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._tests: list[Callable[[Peer], Match]] = []
        self._by_pivot: dict[tuple[str, str], list[int]] = {}
        self._outside: list[int] = []
        self._others: list[int] = []
        self._bits: dict[Hashable, tuple[int, int]] = {}

    def add_peers(self, peers: tuple[PeerRule, ...] | None, requires: tuple[Selector, ...] = ()) -> int:
        """Number the peers of an entry; those meant by label have to meet ``requires`` too (R33)."""
        if peers is None:
            return self._add(None, lambda _: True, None)
        wanted = tuple(
            Labelled(Selector((*peer.selector.requirements, *(one for more in requires for one in more.requirements))))
            if requires and isinstance(peer, Labelled)
            else peer
            for peer in peers
        )
        pivot = wanted[0].selector.pivot if len(wanted) == 1 and isinstance(wanted[0], Labelled) else None
        outside = all(_is_outside(peer) for peer in wanted)
        return self._add(wanted, lambda peer: any_peer(wanted, peer), pivot, outside=outside)

    def add_subject(self, subject: Subject) -> int:
        """Number a subject."""
        return self._add(subject, subject.matches, None if subject.node else subject.selector.pivot)

    def _add(
        self, what: Hashable, test: Callable[[Peer], Match], pivot: tuple[str, str] | None, *, outside: bool = False
    ) -> int:
        number = self._numbers.get(what)
        if number is None:
            number = self._numbers[what] = len(self._tests)
            self._tests.append(test)
            self._bits.clear()
            anyone = self._outside if outside else self._others
            (anyone if pivot is None else self._by_pivot.setdefault(pivot, [])).append(number)
        return number

    @staticmethod
    def key(peer: Peer) -> Hashable:
        """Return what tells identities apart here."""
        return (peer.labels, peer.ip, peer.names, peer.node_labels) if peer.ip or peer.node_labels else peer.labels

    def bits(self, peer: Peer) -> tuple[int, int]:
        """Return the numbers that a peer meets for sure, and those that are not known, as bits."""
        key = self.key(peer)
        found = self._bits.get(key)
        if found is None:
            found = self._bits[key] = self._look(peer)
        return found

    def _look(self, peer: Peer) -> tuple[int, int]:
        yes = maybe = 0
        numbers = list(self._others)
        if peer.set.is_world:
            numbers += self._outside
        for pair in set(peer.set.pairs()):
            numbers += self._by_pivot.get(pair, ())
        for number in numbers:
            hit = self._tests[number](peer)
            if hit:
                yes |= 1 << number
            elif hit is None:
                maybe |= 1 << number
        return yes, maybe


def _is_outside(rule: PeerRule) -> bool:
    """Whether a rule can only mean what is outside the cluster."""
    return isinstance(rule, FQDNs) or (isinstance(rule, CIDR) and not rule.nodes and not rule.pods)
