"""hubble-relay: one Observer over the agents of all nodes."""

import heapq
import os
import queue
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped,unused-ignore]

from . import dns, filters, log, observer, rpc, web, wire

TLS_DIR, SERVER_TLS_DIR = Path("/var/lib/hubble-relay/tls"), Path("/var/lib/hubble-relay/tls-server")
_END = object()


class Relay:
    """Connections to the agents, and the merged answers."""

    def __init__(self) -> None:
        config = _config(Path("/etc/hubble-relay/config.yaml"))
        self.fail, self.version = config.get("testbed-fail", ""), os.environ.get("CILIUM_VERSION", "1.20.99")
        self.peer_service = config.get("peer-service", "hubble-peer.kube-system.svc.cluster.local:443")
        self.cluster, self.listen = config.get("cluster-name", "default"), config.get("listen-address", ":4245")
        self.plain = config.get("disable-client-tls") == "true"
        self.server_tls, self.mutual = config.get("disable-server-tls") == "false", config.get("mtls") == "true"
        self._channels: dict[str, tuple[str, str, Any]] = {}
        self._guard = threading.Condition()

    def run(self) -> None:
        """Serve and follow the peers for ever."""
        if self.fail == "crash":
            raise log.fatal("failed to create gRPC server: listen tcp :4245 (asked for by testbed.fail.relay)")
        web.serve(("0.0.0.0", 4222), self._ready)
        methods = {
            "GetFlows": rpc.stream(self.get_flows, "GetFlowsRequest"),
            "GetNodes": rpc.unary(self.get_nodes, "Empty"),
            "GetNamespaces": rpc.unary(self.get_namespaces, "Empty"),
            "ServerStatus": rpc.unary(self.status, "Empty"),
        }
        server = rpc.server(
            {"observer.Observer": methods}, lambda: self.fail != "unhealthy" and bool(self.connected()), workers=64
        )
        address = f"0.0.0.0{self.listen}" if self.listen.startswith(":") else self.listen
        if self.server_tls:
            server.add_secure_port(address, rpc.server_credentials(SERVER_TLS_DIR, "client-ca.crt", self.mutual))
        else:
            server.add_insecure_port(address)
        server.start()
        log.info("Starting gRPC server", address=self.listen)
        pause = threading.Event()
        while True:
            try:
                self._follow_peers()
            except (grpc.RpcError, OSError) as err:
                log.warning(
                    "Failed to create peer notify client for peers change notification; will try again",
                    error=_words(err),
                )
            pause.wait(0.25)

    def _ready(self, _path: str) -> web.Answer:
        return (200, "ok") if self.connected() and self.fail != "notReady" else (503, "no connected peers")

    def connected(self) -> list[str]:
        """Names of the nodes that answer."""
        with self._guard:
            peers = dict(self._channels)
        return [name for name, (_, state, _) in peers.items() if state == "up"]

    def _follow_peers(self) -> None:
        host, _, port = self.peer_service.rpartition(":")
        address = dns.resolve(host)
        channel = self._channel(f"{address}:{port}", f"peer.{self.cluster}.hubble-grpc.cilium.io")
        try:
            for change in self.call(channel, "/peer.Peer/Notify", "ChangeNotification", stream=True)(wire.new("Empty")):
                if change.type == wire.PEER_DELETED:
                    self._drop(change.name)
                else:
                    self._add(change.name, change.address, change.tls.server_name)
        finally:
            channel.close()

    def _channel(self, address: str, name: str) -> Any:
        options = [
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if self.plain:
            return grpc.insecure_channel(address, options=options)
        return grpc.secure_channel(
            address, rpc.client_credentials(TLS_DIR), options=[*options, ("grpc.ssl_target_name_override", name)]
        )

    def _add(self, name: str, address: str, server_name: str) -> None:
        with self._guard:
            if self._channels.get(name, ("",))[0] == address:
                return
        self._drop(name)
        channel = self._channel(address, server_name)
        with self._guard:
            self._channels[name] = (address, "connecting", channel)
        channel.subscribe(lambda state: self._note(name, channel, state), try_to_connect=True)
        log.info("Connecting to peer", name=name, address=address)

    def _note(self, name: str, channel: Any, state: Any) -> None:
        up = state is grpc.ChannelConnectivity.READY
        with self._guard:
            if name in self._channels and self._channels[name][2] is channel:
                self._channels[name] = (self._channels[name][0], "up" if up else "down", channel)
                self._guard.notify_all()
        if state is grpc.ChannelConnectivity.IDLE:
            threading.Thread(target=channel.subscribe, args=(lambda _: None, True), daemon=True).start()
        log.info("Peer connection", name=name, state=state.name)

    def _drop(self, name: str) -> None:
        with self._guard:
            old = self._channels.pop(name, None)
        if old:
            old[2].close()

    def call(self, channel: Any, method: str, answer: str, stream: bool = False) -> Any:
        """A method of an agent."""
        make = channel.unary_stream if stream else channel.unary_unary
        return make(method, wire.encode, wire.decoder(answer))

    def get_flows(self, request: Any, context: Any) -> Iterator[Any]:
        """Merge the agents' streams by time; tell first which nodes take part."""
        try:
            observer.check(request)
        except filters.UnsupportedError as err:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(err))
        with self._guard:
            peers = dict(self._channels)
        up = sorted(name for name, (_, state, _) in peers.items() if state == "up")
        for state, names in ((wire.NODE_CONNECTED, up), (wire.NODE_UNAVAILABLE, sorted(set(peers) - set(up)))):
            if names:
                yield _node_status(state, names)
        incoming: queue.Queue[Any] = queue.Queue(1000)
        names = sorted(peers) if request.follow else up
        streams = [_Stream(self, name, request, incoming) for name in names]
        context.add_callback(lambda: _cancel(streams))
        for stream in streams:
            stream.start()
        yield from _live(incoming, len(streams)) if request.follow else _sorted(incoming, len(streams))

    def wait_up(self, name: str, seconds: float) -> Any:
        """The channel to a node that answers; None if it does not within some time."""
        with self._guard:
            if self._channels.get(name, ("", "", None))[1] != "up":
                self._guard.wait(seconds)
            _, state, channel = self._channels.get(name, ("", "", None))
            return channel if state == "up" else None

    def get_nodes(self, _request: Any, _context: Any) -> Any:
        """All nodes with their state and counters."""
        with self._guard:
            peers = dict(self._channels)
        nodes = []
        for name, (address, state, channel) in sorted(peers.items()):
            node = wire.new(
                "Node",
                name=name,
                address=address,
                state=wire.NODE_UNAVAILABLE,
                tls=wire.new("TLS", enabled=not self.plain),
            )
            if state == "up" and (answer := self._status_of(channel)) is not None:
                node.state = wire.NODE_CONNECTED
                node.version, node.uptime_ns = answer.version, answer.uptime_ns
                node.num_flows, node.max_flows, node.seen_flows = answer.num_flows, answer.max_flows, answer.seen_flows
            nodes.append(node)
        return wire.new("GetNodesResponse", nodes=nodes)

    def get_namespaces(self, _request: Any, _context: Any) -> Any:
        """The union of the agents' answers."""
        with self._guard:
            channels = [channel for _, state, channel in self._channels.values() if state == "up"]
        found = set()
        for channel in channels:
            try:
                answer = self.call(channel, "/observer.Observer/GetNamespaces", "GetNamespacesResponse")(
                    wire.new("Empty"), timeout=3
                )
            except grpc.RpcError:
                continue
            found |= {(n.cluster, n.namespace) for n in answer.namespaces}
        return wire.new(
            "GetNamespacesResponse",
            namespaces=[wire.new("Namespace", cluster=c, namespace=n) for c, n in sorted(found)],
        )

    def status(self, _request: Any, _context: Any) -> Any:
        """Sums over the nodes."""
        total = wire.new("ServerStatusResponse", version=f"hubble-relay v{self.version}")
        with self._guard:
            peers = dict(self._channels)
        for name, (_, state, channel) in sorted(peers.items()):
            answer = self._status_of(channel) if state == "up" else None
            if answer is None:
                total.unavailable_nodes.append(name)
                continue
            total.num_flows += answer.num_flows
            total.max_flows += answer.max_flows
            total.seen_flows += answer.seen_flows
            total.flows_rate += answer.flows_rate
            total.uptime_ns = max(total.uptime_ns, answer.uptime_ns)
        total.num_connected_nodes.value = len(peers) - len(total.unavailable_nodes)
        total.num_unavailable_nodes.value = len(total.unavailable_nodes)
        return total

    def _status_of(self, channel: Any) -> Any:
        try:
            return self.call(channel, "/observer.Observer/ServerStatus", "ServerStatusResponse")(
                wire.new("Empty"), timeout=3
            )
        except grpc.RpcError:
            return None


