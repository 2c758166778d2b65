"""What `cilium-dbg status`, `endpoint list` and `cilium-health status` show, in the real thing's shape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import log
from .model import Endpoint, Object

if TYPE_CHECKING:
    from .agent import Agent
    from .web import Answer

OPTIONS = {
    "ConntrackAccounting": "Disabled",
    "Debug": "Disabled",
    "DropNotification": "Enabled",
    "PolicyVerdictNotification": "Enabled",
    "TraceNotification": "Enabled",
}


def answer(agent: Agent, path: str) -> Answer:
    """Route a request to the agent's API socket."""
    routes = {"/v1/healthz": status, "/v1/endpoint": endpoints, "/v1beta/status": health}
    route = routes.get(path.partition("?")[0])
    return (200, route(agent)) if route else (404, {"error": "not found"})


def status(agent: Agent) -> Object:
    """The whole status document."""
    return {
        **_components(agent),
        "attach-mode": "tcx",
        "auth-certificate-provider": {"state": "Disabled"},
        "bandwidth-manager": {"devices": None},
        "clock-source": {"mode": "ktime"},
        "cluster": {"ciliumHealth": {"state": "Ok"}, "nodes": None, "self": agent.node},
        "cni-chaining": {"mode": agent.config.get("cni-chaining-mode") or "none"},
        "controllers": _controllers(agent),
        "datapath-mode": "veth",
        "encryption": {"mode": "Wireguard" if agent.config.flag("enable-wireguard") else "Disabled"},
        "host-firewall": {"devices": ["eth0"], "mode": "Disabled"},
        "identity-range": {"max-identity": 65535, "min-identity": 256},
        "ipam": _ipam(agent),
        "kube-proxy-replacement": _kube_proxy(agent),
        "masquerading": {
            "enabled": True,
            "enabledProtocols": {"ipv4": True},
            "mode": "IPTables",
            "snat-exclusion-cidr-v4": agent.view.pod_cidr,
        },
        "nodeMonitor": {"cpus": 2, "npages": 64, "pagesize": 4096},
        "proxy": {
            "envoy-deployment-mode": "external" if agent.config.flag("external-envoy-proxy") else "embedded",
            "ip": "",
            "port-range": "10000-20000",
        },
        "routing": {"inter-host-routing-mode": "Native", "intra-host-routing-mode": "Legacy"},
    }


def _components(agent: Agent) -> Object:
    missing = agent.missing_crds()
    failing = [w.path for w in agent.watches.values() if not w.connected]
    ready = {"msg": f"{agent.version} (v{agent.version}-testbed)", "state": "Ok"}
    waiting = {"msg": "Still waiting for CRDs: " + ", ".join(missing) if missing else "starting", "state": "Warning"}
    up = {"msg": agent.kubernetes, "state": "Ok"}
    down = {"msg": f"watch of {failing[0]} is failing" if failing else "", "state": "Failure"}
    written = {
        "msg": "successfully wrote CNI configuration file to /host/etc/cni/net.d/05-cilium.conflist",
        "state": "Ok",
    }
    return {
        "cilium": ready if agent.ready else waiting,
        "cni-file": written if agent.ready else {"msg": "not yet written", "state": "Warning"},
        "hubble": _hubble(agent),
        "kubernetes": down if failing else up,
        "kvstore": {"msg": "Disabled", "state": "Ok"},
    }


def _hubble(agent: Agent) -> Object:
    if not agent.config.flag("enable-hubble", True):
        return {"metrics": {"state": "Disabled"}, "observer": None, "state": "Disabled"}
    items, seen = agent.ring.snapshot()
    uptime = f"{time.time() - agent.ring.started:.3f}s"
    counters = {"current-flows": len(items), "max-flows": agent.ring.size, "seen-flows": seen, "uptime": uptime}
    metrics = "Ok" if agent.config.get("hubble-metrics") else "Disabled"
    return {"metrics": {"state": metrics}, "observer": counters, "state": "Ok"}


