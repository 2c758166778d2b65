"""What is known of a host: plain values, gathered by an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from installer.domain.kernel.proof import KernelProof
from installer.domain.preflight.surroundings import (
    Clock,
    ClusterFacts,
    Firewall,
    Identity,
    Managers,
    Resolver,
    Setting,
    Source,
)


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens.

    Attributes:
        protocol: ``tcp`` or ``udp``.
        address: local address, such as ``0.0.0.0``, ``::`` or ``127.0.0.1``.
        port: number.
        pid: holder, 0 when unknown (a kernel socket has none).
        process: the holder's name, such as ``nginx``.
        in_cluster: the holder belongs to k3s or runs in a pod.
    """

    protocol: str
    address: str
    port: int
    pid: int = 0
    process: str = ""
    in_cluster: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A unicast route of any table but ``local``.

    Attributes:
        destination: CIDR; ``0.0.0.0/0`` or ``::/0`` for a default route.
        device: link, may be empty.
        gateway: next hop, may be empty.
        table: name or number of the table.
        metric: the lowest wins.
    """

    destination: str
    device: str = ""
    gateway: str = ""
    table: str = "main"
    metric: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the host.

    Attributes:
        address: with prefix length, such as ``192.0.2.2/24``.
        device: link.
    """

    address: str
    device: str


@dataclass(frozen=True, slots=True)
class Link:
    """A network device.

    Attributes:
        name: such as ``eth0``.
        kind: ``vxlan``, ``bridge``, ``veth`` …; empty for hardware.
        port: UDP port of a VXLAN or Geneve device, else 0.
        master: device that it belongs to, may be empty.
    """

    name: str
    kind: str = ""
    port: int = 0
    master: str = ""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """The file system that holds a path.

    Attributes:
        path: the path asked for; it need not exist yet.
        mount: where the file system is mounted.
        kind: its type, such as ``ext4``.
        options: mount options, such as ``rw`` and ``noexec``.
        total_bytes: size.
        free_bytes: free, reserved blocks left out.
        total_inodes: 0 where the file system does not count them.
        free_inodes: free, reserved ones left out.
    """

    path: str
    mount: str
    kind: str
    options: tuple[str, ...]
    total_bytes: int
    free_bytes: int
    total_inodes: int = 0
    free_inodes: int = 0


@dataclass(frozen=True, slots=True)
class CniConfig:
    """A CNI configuration.

    Attributes:
        path: file.
        name: its ``name``, may be empty.
        plugin: type of its first plugin, such as ``flannel``; empty when it cannot be read.
    """

    path: str
    name: str = ""
    plugin: str = ""


