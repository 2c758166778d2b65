"""Facts of the real host, and of hosts made in namespaces."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.host import procfs
from installer.adapters.host.facts import gather
from installer.adapters.host.processes import LocalProcesses
from installer.domain.preflight import HostFacts, Wanted, check
from installer.ports.host import ServiceKind
from tests.adapters.host.namespaces import BARE, GATHER, NETWORK, ROOT, codes, finding, look


async def real(**options: Any) -> HostFacts:
    return await gather(LocalProcesses(), manager=ServiceKind.NONE, **options)


async def test_the_real_host() -> None:
    facts = await real()
    assert (facts.uid, facts.arch, facts.kernel) == (os.geteuid(), platform.machine(), platform.release())
    assert facts.hostname == platform.node()
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert facts.memory_bytes > 2**28
    assert facts.cgroup in ("v1", "v2", "hybrid")
    assert facts.inotify_instances > 0
    assert facts.filesystem("/var/lib/rancher/k3s") is not None
    assert any(link.name == "lo" for link in facts.links)
    assert facts.unknown == {}
    assert facts.init == Path("/proc/1/comm").read_text().strip()
    json.dumps(facts.to_dict())


async def test_data_dir_that_does_not_exist_yet(tmp_path: Path) -> None:
    facts = await real(data_dir=tmp_path / "not/yet")
    found = facts.filesystem(str(tmp_path / "not/yet"))
    assert found is not None
    assert found.free_bytes > 0
    assert not (tmp_path / "not").exists()


async def test_proxies_without_passwords() -> None:
    environ = {"https_proxy": "http://me:s3cret@proxy:3128/", "NO_PROXY": "10.0.0.0/8,.svc", "HTTP_PROXY": ""}
    facts = await real(environ=environ)
    assert facts.proxy == {"HTTPS_PROXY": "http://me:***@proxy:3128/", "NO_PROXY": "10.0.0.0/8,.svc"}


@pytest.mark.root
async def test_without_root() -> None:
    os.seteuid(65534)
    try:
        facts = await real()
    finally:
        os.seteuid(0)
    assert facts.uid == 65534
    assert "CAP_NET_ADMIN" not in facts.capabilities
    assert facts.unknown == {}, "that rules are for root alone is nothing new"
    assert check(facts, Wanted())[0].code == "E-PRE-001"


@pytest.mark.root
def test_bare_host_in_namespaces() -> None:
    told = look(BARE + NETWORK)
    assert not codes(told) & {"E-PRE-030", "E-PRE-031", "E-PRE-034", "E-PRE-040", "E-PRE-041", "E-PRE-042", "E-PRE-043"}
    default = {"destination": "0.0.0.0/0", "device": "eth7", "gateway": "192.0.2.1", "table": "main", "metric": 0}
    assert default in told["facts"]["routes"]
    assert told["facts"]["root_shared"] is False
    assert finding(told, "E-PRE-013")["level"] == "info"


@pytest.mark.root
def test_no_default_route() -> None:
    assert "E-PRE-040" in codes(look(BARE + "ip link set lo up"))


@pytest.mark.root
def test_overlapping_networks_of_all_tables_and_families() -> None:
    script = """
    ip addr add 10.42.7.1/24 dev eth7
    ip route add 10.43.0.0/17 via 192.0.2.9 table 52
    ip -6 route add fd42::/64 dev eth7
    ip route add unreachable 10.99.0.0/16
    """
    told = look(BARE + NETWORK + script, wanted="cluster_cidr=10.42.0.0/16,fd42::/56 service_cidr=10.43.0.0/16")
    found = {one["subject"]: one["evidence"] for one in told["findings"] if one["code"] == "E-PRE-043"}
    assert set(found) == {"pod network 10.42.0.0/16", "pod network fd42::/56", "service network 10.43.0.0/16"}
    assert "address 10.42.7.1/24 dev eth7" in found["pod network 10.42.0.0/16"]
    assert "route 10.43.0.0/17 via 192.0.2.9 dev eth7" in found["service network 10.43.0.0/16"]
    assert not any(route["destination"] == "10.99.0.0/16" for route in told["facts"]["routes"])


@pytest.mark.root
def test_several_next_hops() -> None:
    script = "ip route add 10.42.0.0/16 nexthop via 192.0.2.7 nexthop via 192.0.2.8"
    told = look(BARE + NETWORK + script)
    assert "via 192.0.2.7 dev eth7" in finding(told, "E-PRE-043")["evidence"]


@pytest.mark.root
def test_ports_and_their_holders() -> None:
    told = look(BARE + NETWORK, "tcp:0.0.0.0:6443", "tcp:::1:6444", "tcp:192.0.2.2:10259", "udp:127.0.0.1:10250")
    taken = {one["subject"]: one for one in told["findings"] if one["code"] == "E-PRE-041"}
    assert set(taken) == {"port 6443/tcp", "port 6444/tcp"}
    assert f"(pid {told['pid']}) listens on 0.0.0.0:6443/tcp" in taken["port 6443/tcp"]["evidence"]
    assert "[::1]:6444" in taken["port 6444/tcp"]["evidence"]
    seen = {(one["protocol"], one["address"], one["port"]) for one in told["facts"]["listeners"]}
    assert {("tcp", "192.0.2.2", 10259), ("udp", "127.0.0.1", 10250)} <= seen


@pytest.mark.root
def test_vxlan_of_someone_else() -> None:
    script = "ip link add vx9 type vxlan id 9 dstport 8472 dev eth7; ip link set vx9 up"
    told = look(BARE + NETWORK + script)
    assert {"name": "vx9", "kind": "vxlan", "port": 8472, "master": ""} in told["facts"]["links"]
    assert "vx9" in finding(told, "E-PRE-042")["evidence"]
    assert "E-PRE-041" not in codes(told), "one cause, one finding"


@pytest.mark.root
def test_foreign_k3s_with_flannel() -> None:
    script = """
    printf '#!/bin/sh\\necho "k3s version v1.30.1+k3s1 (abcdef)"\\necho "go version go1.22"\\n' >/usr/local/bin/k3s
    chmod +x /usr/local/bin/k3s
    touch /etc/init.d/k3s
    mkdir -p /etc/rancher/k3s /var/lib/rancher/k3s/server /var/lib/rancher/k3s/agent/etc/cni/net.d
    touch /etc/rancher/k3s/config.yaml /var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist
    ip link add cni0 type bridge
    """
    told = look(BARE + NETWORK + script)
    k3s = told["facts"]["k3s"]
    assert (k3s["binary"], k3s["version"], k3s["service"]) == ("/usr/local/bin/k3s", "v1.30.1+k3s1", "k3s")
    assert (k3s["config"], k3s["data_dir"]) == ("/etc/rancher/k3s/config.yaml", "/var/lib/rancher/k3s")
    evidence = finding(told, "E-PRE-030")["evidence"]
    assert "v1.30.1+k3s1" in evidence
    assert "cni0" in evidence
    assert "10-flannel.conflist" in evidence
    assert "E-PRE-030" not in codes(look(BARE + NETWORK + script, wanted="ours=yes"))


@pytest.mark.root
def test_broken_k3s_binary() -> None:
    told = look(BARE + NETWORK + "echo trash >/usr/local/bin/k3s; chmod +x /usr/local/bin/k3s")
    assert (told["facts"]["k3s"]["binary"], told["facts"]["k3s"]["version"]) == ("/usr/local/bin/k3s", "")
    assert "E-PRE-031" in codes(told)


@pytest.mark.root
def test_running_k3s_and_its_ports(tmp_path: Path) -> None:
    program = tmp_path / "server.py"
    program.write_text(
        "import os, socket\n"
        "made = socket.socket(); made.bind(('127.0.0.1', 10010)); made.listen()\n"
        "os.set_inheritable(made.fileno(), True)\n"
        "os.execv('/usr/local/bin/k3s', ['k3s', 'server'])\n"
    )
    script = """
    mkdir -p /var/lib/rancher/k3s/data/abc/bin
    printf '#!/bin/sh\\n[ "$1" = server ] && sleep 1000\\n' >/usr/local/bin/k3s; chmod +x /usr/local/bin/k3s
    """
    script += f"{shlex.quote(sys.executable)} {program} & server=$!\n"
    script += "until grep -q server /proc/$server/cmdline && grep -q k3s /proc/$server/comm; do sleep 0.05; done\n"
    told = look(BARE + NETWORK + script)
    assert told["facts"]["k3s"]["pid"] > 0
    holder = next(one for one in told["facts"]["listeners"] if one["port"] == 10010)
    assert holder["in_cluster"] is True
    assert "running as pid" in finding(told, "E-PRE-036")["evidence"]
    assert "E-PRE-041" not in codes(told)


@pytest.mark.root
def test_leftover_cni_configurations() -> None:
    script = """
    mkdir -p /etc/cni/net.d; cd /etc/cni/net.d
    echo '{"name": "cbr0", "plugins": [{"type": "flannel"}, {"type": "portmap"}]}' >10-flannel.conflist
    echo '{"name": "old", "type": "bridge"}' >20-bridge.conf
    echo 'trash' >30-trash.conf; echo '[]' >40-list.json
    touch 10-flannel.conflist.cilium_bak; cd - >/dev/null
    """
    told = look(BARE + NETWORK + script)
    assert [(Path(one["path"]).name, one["plugin"]) for one in told["facts"]["cni_configs"]] == [
        ("10-flannel.conflist", "flannel"),
        ("20-bridge.conf", "bridge"),
        ("30-trash.conf", ""),
        ("40-list.json", ""),
    ]
    assert "20-bridge.conf (bridge)" in finding(told, "E-PRE-034")["evidence"]


@pytest.mark.root
def test_small_noexec_and_read_only_mounts() -> None:
    script = """
    mkdir -p /var/lib/rancher/k3s; mount -t tmpfs -o size=1m,nr_inodes=100,noexec tmpfs /var/lib/rancher/k3s
    mount -o remount,ro /usr/local/bin
    """
    told = look(BARE + NETWORK + script)
    assert {"E-PRE-009", "E-PRE-010", "E-PRE-011", "E-PRE-012"} <= codes(told)
    assert finding(told, "E-PRE-011")["subject"] == "/usr/local/bin"
    assert "/var/lib/rancher/k3s (tmpfs)" in finding(told, "E-PRE-012")["evidence"]


@pytest.mark.root
def test_bpf_file_system_and_shared_root() -> None:
    told = look(BARE + NETWORK + "mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf; mount --make-rshared /")
    assert told["facts"]["bpffs"] is True
    assert told["facts"]["root_shared"] is True


@pytest.mark.root
def test_unified_cgroup_with_a_stray_v1_mount() -> None:
    script = """
    umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir -p /etc/cni/stray; mount -t cgroup -o none,name=stray stray /etc/cni/stray
    """
    assert look(BARE + NETWORK + script)["facts"]["cgroup"] == "v2"


@pytest.mark.root
def test_without_iproute2(tmp_path: Path) -> None:
    told = look(BARE + NETWORK + f"PATH={tmp_path}")
    assert set(told["facts"]["unknown"]) == {"routes", "addresses", "links"}
    assert "E-PRE-022" in codes(told)
    assert "E-PRE-040" not in codes(told), "nothing is claimed of what was not seen"


@pytest.mark.root
def test_missing_capability() -> None:
    command = f"exec setpriv --bounding-set=-sys_resource,-mknod --inh-caps=-sys_resource,-mknod {GATHER} --"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    told = json.loads(done.stdout)
    assert "CAP_MKNOD" in finding(told, "E-PRE-016")["evidence"]
    assert "CAP_SYS_RESOURCE" in finding(told, "E-PRE-017")["evidence"]


def test_mount_points_with_odd_names() -> None:
    line = "36 35 98:0 / /mnt/two\\040words\\303\\251 rw,noatime shared:1 - ext4 /dev/sda ro,errors=continue"
    (mount,) = procfs.mounts(line)
    assert mount == procfs.Mount("/mnt/two wordsé", "ext4", ("errors=continue", "noatime", "ro"), shared=True)


def test_deepest_and_latest_mount_wins() -> None:
    table = [
        procfs.Mount(point, kind, (), shared=False)
        for point, kind in (("/", "a"), ("/var", "b"), ("/var", "c"), ("/variety", "d"))
    ]
    kinds = [found.kind for path in ("/var/lib", "/various", "/var") if (found := procfs.mount_of(Path(path), table))]
    assert kinds == ["c", "a", "c"]