def _ipam(agent: Agent) -> Object:
    allocations = {e.ip: e.full_name for e in agent.view.endpoints}
    text = f"IPv4: {len(allocations)}/254 allocated from {agent.view.pod_cidr}, "
    return {"allocations": allocations, "ipv4": sorted(allocations), "ipv6": None, "status": text}


def _kube_proxy(agent: Agent) -> Object:
    mode = "True" if agent.config.flag("kube-proxy-replacement") else "False"
    enabled = {"enabled": mode == "True"}
    features = {
        "externalIPs": {"enabled": False},
        "hostPort": enabled,
        "nodePort": {**enabled, "mode": "SNAT", "portMax": 32767, "portMin": 30000},
    }
    devices = [{"ip": agent.host_ips, "name": "eth0"}]
    return {
        "deviceList": devices,
        "devices": ["eth0"],
        "directRoutingDevice": "eth0",
        "features": features,
        "mode": mode,
    }


def _controllers(agent: Agent) -> list[Object]:
    now = log.now()
    found = []
    for index, watch in enumerate(agent.watches.values()):
        result: Object = {
            "last-failure-timestamp": "0001-01-01T00:00:00.000Z",
            "last-success-timestamp": now,
            "success-count": 1,
        }
        if not watch.connected:
            result |= {
                "consecutive-failure-count": watch.failures,
                "last-failure-msg": f"watch of {watch.path} failed",
                "last-failure-timestamp": now,
            }
        uid = f"00000000-0000-4000-8000-{index:012d}"
        found.append(
            {"configuration": {"error-retry": True}, "name": f"watch-{watch.path}", "status": result, "uuid": uid}
        )
    return found


def endpoints(agent: Agent) -> list[Object]:
    """All endpoints of this node."""
    return [_endpoint(agent, endpoint) for endpoint in agent.view.endpoints]


def _endpoint(agent: Agent, endpoint: Endpoint) -> Object:
    enforced = agent.enforced.get(endpoint.ip)
    sides = (
        [d for d in ("ingress", "egress") if enforced and getattr(enforced, d) is not None]
        if agent.options.enforce
        else []
    )
    mode = {(): "none", ("ingress",): "ingress", ("egress",): "egress"}.get(tuple(sides), "both")
    realized = {
        "policy-enabled": mode,
        "policy-revision": 1,
        "id": endpoint.identity,
        "l4": {"egress": [], "ingress": []},
    }
    return {
        "id": endpoint.id,
        "spec": {"label-configuration": {}, "options": OPTIONS},
        "status": {
            "controllers": [],
            "external-identifiers": {
                "container-id": endpoint.container,
                "k8s-namespace": endpoint.namespace,
                "k8s-pod-name": endpoint.name,
                "pod-name": endpoint.full_name,
            },
            "health": {"bpf": "OK", "connected": True, "overallHealth": "OK", "policy": "OK"},
            "identity": {"id": endpoint.identity, "labels": endpoint.label_list},
            "labels": {"realized": {}, "security-relevant": endpoint.label_list},
            "log": [
                {
                    "code": "OK",
                    "message": "Successfully regenerated endpoint program",
                    "state": "ready",
                    "timestamp": log.now(),
                }
            ],
            "networking": {
                "addressing": [{"ipv4": endpoint.ip, "ipv4-pool-name": "default"}],
                "container-interface-name": "eth0",
            },
            "policy": {"proxy-statistics": [], "realized": realized, "spec": realized},
            "realized": {"label-configuration": {}, "options": OPTIONS},
            "state": "ready",
        },
    }


def health(agent: Agent) -> Object:
    """Connectivity between nodes, as cilium-health reports it."""
    nodes = []
    for node in agent.objects("nodes"):
        addresses = (node.get("status") or {}).get("addresses") or []
        ip = next((a["address"] for a in addresses if a["type"] == "InternalIP"), "")
        reached = {"http": {"latency": 150000}, "icmp": {"latency": 90000}, "ip": ip}
        nodes.append(
            {
                "name": node["metadata"]["name"],
                "host": {"primary-address": reached},
                "health-endpoint": {"primary-address": reached},
            }
        )
    return {"local": {"name": agent.node}, "nodes": nodes, "timestamp": log.now()}
