"""Random clusters, policies and traffic for properties."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from installer.domain.policy.model import HTTPRequest, Peer, Traffic, address, entity, pod
from tests.policy.clusters import NAMESPACE, Raw

APPS, TIERS, SPACES, PORTS = ("web", "api", "db"), ("a", "b"), ("shop", "ops"), (53, 80, 443)
PODS = [pod(space, {"app": app, "tier": tier}) for space in SPACES for app in APPS for tier in TIERS]
OUTSIDE = [address("203.0.113.7", frozenset({"api.example.org"})), address("10.1.2.3", frozenset())]
ENTITIES = [entity(name) for name in ("host", "remote-node", "kube-apiserver", "health", "ingress")]
PEERS: list[Peer] = [*PODS, *OUTSIDE, *ENTITIES]

labels = st.fixed_dictionaries({}, optional={"app": st.sampled_from(APPS), "tier": st.sampled_from(TIERS)})
expressions = st.lists(
    st.one_of(
        st.builds(
            lambda key, operator, values: {"key": key, "operator": operator, "values": values},
            st.just("app"),
            st.sampled_from(("In", "NotIn")),
            st.lists(st.sampled_from(APPS), min_size=1, max_size=2, unique=True),
        ),
        st.builds(
            lambda key, operator: {"key": key, "operator": operator},
            st.sampled_from(("app", "tier", "none")),
            st.sampled_from(("Exists", "DoesNotExist")),
        ),
    ),
    max_size=1,
)


def _selector(found: dict[str, str], more: list[Raw], space: str | None) -> Raw:
    own = {**found, **({NAMESPACE: space} if space else {})}
    return {**({"matchLabels": own} if own else {}), **({"matchExpressions": more} if more else {})}


selectors = st.builds(_selector, labels, expressions, st.none())
peer_selectors = st.builds(_selector, labels, expressions, st.one_of(st.none(), st.sampled_from(SPACES)))
port_rules = st.lists(
    st.builds(
        lambda number, protocol: {"ports": [{"port": str(number), "protocol": protocol}]},
        st.sampled_from((0, *PORTS)),
        st.sampled_from(("TCP", "UDP", "ANY")),
    ),
    min_size=1,
    max_size=2,
)


def _peers(word: str) -> st.SearchStrategy[Raw]:
    return st.one_of(
        st.just({}),
        st.builds(lambda some: {f"{word}Endpoints": some}, st.lists(peer_selectors, min_size=1, max_size=2)),
        st.builds(
            lambda some: {f"{word}Entities": some},
            st.lists(st.sampled_from(("all", "world", "cluster", "host", "remote-node")), min_size=1, max_size=2),
        ),
        st.builds(
            lambda some: {f"{word}CIDR": some},
            st.lists(st.sampled_from(("10.0.0.0/8", "0.0.0.0/0", "203.0.113.0/24")), min_size=1, max_size=1),
        ),
    )


def rules(word: str, *, l7: bool = False) -> st.SearchStrategy[Raw]:
    """Return rules of one direction."""

    def made(peers: Raw, ports: list[Raw] | None, http: bool) -> Raw:
        if http and l7 and ports:
            rule = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
            return {**peers, "toPorts": [rule]}
        return {**peers, **({"toPorts": ports} if ports else {})}

    return st.builds(made, _peers(word), st.one_of(st.none(), port_rules), st.booleans())


def _policy(number: int, space: str | None, selector: Raw, sections: Raw, switches: Raw) -> Raw:
    spec: Any = {"endpointSelector": selector, **sections}
    if switches:
        spec["enableDefaultDeny"] = switches
    kind = "CiliumNetworkPolicy" if space else "CiliumClusterwideNetworkPolicy"
    metadata = {"name": f"p{number}", **({"namespace": space} if space else {})}
    return {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": spec}


def policies(*sections: str, isolating: bool | None = None, l7: bool = True) -> st.SearchStrategy[Raw]:
    """Return policies with rules in some of these sections."""
    words = {name: "from" if name.startswith("ingress") else "to" for name in sections}
    lists = {
        name: st.lists(rules(word, l7=l7 and not name.endswith("Deny")), min_size=1, max_size=2)
        for name, word in words.items()
    }
    chosen = st.one_of(*(st.fixed_dictionaries({name: lists[name]}) for name in sections), st.fixed_dictionaries(lists))
    off = st.just({"ingress": False, "egress": False})
    switches: st.SearchStrategy[Raw] = {None: st.one_of(st.just({}), off), True: st.just({}), False: off}[isolating]
    spaces = st.one_of(st.none(), st.sampled_from(SPACES))
    return st.builds(_policy, st.integers(0, 999), spaces, selectors, chosen, switches)


ALL = ("ingress", "ingressDeny", "egress", "egressDeny")
any_policies = st.lists(policies(*ALL), max_size=4, unique_by=lambda one: one["metadata"]["name"])
requests = st.one_of(st.none(), st.builds(HTTPRequest, st.sampled_from(("GET", "POST"))))
traffic = st.builds(
    lambda source, dest, port, protocol, request: Traffic(
        source, dest, port, protocol, request if port == 80 else None
    ),
    st.sampled_from(PEERS),
    st.sampled_from(PEERS),
    st.sampled_from(PORTS),
    st.sampled_from(("TCP", "UDP")),
    requests,
)
