"""The Observer and Peer services of one agent."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc  # type: ignore[import-untyped,unused-ignore]
from google.protobuf import field_mask_pb2  # type: ignore[import-untyped,unused-ignore]

from . import filters, rpc, wire
from .flows import Ring


class Observer:
    """Answers queries from a ring of flows."""

    def __init__(self, ring: Ring, version: str, namespaces: Callable[[], list[str]], cluster: str) -> None:
        self.ring, self.version, self.namespaces, self.cluster = ring, version, namespaces, cluster

    def methods(self) -> dict[str, Any]:
        """Handlers by method name."""
        return {
            "GetFlows": rpc.stream(self.get_flows, "GetFlowsRequest"),
            "ServerStatus": rpc.unary(self.status, "Empty"),
            "GetNamespaces": rpc.unary(self.get_namespaces, "Empty"),
            "GetNodes": rpc.unary(self.get_nodes, "Empty"),
        }

    def get_flows(self, request: Any, context: Any) -> Iterator[Any]:
        """History by number, since, until, first; then live ones if asked to follow."""
        try:
            check(request)
        except filters.UnsupportedError as err:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(err))
        history, newest = self.ring.snapshot()
        for item in select(request, history):
            yield masked(request, item)
        if request.follow:
            for item in self.ring.follow(newest, context.is_active):
                if wanted(request, item):
                    yield masked(request, item)

    def status(self, _request: Any, _context: Any) -> Any:
        """Counters."""
        items, seen = self.ring.snapshot()
        uptime = time.time() - self.ring.started
        return wire.new(
            "ServerStatusResponse",
            num_flows=len(items),
            max_flows=self.ring.size,
            seen_flows=seen,
            uptime_ns=int(uptime * 1e9),
            version=self.version,
            flows_rate=seen / max(uptime, 1e-3),
        )

    def get_namespaces(self, _request: Any, _context: Any) -> Any:
        """Namespaces with endpoints."""
        spaces = [wire.new("Namespace", cluster=self.cluster, namespace=name) for name in self.namespaces()]
        return wire.new("GetNamespacesResponse", namespaces=spaces)

    def get_nodes(self, _request: Any, context: Any) -> Any:
        """Agents do not answer this; only Relay does."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "GetNodes not implemented")


def check(request: Any) -> None:
    """Refuse what cannot be answered."""
    filters.validate([*request.whitelist, *request.blacklist])
    if request.first and request.follow:
        raise filters.UnsupportedError("first cannot be specified with follow")
    if request.field_mask.paths and not request.field_mask.IsValidForDescriptor(wire.MESSAGES["Flow"].DESCRIPTOR):
        raise filters.UnsupportedError("invalid fieldmask")


def wanted(request: Any, response: Any) -> bool:
    """Filters; lost events always pass."""
    return not response.HasField("flow") or filters.passes(response.flow, request.whitelist, request.blacklist)


def select(request: Any, history: list[Any]) -> list[Any]:
    """The part of the history that a request asks for."""
    since = request.since.ToNanoseconds() if request.HasField("since") else None
    until = request.until.ToNanoseconds() if request.HasField("until") and not request.follow else None
    found = [
        item
        for item in history
        if (since is None or item.time.ToNanoseconds() >= since)
        and (until is None or item.time.ToNanoseconds() <= until)
        and wanted(request, item)
    ]
    if not request.number:
        return [] if request.follow and since is None else found
    oldest = request.first or (since is not None and not request.follow)
    return found[: request.number] if oldest else found[-request.number :]


def masked(request: Any, response: Any) -> Any:
    """Only the fields that the mask names."""
    if not request.field_mask.paths or not response.HasField("flow"):
        return response
    mask = field_mask_pb2.FieldMask(paths=list(request.field_mask.paths))
    flow = wire.new("Flow")
    mask.MergeMessage(response.flow, flow)
    return wire.new("GetFlowsResponse", flow=flow, node_name=response.node_name, time=response.time)


class Peers:
    """The Peer service: tells Relay which nodes there are, and when that changes."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self._nodes: dict[str, str] = {}
        self._changed = threading.Condition()

    def update(self, nodes: dict[str, str]) -> None:
        """Node name to address of its agent."""
        with self._changed:
            if nodes != self._nodes:
                self._nodes = nodes
                self._changed.notify_all()

    def methods(self) -> dict[str, Any]:
        """Handlers by method name."""
        return {"Notify": rpc.stream(self.notify, "Empty")}

    def notify(self, _request: Any, context: Any) -> Iterator[Any]:
        """All nodes, then every change."""
        told: dict[str, str] = {}
        while context.is_active():
            with self._changed:
                if self._nodes == told:
                    self._changed.wait(1.0)
                now = dict(self._nodes)
            yield from self._difference(told, now)
            told = now

    def _difference(self, old: dict[str, str], new: dict[str, str]) -> Iterator[Any]:
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) == new.get(name):
                continue
            kind = wire.PEER_ADDED if name not in old else wire.PEER_UPDATED if name in new else wire.PEER_DELETED
            tls = wire.new("PeerTLS", server_name=f"{name.replace('.', '-')}.{self.cluster}.hubble-grpc.cilium.io")
            yield wire.new(
                "ChangeNotification", name=name, address=new.get(name, old.get(name, "")), type=kind, tls=tls
            )
