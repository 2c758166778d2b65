"""Whose a thing is, and what a comparison says; no host is needed for that."""

from __future__ import annotations

from typing import Any

import pytest

from installer.domain.errors import BeeyardError
from installer.domain.installed import Installed
from installer.domain.residue.inventory import Inventory, Item, Kind, load
from installer.domain.residue.judge import judge
from installer.domain.residue.ownership import owner
from installer.domain.residue.report import Kept, Report, by_hand
from installer.domain.residue.scope import Choice, Scope, choice_from_dict, from_dict, scope_of

SCOPE = Scope(known=True, wrote={"/etc/rancher/k3s/config.yaml": "new"}, arrived=("/opt/cni/bin/loopback",))
LOCAL = {"family": "4", "priority": 100, "src": "all", "table": "255"}


def file(name: str, **facts: Any) -> Item:
    return Item(Kind.FILE, name, {"type": "file", **facts})


@pytest.mark.parametrize(
    ("kind", "name", "facts", "whose"),
    [
        (Kind.LINK, "cilium_host", {"kind": "veth"}, "Cilium"),
        (Kind.LINK, "lxc0123456789ab", {"kind": "veth"}, "Cilium"),
        (Kind.LINK, "lxc_health", {"kind": "netkit"}, "Cilium"),
        (Kind.LINK, "lxcbr0", {"kind": "bridge"}, ""),
        (Kind.LINK, "lxcabcdef", {"kind": "bridge"}, ""),
        (Kind.LINK, "lxc-web", {"kind": "veth"}, ""),
        (Kind.LINK, "cni0", {"kind": "bridge"}, "k3s"),
        (Kind.LINK, "cni0", {"kind": "dummy"}, ""),
        (Kind.LINK, "cni-podman0", {"kind": "bridge"}, ""),
        (Kind.RULE, "r", {"priority": 9, "fwmark": "0x200", "table": "2004"}, "Cilium"),
        (Kind.RULE, "r", {"priority": 10, "fwmark": "0xa00", "table": "2005"}, "Cilium"),
        (Kind.RULE, "r", {"priority": 9, "src": "192.0.2.0", "table": "2004"}, ""),
        (Kind.RULE, "r", LOCAL, "Cilium"),
        (Kind.RULE, "r", {**LOCAL, "iif": "eth1"}, ""),
        (Kind.RULE, "r", {**LOCAL, "priority": 0}, ""),
        (Kind.RULE, "r", {"priority": 111, "src": "10.42.3.4", "table": "11"}, "Cilium"),
        (Kind.RULE, "r", {"priority": 111, "src": "10.9.3.4", "table": "11"}, ""),
        (Kind.RULE, "r", {"priority": 20, "dst": "fd00::1", "table": "254"}, ""),
        (Kind.ROUTE, "r", {"table": "2004", "dev": "lo"}, "Cilium"),
        (Kind.ROUTE, "r", {"table": "254", "dev": "cilium_host"}, "Cilium"),
        (Kind.ROUTE, "r", {"table": "200", "dev": "eth0"}, ""),
        (Kind.IPTABLES_CHAIN, "c", {"chain": "OLD_CILIUM_INPUT"}, "Cilium"),
        (Kind.IPTABLES_CHAIN, "c", {"chain": "KUBE-SVC-ABC"}, "k3s"),
        (Kind.IPTABLES_CHAIN, "c", {"chain": "DOCKER-USER"}, ""),
        (Kind.IPTABLES_RULE, "c", {"chain": "INPUT", "target": "CILIUM_INPUT"}, "Cilium"),
        (Kind.IPTABLES_RULE, "c", {"chain": "INPUT", "target": "ACCEPT"}, ""),
        (Kind.NFT_TABLE, "inet cilium_testbed", {}, "Cilium"),
        (Kind.NFT_TABLE, "ip kube-proxy", {}, "k3s"),
        (Kind.NFT_TABLE, "inet firewalld", {}, ""),
        (Kind.BPF, "b", {"program": "cil_from_netdev"}, "Cilium"),
        (Kind.BPF, "b", {"program": "sd_devices"}, ""),
        (Kind.PIN, "/sys/fs/bpf/cilium/x", {}, "Cilium"),
        (Kind.PIN, "/sys/fs/bpf/tc/globals/cilium_lxc", {}, "Cilium"),
        (Kind.PIN, "/sys/fs/bpf/tc/globals/mine", {}, ""),
        (Kind.NETNS, "cni-123", {}, "k3s"),
        (Kind.NETNS, "cni-123", {"busy": True}, ""),
        (Kind.MOUNT, "/run/k3s/containerd/x", {}, "k3s"),
        (Kind.MOUNT, "/var/lib/rancherish", {}, ""),
        (Kind.FILE, "/etc/cni/net.d/05-cilium.conflist", {}, "Cilium"),
        (Kind.FILE, "/etc/cni/net.d/87-podman.conflist", {}, ""),
        (Kind.FILE, "/opt/cni/bin/loopback", {}, "Cilium"),
        (Kind.FILE, "/opt/cni/bin/bridge", {}, ""),
        (Kind.FILE, "/usr/local/bin/kubectl", {"type": "link", "target": "k3s"}, "k3s"),
        (Kind.FILE, "/usr/local/bin/kubectl", {"type": "file"}, ""),
        (Kind.FILE, "/etc/rancher", {"type": "dir", "empty": True}, "k3s"),
        (Kind.FILE, "/etc/rancher", {"type": "dir"}, ""),
        (Kind.FILE, "/etc/sysctl.d/99-zzz-override_cilium.conf", {}, "Cilium"),
        (Kind.FILE, "/var/lib/beeyard/installed.json", {}, "beeyard"),
        (Kind.FILE, "/var/lib/beeyard/runs", {}, ""),
        (Kind.SYSCTL, "net.ipv4.ip_forward", {"value": "1"}, ""),
    ],
)
def test_owner(kind: Kind, name: str, facts: dict[str, Any], whose: str) -> None:
    assert owner(Item(kind, name, facts), SCOPE) == whose