@dataclass(frozen=True, slots=True)
class FoundK3s:
    """A k3s that is on the host already.

    Attributes:
        binary: path, may be empty.
        version: such as ``v1.36.4+k3s1``, may be empty.
        service: ``k3s`` or ``k3s-agent`` where such a service is defined, else empty.
        pid: running process, 0 for none.
        config: path of its configuration, empty where there is none.
        data_dir: data folder, empty where there is none.
        flannel: what shows that flannel is in use (links, configurations); empty for nothing.
        kube_proxy: its configuration leaves kube-proxy on; None where there is none to be read.
    """

    binary: str = ""
    version: str = ""
    service: str = ""
    pid: int = 0
    config: str = ""
    data_dir: str = ""
    flannel: tuple[str, ...] = ()
    kube_proxy: bool | None = None

    @property
    def present(self) -> bool:
        """Whether there is anything of a k3s, traces of flannel aside."""
        return bool(self.binary or self.service or self.pid or self.config or self.data_dir)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host as it is. The defaults describe nothing real; an adapter fills every field it can.

    Attributes:
        uid: effective user id of beeyard.
        arch: machine as ``uname -m`` says.
        kernel: release as ``uname -r`` says.
        os_id: ``ID`` of os-release, such as ``debian``.
        os_like: words of ``ID_LIKE``.
        os_version: ``VERSION_ID``.
        cpus: processors that we may use.
        memory_bytes: memory of the host.
        swap_bytes: swap space in use or not.
        cgroup: ``v1``, ``v2``, ``hybrid`` or empty for none.
        controllers: cgroup controllers that are on.
        filesystems: one for each relevant path.
        root_shared: the root mount propagates.
        bpffs: ``/sys/fs/bpf`` is a mounted bpf file system.
        routes: unicast routes of both families.
        addresses: addresses of both families.
        links: network devices.
        listeners: listening sockets.
        k3s: what is there of a k3s.
        cni_configs: configurations in ``/etc/cni/net.d``.
        kubeconfigs: kubeconfig files that exist.
        inotify_instances: ``fs.inotify.max_user_instances``.
        inotify_watches: ``fs.inotify.max_user_watches``.
        hostname: name of the host.
        proxy: proxy variables of the environment, passwords masked.
        selinux: ``enforcing``, ``permissive`` or empty.
        selinux_policy: the ``k3s-selinux`` policy is there.
        service_manager: ``systemd``, ``openrc`` or ``none``.
        init: name of process 1.
        capabilities: effective capabilities, such as ``CAP_NET_ADMIN``.
        wsl: it runs in the Windows Subsystem for Linux.
        time: UNIX time in seconds.
        kernel_proof: what came of trying the kernel's features; None where they were not tried.
        rp_filter: reverse path filter by link, ``all`` and ``default`` included.
        sysctl_lines: lines of sysctl files that decide about it, in the order of reading.
        firewall: what filters packets.
        managers: programs that look after links, routes and rules.
        identity: by what the host is told from others.
        clock: how the clock is kept; None where that was not looked at.
        resolvers: ``/etc/resolv.conf``, and systemd-resolved's own where it is there.
        ssh_client: address from which this session was opened, empty for none.
        kubeconfig_missing: files that ``KUBECONFIG`` names and that do not exist.
        cilium_left: traces of a Cilium.
        rc_local: OpenRC's service ``local`` starts at boot.
        cluster: the cluster that runs here; None where there is none or it was not looked at.
        sources: what came of knocking at the sources of downloads.
        unknown: facts that could not be gathered, with the reason.
    """

    uid: int = 0
    arch: str = "x86_64"
    kernel: str = ""
    os_id: str = ""
    os_like: tuple[str, ...] = ()
    os_version: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    swap_bytes: int = 0
    cgroup: str = ""
    controllers: tuple[str, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    root_shared: bool = False
    bpffs: bool = False
    routes: tuple[Route, ...] = ()
    addresses: tuple[Address, ...] = ()
    links: tuple[Link, ...] = ()
    listeners: tuple[Listener, ...] = ()
    k3s: FoundK3s = FoundK3s()
    cni_configs: tuple[CniConfig, ...] = ()
    kubeconfigs: tuple[str, ...] = ()
    inotify_instances: int = 0
    inotify_watches: int = 0
    hostname: str = ""
    proxy: Mapping[str, str] = field(default_factory=dict)
    selinux: str = ""
    selinux_policy: bool = False
    service_manager: str = "none"
    init: str = ""
    capabilities: frozenset[str] = frozenset()
    wsl: bool = False
    time: float = 0.0
    kernel_proof: KernelProof | None = None
    rp_filter: Mapping[str, int] = field(default_factory=dict)
    sysctl_lines: tuple[Setting, ...] = ()
    firewall: Firewall = field(default_factory=Firewall)
    managers: Managers = field(default_factory=Managers)
    identity: Identity = field(default_factory=Identity)
    clock: Clock | None = None
    resolvers: tuple[Resolver, ...] = ()
    ssh_client: str = ""
    kubeconfig_missing: tuple[str, ...] = ()
    cilium_left: tuple[str, ...] = ()
    rc_local: bool = False
    cluster: ClusterFacts | None = None
    sources: tuple[Source, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)

    def filesystem(self, path: str) -> Filesystem | None:
        """Return the file system gathered for a path."""
        return next((found for found in self.filesystems if found.path == path), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; field names as they are, capabilities sorted."""
        return {**asdict(self), "capabilities": sorted(self.capabilities)}
