"""Facts in, findings out."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.preflight import (
    CHECKS,
    Address,
    CniConfig,
    Filesystem,
    FoundK3s,
    HostFacts,
    Link,
    Listener,
    Port,
    Route,
    Wanted,
    check,
    default_ports,
)
from installer.domain.preflight.machine import leading_version
from installer.domain.preflight.network import free_range

GIB = 1024**3
DATA = "/var/lib/rancher/k3s"
POWERS = "SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE MKNOD SYS_RESOURCE IPC_LOCK SYS_CHROOT BPF PERFMON"
CAPABILITIES = frozenset(f"CAP_{name}" for name in POWERS.split())


def disk(path: str = DATA, options: str = "rw,relatime", free: int = 50 * GIB, inodes: int = 10**6) -> Filesystem:
    return Filesystem(path, "/", "ext4", tuple(options.split(",")), 100 * GIB, free, 10**7, inodes)


HEALTHY = HostFacts(
    uid=0,
    arch="x86_64",
    kernel="6.1.0-18-amd64",
    os_id="debian",
    os_version="12",
    cpus=4,
    memory_bytes=8 * GIB,
    cgroup="v2",
    controllers=("cpu", "cpuset", "io", "memory", "pids"),
    filesystems=(disk(), disk("/usr/local/bin"), disk("/opt/cni/bin")),
    root_shared=True,
    bpffs=True,
    routes=(Route("0.0.0.0/0", "eth0", "192.0.2.1"), Route("192.0.2.0/24", "eth0"), Route("fe80::/64", "eth0")),
    addresses=(Address("127.0.0.1/8", "lo"), Address("192.0.2.2/24", "eth0"), Address("::1/128", "lo")),
    links=(Link("lo"), Link("eth0")),
    listeners=(Listener("tcp", "0.0.0.0", 22, 700, "sshd"),),
    inotify_instances=8192,
    inotify_watches=524288,
    hostname="node-1",
    service_manager="systemd",
    init="systemd",
    capabilities=CAPABILITIES,
    time=1_800_000_000.0,
)
WANTED = Wanted(ports=default_ports())
NGINX = Listener("tcp", "0.0.0.0", 6443, 4711, "nginx")
FLANNEL = FoundK3s("/usr/local/bin/k3s", "v1.30.1+k3s1", "k3s", 99, flannel=("flannel.1",))


def findings(wanted: Wanted = WANTED, **changes: Any) -> list[tuple[str, str]]:
    found = check(dataclasses.replace(HEALTHY, **changes), wanted)
    return [(finding.code, str(finding.level)) for finding in found]


def only(wanted: Wanted = WANTED, **changes: Any) -> Any:
    found = check(dataclasses.replace(HEALTHY, **changes), wanted)
    assert len(found) == 1, found
    return found[0]


def test_healthy_host_has_no_findings() -> None:
    assert check(HEALTHY, WANTED) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"uid": 1000}, ("E-PRE-001", "error")),
        ({"arch": "armv7l"}, ("E-PRE-002", "error")),
        ({"arch": "s390x"}, ("E-PRE-002", "error")),
        ({"kernel": "5.9.16"}, ("E-PRE-003", "error")),
        ({"kernel": "4.18.0-553.el8"}, ("E-PRE-003", "error")),
        ({"kernel": "3.10.0-1160.el7", "os_id": "centos"}, ("E-PRE-003", "error")),
        ({"memory_bytes": GIB}, ("E-PRE-005", "warning")),
        ({"swap_bytes": 2 * GIB}, ("E-PRE-006", "info")),
        ({"controllers": ("cpu", "pids")}, ("E-PRE-007", "error")),
        ({"cgroup": "", "controllers": ()}, ("E-PRE-007", "error")),
        ({"cgroup": "hybrid"}, ("E-PRE-008", "warning")),
        ({"cgroup": "v1"}, ("E-PRE-008", "warning")),
        ({"filesystems": (disk(free=GIB),)}, ("E-PRE-009", "error")),
        ({"filesystems": (disk(inodes=100),)}, ("E-PRE-010", "error")),
        ({"filesystems": (disk(), disk("/usr/local/bin", "ro"))}, ("E-PRE-011", "error")),
        ({"filesystems": (disk(options="rw,noexec"),)}, ("E-PRE-012", "error")),
        ({"root_shared": False}, ("E-PRE-013", "warning")),
        ({"root_shared": False, "service_manager": "none"}, ("E-PRE-013", "info")),
        ({"root_shared": False, "service_manager": "openrc"}, ("E-PRE-013", "info")),
        ({"bpffs": False}, ("E-PRE-014", "info")),
        ({"inotify_instances": 128}, ("E-PRE-015", "warning")),
        ({"inotify_watches": 8192}, ("E-PRE-015", "warning")),
        ({"capabilities": CAPABILITIES - {"CAP_NET_ADMIN"}}, ("E-PRE-016", "error")),
        ({"capabilities": CAPABILITIES - {"CAP_SYS_RESOURCE"}}, ("E-PRE-017", "warning")),
        ({"selinux": "enforcing"}, ("E-PRE-018", "warning")),
        ({"wsl": True}, ("E-PRE-019", "warning")),
        ({"time": 100.0}, ("E-PRE-020", "error")),
        ({"hostname": "my_host"}, ("E-PRE-021", "warning")),
        ({"hostname": "localhost.localdomain"}, ("E-PRE-021", "warning")),
        ({"unknown": {"links": "the program ip is missing"}}, ("E-PRE-022", "warning")),
        ({"k3s": FLANNEL}, ("E-PRE-030", "error")),
        ({"k3s": FoundK3s("/usr/local/bin/k3s", "v1.30.1+k3s1")}, ("E-PRE-031", "warning")),
        ({"k3s": FoundK3s(config="/etc/rancher/k3s/config.yaml")}, ("E-PRE-031", "warning")),
        ({"k3s": FoundK3s(service="k3s-agent")}, ("E-PRE-032", "error")),
        ({"links": (Link("cni0", "bridge"),)}, ("E-PRE-033", "error")),
        ({"cni_configs": (CniConfig("/etc/cni/net.d/10-calico.conflist", "c", "calico"),)}, ("E-PRE-034", "warning")),
        ({"cni_configs": (CniConfig("/etc/cni/net.d/87-broken.conf"),)}, ("E-PRE-034", "warning")),
        ({"kubeconfigs": ("/root/.kube/config",)}, ("E-PRE-035", "info")),
        ({"routes": HEALTHY.routes[1:]}, ("E-PRE-040", "error")),
        ({"listeners": (NGINX,)}, ("E-PRE-041", "error")),
        ({"links": (Link("vxlan7", "vxlan", 8472),)}, ("E-PRE-042", "error")),
        ({"addresses": (Address("10.42.7.1/24", "eth1"),)}, ("E-PRE-043", "error")),
        ({"routes": (*HEALTHY.routes, Route("10.43.0.0/16", "tun0"))}, ("E-PRE-043", "error")),
        ({"routes": (*HEALTHY.routes, Route("10.43.9.0/24", "tun0", table="52"))}, ("E-PRE-043", "error")),
    ],
    ids=lambda value: next(iter(value)),
)
def test_one_thing_wrong(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    found = only(**changes)
    assert (found.code, str(found.level)) == expected
    assert all((found.subject, found.what, found.evidence, found.fix)), "every finding has evidence and a fix"


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "aarch64"},
        {"kernel": "5.10.0"},
        {"kernel": "4.18.0-553.el8_10.x86_64", "os_id": "rhel"},
        {"kernel": "4.18.0-553.el8_10.x86_64", "os_id": "somenew", "os_like": ("rhel", "fedora")},
        {"memory_bytes": int(1.9 * GIB)},
        {"selinux": "permissive"},
        {"selinux": "enforcing", "selinux_policy": True},
        {"filesystems": (disk(inodes=0), disk("/var/log", "rw,noexec"))[1:]},
        {"hostname": "Node-1.Example.org"},
        {"cni_configs": (CniConfig("/etc/cni/net.d/05-cilium.conflist", "cilium", "cilium-cni"),)},
        {"kubeconfigs": ("/etc/rancher/k3s/k3s.yaml",)},
        {"listeners": (Listener("udp", "0.0.0.0", 6443, 1, "other"), Listener("tcp", "0.0.0.0", 8472, 1, "other"))},
        {"listeners": (Listener("tcp", "192.0.2.2", 10248, 1, "another address"),)},
        {"links": (Link("vxlan7", "vxlan", 4789), Link("eth0"))},
        {"links": (Link("cilium_vxlan", "vxlan", 8472),), "listeners": (Listener("udp", "0.0.0.0", 8472),)},
        {"routes": (*HEALTHY.routes, Route("10.42.0.0/24", "cilium_host", "10.42.0.7"))},
        {"addresses": (Address("10.42.0.7/32", "cilium_host"), Address("10.42.0.9/32", "lxc0123456789ab"))},
        {"routes": (Route("::/0", "eth0", "fe80::1"),)},
        {"time": 0.0},
    ],
    ids=lambda value: next(iter(value)),
)
def test_nothing_wrong(changes: dict[str, Any]) -> None:
    assert findings(**changes) == []


def test_inodes_that_are_not_counted() -> None:
    uncounted = dataclasses.replace(disk(), total_inodes=0, free_inodes=0)
    assert findings(filesystems=(uncounted,)) == []


def test_lxc_bridge_of_another_program_is_not_ours() -> None:
    assert findings(addresses=(Address("10.42.3.1/24", "lxcbr0"),)) == [("E-PRE-043", "error")]


def test_port_names_its_holder() -> None:
    found = only(listeners=(NGINX,))
    assert found.subject == "port 6443/tcp"
    assert found.evidence == "nginx (pid 4711) listens on 0.0.0.0:6443/tcp"
    assert "stop nginx" in found.fix


def test_port_with_unseen_holder() -> None:
    found = only(listeners=(Listener("tcp", "::", 10250),))
    assert "[::]:10250/tcp" in found.evidence
    assert "ss -lnp" in found.fix


def test_local_port_is_taken_by_a_listener_on_all_addresses() -> None:
    assert findings(listeners=(Listener("tcp", "::", 6444, 5, "haproxy"),)) == [("E-PRE-041", "error")]


def test_ports_of_our_own_running_cluster() -> None:
    ours = dataclasses.replace(WANTED, ours=True)
    running = (
        Listener("tcp", "::", 6443, 9, "k3s-server", in_cluster=True),
        Listener("tcp", "127.0.0.1", 9879, 10, "cilium-agent", in_cluster=True),
        Listener("udp", "0.0.0.0", 8472),
    )
    assert findings(ours, listeners=running, k3s=FLANNEL) == []
    assert findings(ours, listeners=(NGINX,)) == [("E-PRE-041", "error")], "another program is still a clash"
    assert findings(listeners=running, k3s=FLANNEL) == [("E-PRE-030", "error")], "one cause, one finding"
    stray = FoundK3s("/usr/local/bin/k3s", pid=9)
    assert findings(listeners=running, k3s=stray) == [("E-PRE-036", "error")]
    assert {code for code, _ in findings(listeners=running)} == {"E-PRE-041"}, "another kind of Kubernetes"


def test_our_own_routes_and_what_overlaps_them() -> None:
    ours = dataclasses.replace(WANTED, ours=True)
    links = (Link("veth1", "veth"), Link("eth0"))
    pods = (*HEALTHY.routes, Route("10.42.0.3/32", "veth1"), Route("10.42.0.0/24", "cilium_host"))
    assert findings(ours, routes=pods, links=links) == []
    assert findings(routes=pods, links=links) == [("E-PRE-043", "error")]
    assert findings(routes=pods, links=links, k3s=FLANNEL) == [("E-PRE-030", "error")]
    lan = (*HEALTHY.routes, Route("10.42.0.0/16", "eth0"))
    assert findings(ours, routes=lan) == [("E-PRE-043", "warning")], "too late to refuse"


def test_agent_of_another_cluster_is_refused_before_flannel() -> None:
    agent = dataclasses.replace(FLANNEL, service="k3s-agent")
    assert findings(k3s=agent) == [("E-PRE-032", "error")]


def test_unsupported_may_be_allowed() -> None:
    allowed = dataclasses.replace(WANTED, allow_unsupported=True)
    assert findings(allowed, kernel="5.4.0") == [("E-PRE-003", "warning")]
    assert findings(allowed, arch="armv7l") == [("E-PRE-002", "error")], "images that do not exist cannot be allowed"


@pytest.mark.parametrize("mode", ["v1", "hybrid"])
def test_cgroup_v1_by_version(mode: str) -> None:
    new, old = (dataclasses.replace(WANTED, k3s_version=version) for version in ("v1.35.0+k3s1", "v1.34.3+k3s1"))
    assert findings(new, cgroup=mode) == [("E-PRE-008", "error")]
    assert findings(dataclasses.replace(new, allow_unsupported=True), cgroup=mode) == [("E-PRE-008", "warning")]
    assert findings(old, cgroup=mode) == []
    assert findings(new, cgroup="v2") == []


def test_wireguard_needs_a_newer_kernel() -> None:
    wanted = dataclasses.replace(WANTED, features=frozenset({"wireguard"}))
    assert findings(wanted, kernel="4.18.0-553.el8", os_id="rhel") == [("E-PRE-004", "error")]
    assert findings(wanted) == []


def test_another_tunnel_port() -> None:
    wanted = Wanted(ports=default_ports(tunnel=8473))
    assert findings(wanted, links=(Link("vxlan7", "vxlan", 8472),)) == []
    assert findings(wanted, links=(Link("vxlan7", "vxlan", 8473),)) == [("E-PRE-042", "error")]


def test_default_ports_follow_the_settings() -> None:
    few = default_ports(api=7443, tunnel=0, hubble=False, envoy=False)
    assert {port.port for port in default_ports()} - {port.port for port in few} == {6443, 6444, 8472, 4244, 9878}
    assert Port("tcp", 7444, "Kubernetes API, local", local=True) in few


def test_overlap_says_where_and_proposes_a_free_network() -> None:
    tunnel = (*HEALTHY.routes, Route("10.0.0.0/9", "tun0"))
    facts = dataclasses.replace(HEALTHY, addresses=(Address("10.42.7.1/24", "wg0"),), routes=tunnel)
    found, services = check(facts, WANTED)
    assert found.subject == "pod network 10.42.0.0/16"
    assert "route 10.0.0.0/9 dev tun0; address 10.42.7.1/24 dev wg0" in found.evidence
    proposed = ipaddress.IPv4Network(found.fix.split("such as ")[1].split()[0])
    assert proposed.prefixlen == 16
    assert not proposed.overlaps(ipaddress.IPv4Network("10.0.0.0/9"))
    also = ipaddress.IPv4Network(services.fix.split("such as ")[1].split()[0])
    assert not proposed.overlaps(also), "both proposals can be taken together"


def test_dual_stack() -> None:
    wanted = dataclasses.replace(WANTED, cluster_cidr="10.42.0.0/16,fd42::/56", service_cidr="10.43.0.0/16,fd43::/112")
    assert findings(wanted) == []
    found = only(wanted, routes=(*HEALTHY.routes, Route("fd42:0:0:3::/64", "eth1")))
    assert found.subject == "pod network fd42::/56"
    assert "/56" in found.fix


def test_pod_and_service_network_overlap() -> None:
    wanted = dataclasses.replace(WANTED, cluster_cidr="10.0.0.0/8")
    assert findings(wanted) == [("E-PRE-044", "error")]


def test_all_findings_at_once_worst_first() -> None:
    found = check(
        dataclasses.replace(HEALTHY, uid=1, arch="mips", swap_bytes=1, memory_bytes=1, listeners=(NGINX,)), WANTED
    )
    assert [str(finding.level) for finding in found] == ["error", "error", "error", "warning", "info"]
    assert found[0].to_dict()["level"] == "error"


def test_codes_are_unique_to_a_check() -> None:
    assert len(CHECKS) == len(set(CHECKS))


def test_facts_as_json() -> None:
    told = json.loads(json.dumps(dataclasses.replace(HEALTHY, k3s=FLANNEL).to_dict()))
    assert told["k3s"]["flannel"] == ["flannel.1"]
    assert told["capabilities"] == sorted(CAPABILITIES)
    assert told["filesystems"][0]["mount"] == "/"


@pytest.mark.parametrize(
    ("release", "version"),
    [("5.10.0-28-amd64", (5, 10)), ("6.18.44-fc", (6, 18)), ("4.18.0-553.el8", (4, 18)), ("", (0, 0))],
)
def test_leading_version(release: str, version: tuple[int, int]) -> None:
    assert leading_version(release) == version


networks = st.builds(
    lambda address, length: ipaddress.IPv4Network((address, length), strict=False),
    st.integers(0x0A000000, 0x0AFFFFFF) | st.integers(0xAC100000, 0xAC1FFFFF) | st.integers(0xC0A80000, 0xC0A8FFFF),
    st.integers(10, 32),
)


@given(like=networks, taken=st.lists(networks, max_size=12))
def test_free_range_is_free_private_and_of_the_same_size(
    like: ipaddress.IPv4Network, taken: list[ipaddress.IPv4Network]
) -> None:
    found = free_range(like, taken)
    if found is None:
        assert like.prefixlen <= 12
        return
    assert isinstance(found, ipaddress.IPv4Network)
    assert found.prefixlen == like.prefixlen
    assert not any(found.overlaps(one) for one in taken)
    assert found.is_private or found.overlaps(ipaddress.IPv4Network("100.64.0.0/10"))


def test_without_root_unseen_holders_beside_a_k3s_are_taken_for_its_own() -> None:
    unseen = Listener("tcp", "0.0.0.0", 6443)
    there = FoundK3s("/usr/local/bin/k3s", "v1.36.4+k3s1", "k3s", 99)
    assert ("E-PRE-041", "error") not in findings(uid=1000, k3s=there, listeners=(unseen,))
    assert ("E-PRE-041", "error") in findings(uid=1000, listeners=(unseen,))
    assert ("E-PRE-041", "error") in findings(uid=0, k3s=there, listeners=(unseen,))