def test_kept_data_is_not_ours_any_more() -> None:
    scope = Scope(keep=("/var/lib/rancher/k3s/server",))
    assert owner(file("/var/lib/rancher/k3s/server/token"), scope) == ""
    assert owner(file("/var/lib/rancher/k3s/agent"), scope) == "k3s"


def test_what_was_there_before_is_left_alone() -> None:
    link = Item(Kind.LINK, "cilium_host", {"kind": "veth"})
    judged = judge(Inventory([link]), Inventory([link]), SCOPE)
    assert judged.clean
    assert not judge(None, Inventory([link]), SCOPE).clean


def test_changes_of_ours_are_put_back_and_those_of_others_told() -> None:
    before = Inventory(
        [
            file("/etc/rancher/k3s/config.yaml", sha256="old", kept=True),
            file("/etc/cni/net.d/1.conf", sha256="a", kept=True),
            file("/opt/cni/bin/bridge", sha256="a", kept=True),
            Item(Kind.SYSCTL, "net.ipv4.ip_forward", {"value": "0"}),
            Item(Kind.MOUNT, "/", {"type": "ext4", "shared": False}),
            Item(Kind.RULE, "0", {"family": "4", "priority": 0, "src": "all", "table": "255"}),
            Item(Kind.MODULE, "fuse"),
            Item(Kind.ADDRESS, "eth0 192.0.2.7/24", {"dynamic": True}),
        ]
    )
    now = Inventory(
        [
            file("/etc/rancher/k3s/config.yaml", sha256="new", kept=True),
            file("/etc/cni/net.d/1.conf.cilium_bak", sha256="a", kept=True),
            file("/opt/cni/bin/bridge", sha256="b", kept=True),
            Item(Kind.SYSCTL, "net.ipv4.ip_forward", {"value": "1"}),
            Item(Kind.MOUNT, "/", {"type": "ext4", "shared": True}),
            Item(Kind.MODULE, "vxlan"),
            Item(Kind.ADDRESS, "eth0 192.0.2.8/24", {"dynamic": True}),
        ]
    )
    judged = judge(before, now, SCOPE)
    assert {one.item.name for one in judged.restore} == {
        "/etc/rancher/k3s/config.yaml", "/etc/cni/net.d/1.conf", "net.ipv4.ip_forward", "/", "0",
    }  # fmt: skip
    assert judged.left == ()
    assert [one.item.name for one in judged.drift if not one.passing] == ["/opt/cni/bin/bridge"]
    assert judged.drift[0].how == "sha256 was a, is b"


