"""A tap that a test plays by hand: what a node of the shop tells, row by row, as the tap's process writes it."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import Any

from installer.domain.flows.feed import Connected, Flows
from installer.domain.flows.flow import Answer, Flow
from installer.domain.tap.convert import Converter
from installer.domain.tap.directory import Directory
from installer.domain.tap.samples import DnsMessage, Drop, Sample, TcpEvent
from installer.ports.cluster import NODES, Resource
from installer.services.kernel_watch import TapWish
from tests.support.flow_feeds import ScriptedFeeds
from tests.support.policies import PolicyKube, identity, policy

NOW = 1_790_000_000.0
NANOS = int(NOW) * 1_000_000_000
ADDRESSES = {"frontend": "10.42.0.11", "cart": "10.42.0.12", "api": "10.42.0.13", "dns": "10.42.0.53"}
HOSTILE = "evil[bold red]\x1b[31m\u202e"
"""A name that is markup, an escape sequence, and turns text round."""


def pod(name: str, address: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": f"{name}-0", "uid": f"uid-{name}", "labels": {"app": name}},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Running", "podIPs": [{"ip": address}]},
    }


def endpoint(name: str) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": f"{name}-0"}
    return {"metadata": metadata, "status": {"identity": {"labels": list(identity("shop", name))}}}


class NodeKube(PolicyKube):
    """The shop on one node; the api takes connections of the frontend only.

    Args:
        node: name of the node.
    """

    def __init__(self, node: str = os.uname().nodename) -> None:
        found = [(pod(name, address), endpoint(name)) for name, address in ADDRESSES.items()]
        super().__init__(policy("api", "api", "frontend"), pods=found)
        self.node = node

    async def list(self, resource: Resource, **options: Any) -> list[Any]:
        if resource == NODES:
            return [{"metadata": {"name": self.node}}]
        return await super().list(resource, **options)


def converter() -> Converter:
    """Return what makes flows of rows, with the names of the shop."""
    directory = Directory()
    directory.add_spaces({1: ("host", "", [])}, {})
    for name, address in ADDRESSES.items():
        directory.add_pod(pod(name, address))
    return Converter(directory, "node1", "run")


def sample(
    source: str, dest: str, size: int, *, ports: tuple[int, int] = (40000, 8080), flags: int = 0x1A, process: str = ""
) -> Answer:
    """Return what a TCP flow grew by in a second."""
    packets = max(1, size // 1400)
    ends, (sport, dport), pid = (_address(source), _address(dest)), ports, 321 if process else 0
    counts = packets, size, size - 52 * packets
    row = Sample(*ends, sport, dport, 6, 4, 1, 7, 99, pid, process, flags, 0, *counts, NANOS - 10**9, NANOS)
    return converter().sample(row)


def drop(source: str, dest: str, reason: str, *, port: int = 8080, packets: int = 1, place: str = "") -> Answer:
    """Return packets that were dropped."""
    where = (_address(source), _address(dest), 40000, port, 6, 4, 2, 7)
    return converter().drop(Drop(*where, reason, place or "nft_do_chain", 3, "lxc1", 2, packets, 60 * packets, NANOS))


def tcp(source: str, dest: str, what: int, *, lasted: int = 0, port: int = 8080) -> Answer:
    """Return a step of a connection; ``what`` as in ``TcpEvent``."""
    where = (_address(source), _address(dest), 40000, port, 6, 4, 1, 7)
    return converter().tcp(TcpEvent(*where, what, 1, lasted, 321, "curl", "", NANOS))


def dns(
    name: str, *, reply: bool = False, rcode: int = 0, after: int = 0, port: int = 41000, address: str = ""
) -> Answer:
    """Return a question of the frontend, or its answer."""
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split(".")) + bytes(1)
    question += struct.pack("!HH", 1, 1)
    found = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 30, 4) + bytes(map(int, address.split("."))) if address else b""
    head = struct.pack("!6H", 7, 0x8180 | rcode if reply else 0x0100, 1, 1 if address else 0, 0, 0)
    ends = (
        (ADDRESSES["dns"], ADDRESSES["frontend"], 53, port)
        if reply
        else (ADDRESSES["frontend"], ADDRESSES["dns"], port, 53)
    )
    row = DnsMessage(
        *(*ends, 17, 4, 2 if reply else 1, 7), 99, 321, int(reply), (head + question + found).hex(), NANOS + after
    )
    answer = converter().dns(row)
    assert answer is not None
    return answer


def losses(**lost: int) -> list[Answer]:
    """Return what could not be told."""
    return converter().losses(lost, NANOS)


def busy() -> list[Answer]:
    """Return a second of a node on which much happens."""
    told = [
        sample("frontend", "api", 1_204_500, process="curl"),
        sample("cart", "api", 84_000, ports=(40002, 8080)),
        sample("frontend", "198.51.100.7", 9_400, ports=(40010, 443), process=HOSTILE),
        sample("cart", "10.42.0.200", 60, ports=(40020, 9090), flags=2),
        drop("cart", "api", "TC_INGRESS", packets=12, place="sch_handle_ingress"),
        drop("frontend", "198.51.100.9", "NETFILTER_DROP", port=25, packets=3),
        drop("cart", "10.42.0.200", "NO_SOCKET", port=9090, place="tcp_v4_rcv"),
        *(tcp("frontend", "api", 1, lasted=micros * 1000) for micros in (90, 120, 140, 150, 180, 260, 900, 4200)),
        tcp("frontend", "api", 4, lasted=1_500_000_000),
        tcp("cart", "10.42.0.200", 2, port=9090),
        *(tcp("frontend", "198.51.100.7", 5, port=443) for _ in range(6)),
        tcp("frontend", "198.51.100.7", 6, port=443),
        dns("api.shop.svc.cluster.local."),
        dns("api.shop.svc.cluster.local.", reply=True, after=340_000, address="10.43.0.9"),
        dns("nope.shop.svc.cluster.local.", port=41002),
        dns("nope.shop.svc.cluster.local.", reply=True, rcode=3, after=510_000, port=41002),
    ]
    return told + losses(events=17)


def hostile() -> list[Answer]:
    """Return flows whose names are meant to hurt."""
    answers = [sample("frontend", "api", 5000), drop("frontend", "api", "NETFILTER_DROP"), dns("x.")]
    return [_renamed(answer) for answer in answers]


def _renamed(answer: Answer) -> Answer:
    flow = answer.flow
    assert flow is not None
    assert flow.source is not None
    changes: dict[str, Any] = {"source": _copy(flow.source, pod_name=HOSTILE), "summary": HOSTILE}
    if flow.l7 is not None and flow.l7.dns is not None:
        changes["l7"] = _copy(flow.l7, dns=_copy(flow.l7.dns, query=HOSTILE))
    return replace_flow(answer, **changes)


def replace_flow(answer: Answer, **changes: Any) -> Answer:
    """Return an answer whose flow is another."""
    changed: Answer = _copy(answer, flow=_copy(answer.flow, **changes))
    return changed


def _copy(struct_: Any, **changes: Any) -> Any:
    from msgspec import structs

    return structs.replace(struct_, **changes)


def denied() -> Flow:
    """Return Hubble's word on the connection that the policy denies."""
    flow = drop("cart", "api", "x").flow
    assert flow is not None
    return _copy(flow, emitter=None, drop_reason_desc="POLICY_DENIED", event_type=_copy(flow.event_type, sub_type=133))  # type: ignore[no-any-return]


def _address(name: str) -> str:
    return ADDRESSES.get(name, name)


class ScriptedTap:
    """The service of the tap: plays a script, and counts how often it was started and detached."""

    def __init__(self, *told: Any) -> None:
        self.feeds = ScriptedFeeds(*told)
        self.wishes: list[TapWish] = []

    @property
    def detached(self) -> int:
        """How often it was detached."""
        return self.feeds.closed

    def __call__(self, wish: TapWish, kube: Any) -> Any:
        self.wishes.append(wish)
        return self.feeds(wish, kube)  # type: ignore[arg-type]

    def tell(self, *told: Any) -> None:
        self.feeds.tell(*told)


def tapping(answers: Sequence[Answer] = ()) -> ScriptedTap:
    """Return a tap that works, and tells some flows to begin with."""
    return ScriptedTap(Connected("tap of node1"), Flows(list(answers)))
