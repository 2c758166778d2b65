"""What is wanted of a host, and what is found wrong with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

GIB = 1024**3


class Level(StrEnum):
    """Weight of a finding: errors refuse the run, warnings and notes do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        code: stable code such as ``E-PRE-003``.
        level: its weight.
        subject: what it is about, such as ``port 6443/tcp``.
        what: one line.
        evidence: the fact that proves it.
        fix: what to do.
        value: a value that would do instead, such as a free network; empty where there is none.
        fixable: ``beeyard preflight --fix`` can do it.
    """

    code: str
    level: Level
    subject: str
    what: str
    evidence: str = ""
    fix: str = ""
    value: str = ""
    fixable: bool = False

    @property
    def way(self) -> str:
        """What to do, and that we can do it where we can."""
        if not self.fixable:
            return self.fix
        safe = "sudo beeyard preflight --fix does it"
        return safe if self.fix in ("", "nothing") else f"{self.fix} ({safe})"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "level": str(self.level)}


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the cluster will listen on.

    Attributes:
        protocol: ``tcp`` or ``udp``.
        port: number.
        purpose: who needs it.
        local: it is bound on the loopback address only.
    """

    protocol: str
    port: int
    purpose: str
    local: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the cluster will need of the host.

    Attributes:
        cluster_cidr: pod network; two, separated by a comma, for dual stack.
        service_cidr: service network, likewise.
        ports: ports that must be free.
        data_dir: k3s' data folder.
        allow_unsupported: turn refusals that rest on support statements alone into warnings.
        ours: the k3s found on the host was installed by us.
        disk_bytes: free bytes needed below ``data_dir``.
        features: extras such as ``wireguard``.
        k3s_version: version to be installed, such as ``v1.36.4+k3s1``; empty when not known yet.
        kernel: settings that need features of the kernel, see ``domain.kernel.settings``.
        bin_dir: where the k3s binary goes.
        api_port: port of the Kubernetes API.
        nodes: nodes of the cluster to be.
        kube_proxy_free: services are Cilium's; kube-proxy is off.
        chosen_address: the node's address or Cilium's devices are given.
        operator_replicas: operators asked for; None where it is left to us.
        servicelb: k3s' own load balancer is on.
        balancers: parts of Cilium that serve LoadBalancers.
        gateway_api: Gateway API release that is needed, such as ``v1.6.0``; empty where it is not.
        proxy: HTTP proxy of the specification, empty where the environment decides.
        no_proxy: what goes past a proxy besides what the environment says.
    """

    cluster_cidr: str = "10.42.0.0/16"
    service_cidr: str = "10.43.0.0/16"
    ports: tuple[Port, ...] = ()
    data_dir: str = "/var/lib/rancher/k3s"
    allow_unsupported: bool = False
    ours: bool = False
    disk_bytes: int = 5 * GIB
    features: frozenset[str] = frozenset()
    k3s_version: str = ""
    kernel: frozenset[str] = frozenset()
    bin_dir: str = "/usr/local/bin"
    api_port: int = 6443
    nodes: int = 1
    kube_proxy_free: bool = True
    chosen_address: bool = False
    operator_replicas: int | None = None
    servicelb: bool = False
    balancers: tuple[str, ...] = ()
    gateway_api: str = ""
    proxy: str = ""
    no_proxy: tuple[str, ...] = ()


def default_ports(
    *, api: int = 6443, tunnel: int = 8472, kind: str = "VXLAN", hubble: bool = True, envoy: bool = True
) -> tuple[Port, ...]:
    """Return the ports of a single k3s server with Cilium.

    Args:
        api: k3s' ``https-listen-port``.
        tunnel: port of Cilium's tunnel, 0 for native routing.
        kind: ``VXLAN`` or ``Geneve``.
        hubble: Hubble is on.
        envoy: Cilium's Envoy runs.
    """
    always = (
        Port("tcp", api, "Kubernetes API"),
        Port("tcp", api + 1, "Kubernetes API, local", local=True),
        Port("tcp", 10250, "kubelet"),
        Port("tcp", 10248, "kubelet health", local=True),
        Port("tcp", 10010, "containerd streaming", local=True),
        Port("tcp", 10257, "controller manager", local=True),
        Port("tcp", 10258, "cloud controller manager", local=True),
        Port("tcp", 10259, "scheduler", local=True),
        Port("tcp", 4240, "Cilium health"),
        Port("tcp", 9879, "Cilium agent health", local=True),
        Port("tcp", 9234, "Cilium operator health", local=True),
        Port("tcp", 9890, "Cilium agent gops", local=True),
        Port("tcp", 9891, "Cilium operator gops", local=True),
    )
    more = [Port("udp", tunnel, f"Cilium {kind} tunnel")] if tunnel else []
    if hubble:
        more.append(Port("tcp", 4244, "Hubble"))
    if envoy:
        more.append(Port("tcp", 9878, "Cilium Envoy health", local=True))
    return (*always, *more)
