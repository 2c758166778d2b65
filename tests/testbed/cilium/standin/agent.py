"""cilium-agent: watches the API, programs the datapath, becomes ready when that is true, serves Hubble."""

import asyncio
import ipaddress
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from . import log, nflog, nft, observer, policy, records, rpc, status, web
from .config import Config
from .flows import Maker, Ring
from .kube import ApiError, Client, Reflector
from .l7proxy import Proxy
from .model import Object, View, endpoint_of

CRDS = (
    "ciliumnetworkpolicies",
    "ciliumclusterwidenetworkpolicies",
    "ciliumendpoints",
    "ciliumidentities",
    "ciliumnodes",
    "ciliumcidrgroups",
)
CORE = {
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "services": "/api/v1/services",
    "endpoints": "/api/v1/endpoints",
    "networkpolicies": "/apis/networking.k8s.io/v1/networkpolicies",
    "crds": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "nodes": "/api/v1/nodes",
}
CUSTOM = {
    name: f"/apis/cilium.io/v2/{name}"
    for name in ("ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies", "ciliumnodes")
}
RUN, CNI_DIR, TLS_DIR = Path("/var/run/cilium"), Path("/host/etc/cni/net.d"), Path("/var/lib/cilium/tls/hubble")


class Agent:
    """Everything the agent knows and does."""

    def __init__(self, config: Config) -> None:
        self.config, self.client = config, Client()
        self.node = os.environ.get("K8S_NODE_NAME", os.uname().nodename)
        self.cluster = config.get("cluster-name", "default")
        self.version = os.environ.get("CILIUM_VERSION", "1.20.99")
        self.changed = threading.Event()
        self.watches = {name: Reflector(self.client, path, self.changed.set) for name, path in CORE.items()}
        self.ring = Ring(int(config.number("hubble-event-buffer-capacity", 4095)))
        self.maker = Maker(self.node, self.cluster, self.ring)
        self.peers = observer.Peers(self.cluster)
        self.records = records.Writer(self.client, self.node, self.cluster)
        self.view, self.enforced = View(()), dict[str, policy.Enforced]()
        self.programmed, self.ready = "", False
        self.options = nft.Options(
            enforce=config.flag("testbed-enforce", True),
            l7=config.flag("enable-l7-proxy", True) and config.get("testbed-l7", "on") != "off",
            drop_dns=config.flag("testbed-fail-dns"),
        )
        self.host_ips = _host_ips()
        self.started = time.monotonic()
        self.hubble: object = None
        self.kubernetes = ""

    def run(self) -> None:
        """Start everything; then reconcile for ever."""
        web.serve(("127.0.0.1", int(self.config.number("agent-health-port", 9879))), self._health)
        web.serve(RUN / "cilium.sock", lambda path: status.answer(self, path))
        if self.config.get("hubble-metrics"):
            port = int((self.config.get("hubble-metrics-server") or ":9965").rpartition(":")[2])
            web.serve(("0.0.0.0", port), self._metrics)
        self._maybe_crash()
        for watch in self.watches.values():
            watch.start()
        nft.route_proxied()
        for worker in (self._read_log, self._serve_l7, self.records.run):
            threading.Thread(target=_guarded, args=(worker,), daemon=True).start()
        if self.config.flag("enable-hubble", True):
            self._serve_hubble()
        while True:
            self.changed.wait()
            time.sleep(0.01)  # gather what comes at once
            self.changed.clear()
            try:
                self._reconcile()
            except (ApiError, OSError) as err:
                log.warning("Unable to reconcile, retrying with the next change", error=err)

    def _maybe_crash(self) -> None:
        if self.config.get("testbed-fail-agent") == "crash":
            raise log.fatal(
                "daemon creation failed: unable to initialize kernel maps (asked for by testbed.fail.agent)"
            )

    def objects(self, name: str) -> list[Object]:
        """The objects of a watch that may not have started."""
        return self.watches[name].objects() if name in self.watches else []

    @property
    def synced(self) -> bool:
        """Whether every watch has its first list."""
        return all(watch.synced.is_set() for watch in self.watches.values())

    def missing_crds(self) -> list[str]:
        """Plural names of CRDs that are not established."""
        have = {
            c["spec"]["names"]["plural"]
            for c in self.objects("crds")
            if c["spec"]["group"] == "cilium.io" and _established(c)
        }
        return [name for name in CRDS if name not in have]

    def _reconcile(self) -> None:
        if not all(self.watches[name].synced.is_set() for name in CORE):
            return
        missing = self.missing_crds()
        if not missing and "ciliumnodes" not in self.watches:
            more = {name: Reflector(self.client, path, self.changed.set) for name, path in CUSTOM.items()}
            self.watches |= more
            for watch in more.values():
                watch.start()
        elif missing and not self.ready:
            log.info("Still waiting for Cilium Operator to register the following CRDs", CRDs=",".join(missing))
        if not self.kubernetes:
            self.kubernetes = _version_text(self.client.get("/version"))
        self.view = self._observe()
        self._program()
        self.maker.update(self.view, self._node_labels())
        self.peers.update(self._agents())
        if not missing:
            self.records.want(self.view, self._own_node())
        if self.synced and not missing:
            self._become_ready()

    def _observe(self) -> View:
        namespaces = {n["metadata"]["name"]: n["metadata"].get("labels") or {} for n in self.objects("namespaces")}
        found = (endpoint_of(pod, namespaces, self.cluster) for pod in self.objects("pods"))
        cidr = self._pod_cidr()
        gateway = [str(next(ipaddress.ip_network(cidr).hosts()))] if cidr else []
        return View(
            endpoints=tuple(sorted((e for e in found if e), key=lambda e: (e.namespace, e.name))),
            host_ips=tuple(dict.fromkeys([*self.host_ips, *_internal_ips(self._own_node()), *gateway])),
            api_ips=_api_ips(self.objects("endpoints")),
            pod_cidr=cidr,
            namespaces=namespaces,
        )

    def _program(self) -> None:
        policies = [*self.objects("ciliumnetworkpolicies"), *self.objects("ciliumclusterwidenetworkpolicies")]
        self.enforced = policy.compile_all(policies, self.objects("networkpolicies"), self.view)
        services = nft.services_of(self.objects("services"), self.objects("endpoints"), self.view)
        ruleset = nft.render(self.view, services, self.enforced, self.options)
        if ruleset == self.programmed:
            return
        try:
            nft.load(ruleset)
            self.programmed = ruleset
        except RuntimeError as err:
            log.error("Unable to program the datapath", error=err)

    def _become_ready(self) -> None:
        wait = self.config.number("testbed-delay-seconds") - (time.monotonic() - self.started)
        if (
            self.ready
            or not self.programmed
            or not self.view.pod_cidr
            or self.config.get("testbed-fail-agent") == "notReady"
        ):
            return
        if wait > 0:
            threading.Timer(wait, self.changed.set).start()
            return
        self._write_cni()
        self.ready = True
        log.info("Daemon initialization completed", bootstrapTime=f"{time.monotonic() - self.started:.3f}s")

    def _write_cni(self) -> None:
        if self.config.flag("custom-cni-conf"):
            return
        ipam = {
            "type": "host-local",
            "dataDir": "/var/run/cilium/ipam",
            "ranges": [[{"subnet": self.view.pod_cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        conf = {"cniVersion": "0.3.1", "name": "cilium", "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ipam}]}
        target = Path(self.config.get("write-cni-conf-when-ready") or CNI_DIR / "05-cilium.conflist")
        if self.config.flag("cni-exclusive", True):
            for other in target.parent.glob("*.conf*"):
                if other.name != target.name and other.suffix in (".conf", ".conflist"):
                    other.rename(other.with_name(other.name + ".cilium_bak"))
        part = target.with_name(f".{target.name}.part")
        part.write_text(json.dumps(conf, indent=2) + "\n")
        part.replace(target)
        log.info("Wrote CNI configuration file", path=target)

    def _health(self, _path: str) -> web.Answer:
        return (200, {"status": "ok"}) if self.ready else (503, {"status": "not ready"})

    def _metrics(self, _path: str) -> web.Answer:
        name = "hubble_flows_processed_total"
        return 200, f"# HELP {name} Total number of flows processed\n# TYPE {name} counter\n{name} {self.ring.seen}\n"

    def _read_log(self) -> None:
        sock = nflog.open_group(nft.LOG_GROUP)
        while True:
            try:
                for packet in nflog.read(sock):
                    self.maker.packet(packet)
            except nflog.LostError:
                self.maker.lost(1)

    def _serve_l7(self) -> None:
        async def main() -> None:
            server = await Proxy(self._request_allowed, self.maker.exchange).serve(nft.PROXY_PORT)
            await server.serve_forever()

        asyncio.run(main())

    def _request_allowed(
        self, client: tuple[str, int], server: tuple[str, int], method: str, path: str, host: str
    ) -> bool:
        for ip, peer, direction in ((server[0], client[0], "ingress"), (client[0], server[0], "egress")):
            enforced = self.enforced.get(ip)
            rules = getattr(enforced, direction) if enforced else None
            if rules and not policy.request_allowed(rules, peer, server[1], method, path, host):
                return False
        return True

    def _serve_hubble(self) -> None:
        service = observer.Observer(
            self.ring,
            f"cilium v{self.version}",
            lambda: sorted({e.namespace for e in self.view.endpoints}),
            self.cluster,
        )
        server = rpc.server({"observer.Observer": service.methods(), "peer.Peer": self.peers.methods()}, lambda: True)
        path = Path(self.config.get("hubble-socket-path") or RUN / "hubble.sock")
        path.unlink(missing_ok=True)
        server.add_insecure_port(f"unix://{path}")
        address = "0.0.0.0" + (self.config.get("hubble-listen-address") or ":4244")
        if self.config.flag("hubble-disable-tls"):
            server.add_insecure_port(address)
        elif (TLS_DIR / "server.crt").exists():
            server.add_secure_port(address, rpc.server_credentials(TLS_DIR))
        else:
            log.warning(
                "Hubble server will be exposing its API only on the local socket: no certificates", path=TLS_DIR
            )
        server.start()
        self.hubble = server  # a server that nobody refers to stops
        log.info("Starting Hubble server", address=address)

    def _own_node(self) -> Object:
        return next((n for n in self.objects("nodes") if n["metadata"]["name"] == self.node), {})

    def _pod_cidr(self) -> str:
        cidr = (self._own_node().get("spec") or {}).get("podCIDR") or ""
        if not cidr and self.config.get("ipam") == "cluster-pool":
            own = next((n for n in self.objects("ciliumnodes") if n["metadata"]["name"] == self.node), {})
            cidr = next(iter(((own.get("spec") or {}).get("ipam") or {}).get("podCIDRs") or []), "")
        return str(cidr)

    def _node_labels(self) -> tuple[str, ...]:
        labels = (self._own_node().get("metadata") or {}).get("labels") or {}
        return tuple(f"{key}={value}" for key, value in sorted(labels.items()))

    def _agents(self) -> dict[str, str]:
        names = {n["metadata"]["name"] for n in self.objects("ciliumnodes")} | {self.node}
        nodes = {n["metadata"]["name"]: _internal_ips(n) for n in self.objects("nodes")}
        return {name: f"{nodes[name][0]}:4244" for name in names if nodes.get(name)}


def _version_text(version: Object) -> str:
    return f"{version['major']}.{version['minor']} ({version['gitVersion']}) [{version['platform']}]"


def _established(crd: Object) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def _internal_ips(node: Object) -> list[str]:
    addresses = (node.get("status") or {}).get("addresses") or []
    return [a["address"] for a in addresses if a["type"] == "InternalIP" and ":" not in a["address"]]


def _api_ips(endpoints: list[Object]) -> tuple[str, ...]:
    for item in endpoints:
        if (item["metadata"]["namespace"], item["metadata"]["name"]) == ("default", "kubernetes"):
            return tuple(a["ip"] for subset in item.get("subsets") or [] for a in subset.get("addresses") or [])
    return ()


def _host_ips() -> list[str]:
    links = json.loads(subprocess.run(["ip", "-j", "-4", "addr"], check=True, capture_output=True, text=True).stdout)
    return [
        a["local"]
        for link in links
        if not link["ifname"].startswith("veth")
        for a in link["addr_info"]
        if a["scope"] == "global"
    ]


def _guarded(worker: Callable[[], None]) -> None:
    """A dead worker is a dead agent: Kubernetes restarts it."""
    try:
        worker()
    except Exception as err:
        log.error("worker failed", error=repr(err))
        os._exit(1)


def main() -> None:
    """Run until SIGTERM; what is programmed stays."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    config = Config.load(sys.argv[1:])
    log.info("Cilium agent (stand-in) starting", version=os.environ.get("CILIUM_VERSION", "1.20.99"))
    Agent(config).run()


if __name__ == "__main__":
    main()