def test_sysctls_that_others_set_or_need_stay() -> None:
    names = ("net.ipv4.ip_forward", "net.ipv4.conf.eth0.rp_filter")
    before = Inventory([Item(Kind.SYSCTL, names[0], {"value": "0"}), Item(Kind.SYSCTL, names[1], {"value": "1"})])
    forwards = Item(Kind.SYSCTL, names[0], {"value": "1"})
    loose, off = (Item(Kind.SYSCTL, names[1], {"value": value}) for value in "20")
    bridge = Item(Kind.LINK, "docker0", {"kind": "bridge"})
    assert [one.item.name for one in judge(before, Inventory([forwards, off]), SCOPE).restore] == list(names)
    assert [one.item.name for one in judge(before, Inventory([forwards, loose]), SCOPE).restore] == [names[0]]
    assert [one.item.name for one in judge(before, Inventory([bridge, forwards, off]), SCOPE).restore] == [names[1]]


def test_empty_shells_go_only_where_they_were_not_before() -> None:
    shell = Item(Kind.NFT_TABLE, "ip nat", {"iptables": True, "empty": True})
    full = Item(Kind.NFT_TABLE, "ip nat", {"iptables": True, "empty": False})
    assert [one.item for one in judge(Inventory(), Inventory([shell]), SCOPE).left] == [shell]
    assert judge(Inventory([shell]), Inventory([shell]), SCOPE).clean
    assert judge(Inventory(), Inventory([full]), SCOPE).clean
    assert judge(None, Inventory([shell]), SCOPE).clean


def test_empty_folders_tell_of_nobody_without_an_inventory() -> None:
    folder = Item(Kind.FILE, "/etc/cni", {"type": "dir", "empty": True})
    assert judge(None, Inventory([folder]), SCOPE).telling().clean
    assert not judge(Inventory(), Inventory([folder]), SCOPE).telling().clean


def test_an_inventory_survives_the_disk() -> None:
    twice = [Item(Kind.MOUNT, "/mnt", {"type": "ext4"}), Item(Kind.MOUNT, "/mnt", {"type": "tmpfs"}, {"pid": 1})]
    written = Inventory(twice, at=7.0, missing=["no nft"])
    read = load(written.dump(), "x")
    assert [(item.name, item.facts) for item in read] == [("/mnt", {"type": "ext4"}), ("/mnt #2", {"type": "tmpfs"})]
    assert (read.at, read.missing) == (7.0, ("no nft",))
    for damaged in (b"", b"{}", b'{"format": 9, "items": []}', b'{"format": 1, "at": 0, "missing": [], "items": [{}]}'):
        with pytest.raises(BeeyardError) as caught:
            load(damaged, "x")
        assert caught.value.code == "E-RESIDUE-001"


def test_scope_comes_from_the_records_and_survives_the_disk() -> None:
    ours = Installed(k3s_version="v1", k3s_config={"data-dir": "/data/k3s", "cluster-cidr": "10.52.0.0/16,fd00::/56"})
    scope = scope_of(ours, {"k3s": {"binDir": "/opt/bin"}}, state_dir="/s")
    assert (scope.data_dir, scope.bin_dir, scope.pod_cidrs) == ("/data/k3s", "/opt/bin", ("10.52.0.0/16", "fd00::/56"))
    assert scope.known
    assert from_dict(scope.to_dict()) == scope
    assert not scope_of(Installed(), {}, state_dir="/s").known
    choice = Choice(keep_data=True, namespaces=("a*",))
    assert choice_from_dict({**choice.to_dict(), "namespaces": ["a*"]}) == choice


def test_the_report_names_each_thing_with_its_fix() -> None:
    items = [
        Item(Kind.LINK, "cilium_host", {"kind": "veth"}),
        Item(Kind.RULE, "r", {"family": "6", "priority": 9, "fwmark": "0x200", "table": "2004"}),
        Item(Kind.PROCESS, "k3s (pid 7)", {"of": "k3s"}, {"pid": 7}),
    ]
    report = Report(judge(None, Inventory(items), SCOPE), (Kept("/var/lib/beeyard", "history", "--purge"),))
    told = report.to_dict()
    assert (told["clean"], told["compared"]) == (False, "rules")
    assert [one["byHand"] for one in told["left"]] == [
        "kill 7", "ip -6 rule delete priority 9", "ip link delete cilium_host",
    ]  # fmt: skip
    assert "Left of the cluster: 3 things" in report.text()
    assert all(by_hand(item) for item in items)
    clean = Report(judge(Inventory(), Inventory(), SCOPE))
    assert "nothing of the cluster is left" in clean.text()
