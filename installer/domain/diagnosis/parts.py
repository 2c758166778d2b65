"""What a cluster is made of, and which part needs which: a fault of one explains those of the parts above it."""

from __future__ import annotations

from enum import StrEnum
from functools import cache


class Part(StrEnum):
    """The first thing that a fault breaks."""

    HOST = "host"
    """Nothing yet: something on the host that is not as it should be."""

    K3S = "k3s"
    RELEASE = "release"
    IMAGES = "images"
    OPERATOR = "operator"
    AGENT = "agent"
    PODS = "pods"
    DNS = "dns"
    RELAY = "relay"
    BALANCER = "load balancer"
    GATEWAY = "gateway"
    OTHER = "other"


_NEEDS: dict[Part, tuple[Part, ...]] = {
    Part.RELEASE: (Part.K3S,),
    Part.IMAGES: (Part.K3S,),
    Part.OPERATOR: (Part.RELEASE, Part.IMAGES),
    Part.AGENT: (Part.RELEASE, Part.IMAGES),
    Part.PODS: (Part.AGENT, Part.OPERATOR),
    Part.DNS: (Part.PODS,),
    Part.RELAY: (Part.DNS,),
    Part.BALANCER: (Part.PODS,),
    Part.GATEWAY: (Part.AGENT, Part.OPERATOR),
    Part.OTHER: (Part.DNS,),
}


@cache
def needs(part: Part) -> frozenset[Part]:
    """Return every part that a part needs, directly or not."""
    direct = _NEEDS.get(part, ())
    return frozenset(direct).union(*(needs(one) for one in direct))


def depth(part: Part) -> int:
    """Return how many parts a part rests on; of two faults, the smaller number comes first."""
    return len(needs(part)) if part is not Part.HOST else len(Part)


_NAMES = (
    ("node/", Part.K3S),
    ("nodes", Part.K3S),
    ("cilium-operator", Part.OPERATOR),
    ("cilium-envoy", Part.AGENT),
    ("cilium", Part.AGENT),
    ("hubble", Part.RELAY),
    ("coredns", Part.DNS),
    ("kube-dns", Part.DNS),
    ("svclb-", Part.BALANCER),
    ("gateway", Part.GATEWAY),
)


def part_of(subject: str) -> Part:
    """Return the part that an object belongs to, told by its name.

    Args:
        subject: such as ``kube-system/cilium-x7k2p (init config)``, ``node/one`` or ``cilium-x7k2p on one``.
    """
    name = subject if subject.startswith("node/") else subject.partition(" ")[0].rpartition("/")[2]
    return next((part for prefix, part in _NAMES if name.startswith(prefix)), Part.OTHER)