def _words(err: Exception) -> str:
    return str(err.details()) if isinstance(err, grpc.RpcError) else str(err)


def _config(path: Path) -> dict[str, str]:
    """The flat `key: value` lines of the configuration."""
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _node_status(state: int, names: list[str], message: str = "") -> Any:
    event = wire.new("NodeStatusEvent", state_change=state, node_names=names, message=message)
    response = wire.new("GetFlowsResponse", node_status=event, node_name=os.uname().nodename)
    response.time.GetCurrentTime()
    return response


class _Stream(threading.Thread):
    """One node's part of a query; one that follows asks again, in the same words, when the node is back."""

    def __init__(self, relay: Relay, name: str, request: Any, out: "queue.Queue[Any]") -> None:
        super().__init__(daemon=True)
        self.relay, self.node, self.request, self.out = relay, name, request, out
        self._call: Any = None
        self._over = False

    def cancel(self) -> None:
        """The client went away."""
        self._over = True
        if self._call is not None:
            self._call.cancel()

    def run(self) -> None:
        """Pass on what comes."""
        while not self._over:
            channel = self.relay.wait_up(self.node, 1.0)
            if channel is not None:
                self._pass_on(channel)
            if not self.request.follow:
                break
        self.out.put(_END)

    def _pass_on(self, channel: Any) -> None:
        try:
            self._call = self.relay.call(channel, "/observer.Observer/GetFlows", "GetFlowsResponse", stream=True)(
                self.request
            )
            for response in self._call:
                if self._over:
                    return
                self.out.put(response)
        except (grpc.RpcError, ValueError) as err:
            if not self._over:
                self.out.put(_node_status(wire.NODE_ERROR, [self.node], _words(err)))


def _cancel(streams: list[_Stream]) -> None:
    for stream in streams:
        stream.cancel()


def _live(incoming: "queue.Queue[Any]", streams: int) -> Iterator[Any]:
    while streams:
        item = incoming.get()
        if item is _END:
            streams -= 1
        else:
            yield item


def _sorted(incoming: "queue.Queue[Any]", streams: int) -> Iterator[Any]:
    items = [(item.time.ToNanoseconds(), index, item) for index, item in enumerate(_live(incoming, streams))]
    heapq.heapify(items)
    while items:
        yield heapq.heappop(items)[2]


def main() -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    log.info("Hubble Relay (stand-in) starting")
    Relay().run()


if __name__ == "__main__":
    main()
