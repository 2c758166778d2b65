"""Findings about firewalls, names, clocks, proxies and the cluster that runs: facts in, findings out."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from installer.domain.preflight import Address, Finding, FoundK3s, HostFacts, Link, Route, Wanted, check
from installer.domain.preflight.actions import RunCommand, WriteFile, from_dict, to_dict
from installer.domain.preflight.fix_record import Entry, dump, load
from installer.domain.preflight.fixes import SAFE, fixes
from installer.domain.preflight.surroundings import (
    Clock,
    ClusterFacts,
    Drop,
    Firewall,
    Firewalld,
    Identity,
    Managers,
    Release,
    Resolver,
    Setting,
    Source,
    Ufw,
)
from installer.domain.preflight.wanted import wanted_by
from installer.domain.spec import ClusterSpec
from tests.unit.test_preflight import HEALTHY, WANTED


def found(wanted: Wanted = WANTED, **changes: Any) -> list[Finding]:
    return check(dataclasses.replace(HEALTHY, **changes), wanted)


def told(wanted: Wanted = WANTED, **changes: Any) -> list[tuple[str, str]]:
    return [(one.code, str(one.level)) for one in found(wanted, **changes)]


def wanting(**changes: Any) -> Wanted:
    return dataclasses.replace(WANTED, **changes)


DROP = Drop("inet guarded into", "input", ("tcp dport 22 accept",))
TRUSTED = Firewalld("public", ("10.42.0.0/16", "10.43.0.0/16"), ("6443/tcp",))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"identity": Identity("missing")}, ("E-PRE-023", "warning")),
        ({"identity": Identity(cloned="it was i-1")}, ("E-PRE-023", "warning")),
        ({"hostname": "raspberrypi.lan"}, ("E-PRE-024", "info")),
        ({"clock": Clock(False)}, ("E-PRE-025", "warning")),
        ({"clock": Clock(False, "chronyd")}, ("E-PRE-025", "info")),
        ({"rp_filter": {"all": 1, "eth0": 0}}, ("E-PRE-027", "warning")),
        (
            {"sysctl_lines": (Setting("/etc/sysctl.conf", "net.ipv4.conf.all.rp_filter", "1"),)},
            ("E-PRE-028", "warning"),
        ),
        ({"resolvers": (Resolver("/etc/resolv.conf", ("127.0.0.1", "::1")),)}, ("E-PRE-029", "warning")),
        ({"resolvers": (Resolver("/etc/resolv.conf"),)}, ("E-PRE-029", "warning")),
        ({"cilium_left": ("/opt/cni/bin/cilium-cni",)}, ("E-PRE-037", "warning")),
        ({"kubeconfig_missing": ("/root/none",)}, ("E-PRE-038", "warning")),
        ({"identity": Identity(node_password="/etc/rancher/node/password")}, ("E-PRE-039", "info")),
        (
            {"routes": (*HEALTHY.routes, Route("default/0".replace("default", "0.0.0.0"), "wg0"))},
            ("E-PRE-045", "warning"),
        ),
        (
            {"routes": (*HEALTHY.routes, Route("0.0.0.0/1", "tun0"), Route("128.0.0.0/1", "tun0"))},
            ("E-PRE-045", "warning"),
        ),
        ({"managers": Managers(networkd=True)}, ("E-PRE-046", "warning")),
        ({"managers": Managers(network_manager=True)}, ("E-PRE-047", "warning")),
        ({"managers": Managers(cloud_setup=True)}, ("E-PRE-048", "warning")),
        ({"proxy": {"HTTPS_PROXY": "http://192.0.2.9:3128"}}, ("E-PRE-049", "warning")),
        ({"firewall": Firewall(firewalld=Firewalld())}, ("E-PRE-060", "warning")),
        ({"firewall": Firewall(ufw=Ufw((), "deny", "deny"))}, ("E-PRE-061", "warning")),
        ({"firewall": Firewall(ufw=Ufw(seen=False))}, ("E-PRE-061", "info")),
        ({"firewall": Firewall((DROP,))}, ("E-PRE-062", "warning")),
        ({"firewall": Firewall((dataclasses.replace(DROP, hook="forward"),))}, ("E-PRE-063", "warning")),
        ({"firewall": Firewall((Drop("ip filter FORWARD", "forward"),), docker=True)}, ("E-PRE-064", "info")),
        ({"firewall": Firewall(kube_chains=9)}, ("E-PRE-065", "warning")),
        ({"sources": (Source("k3s", "https://x/", "no route to host"),)}, ("E-PRE-075", "error")),
        ({"sources": (Source("k3s", "https://x/", skew=31.0),)}, ("E-PRE-026", "warning")),
        ({"sources": (Source("k3s", "https://x/", skew=-301.0),)}, ("E-PRE-026", "error")),
    ],
    ids=lambda value: next(iter(value)),
)
def test_one_thing_wrong(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    (one,) = found(**changes)
    assert (one.code, str(one.level)) == expected
    assert all((one.subject, one.what, one.evidence, one.fix)), "every finding has evidence and a fix"
    assert not one.fixable or one.code in SAFE


@pytest.mark.parametrize(
    "changes",
    [
        {"clock": Clock(True)},
        {"clock": Clock(None)},
        {"rp_filter": {"all": 0, "eth0": 1}},
        {"rp_filter": {"all": 2}},
        {"sysctl_lines": (Setting("/etc/sysctl.d/10-x.conf", "net.ipv4.conf.all.rp_filter", "1"),)},
        {"resolvers": (Resolver("/etc/resolv.conf", ("127.0.0.53",)), Resolver("/run/x", ("9.9.9.9",)))},
        {"resolvers": (Resolver("/etc/resolv.conf", ("fe80::1%eth0", "not an address")),)},
        {"routes": (*HEALTHY.routes, Route("0.0.0.0/0", "eth1", table="52"))},
        {"links": (Link("lo"), Link("eth0"), Link("wg0", "wireguard"))},
        {"managers": Managers(networkd=True, networkd_keeps=True)},
        {"managers": Managers(network_manager=True, unmanaged=("interface-name:lxc*", "interface-name:cilium_*"))},
        {"proxy": {"HTTPS_PROXY": "http://192.0.2.9:3128", "NO_PROXY": "192.0.2.2"}},
        {"proxy": {"HTTPS_PROXY": "http://192.0.2.9:3128", "NO_PROXY": "*"}},
        {"proxy": {"NO_PROXY": "x"}},
        {"firewall": Firewall(firewalld=TRUSTED)},
        {"firewall": Firewall(firewalld=Firewalld("trusted", ("10.0.0.0/8",)))},
        {"firewall": Firewall(ufw=Ufw((), "allow", "allow"))},
        {"firewall": Firewall((dataclasses.replace(DROP, rules=('iifname "cilium_*" accept',)),))},
        {"firewall": Firewall((Drop("ip6 filter INPUT", "input"),))},
        {"sources": (Source("k3s", "https://x/", skew=400.0), Source("helm", "https://y/", skew=1.0))},
    ],
    ids=lambda value: next(iter(value)),
)
def test_nothing_wrong(changes: dict[str, Any]) -> None:
    assert told(**changes) == []


def test_what_several_nodes_need_of_a_firewall() -> None:  # failure modes 16 and 17
    several = wanting(nodes=3, features=frozenset({"wireguard"}))
    (one,) = found(several, firewall=Firewall(firewalld=TRUSTED))
    for port in ("10250/tcp", "4240/tcp", "4244/tcp", "8472/udp", "51871/udp"):
        assert f"--add-port={port}" in one.fix
    assert told(several, hostname="ubuntu") == [("E-PRE-024", "warning")]


def test_two_operators_on_one_node() -> None:  # failure mode 8
    (one,) = found(wanted_by(ClusterSpec(), values={"operator": {"replicas": 2}}))
    assert (one.code, one.value) == ("E-PRE-074", "1")
    assert told(wanting(operator_replicas=2), cluster=ClusterFacts(nodes=2)) == []
    assert wanted_by(ClusterSpec()).operator_replicas is None


def test_two_load_balancers() -> None:  # failure mode 23
    spec = ClusterSpec.model_validate({"k3s": {"disable": ["traefik"]}, "cilium": {"ingressController": True}})
    (one,) = found(wanted_by(spec), cluster=ClusterFacts(nodes=1, balancers=2))
    assert one.code == "E-PRE-073"
    assert one.evidence == "servicelb is not in k3s.disable; 2 of its pods run"
    assert told(wanted_by(ClusterSpec.model_validate({"cilium": {"ingressController": True}}))) == []
    l2 = wanted_by(ClusterSpec.model_validate({"k3s": {"disable": []}}), values={"l2announcements": {"enabled": True}})
    assert l2.balancers == ("L2 announcements",)


def test_old_gateway_definitions() -> None:  # failure mode 26
    old = ClusterFacts(gateway_crds={"gateways": "v1.2.1", "httproutes": "", "tlsroutes": "v1.6.0"})
    (one,) = found(wanting(gateway_api="v1.6.0"), cluster=old)
    assert one.evidence == "gateways v1.2.1, httproutes of no known release"
    assert told(cluster=old) == [], "nobody wants Gateways"


def test_releases() -> None:  # failure mode 27
    stuck = ClusterFacts(releases=(Release("cilium", "kube-system", "pending-install"),))
    assert told(cluster=stuck) == [("E-PRE-070", "warning")]
    apart = ClusterFacts(releases=(Release("hubble", "default", "deployed"),))
    assert told(cluster=apart) == [("E-PRE-071", "error")]
    assert told(cluster=ClusterFacts(releases=(Release("cilium", "kube-system", "deployed"),))) == []


def test_a_tunnel_as_the_values_want_it() -> None:  # failure mode 4
    def ports(values: dict[str, Any]) -> list[tuple[int, str]]:
        return [
            (one.port, one.purpose) for one in wanted_by(ClusterSpec(), values=values).ports if one.protocol == "udp"
        ]

    assert ports({}) == [(8472, "Cilium VXLAN tunnel")]
    assert ports({"tunnelPort": 8473}) == [(8473, "Cilium VXLAN tunnel")]
    assert ports({"tunnelProtocol": "geneve", "tunnelPort": 0}) == [(6081, "Cilium Geneve tunnel")]
    assert ports({"routingMode": "native"}) == []
    geneve = wanted_by(ClusterSpec(), values={"tunnelProtocol": "geneve"})
    assert told(geneve, links=(Link("gn0", "geneve", 6081),)) == [("E-PRE-042", "error")]


def test_a_node_whose_address_is_chosen() -> None:  # failure mode 24
    two = (*HEALTHY.routes, Route("0.0.0.0/0", "eth1", "198.51.100.1", metric=100))
    spec = ClusterSpec.model_validate({"k3s": {"nodeIP": "192.0.2.2"}})
    assert told(routes=two) == [("E-PRE-045", "warning")]
    assert told(wanted_by(spec), routes=two) == []
    assert told(wanted_by(ClusterSpec(), values={"devices": "eth0"}), routes=two) == []


def test_what_the_install_exempts_from_the_proxy_counts() -> None:
    spec = ClusterSpec.model_validate({"downloads": {"proxy": "http://192.0.2.9:3128", "noProxy": ["192.0.2.0/24"]}})
    assert told(wanted_by(spec)) == []
    spec = ClusterSpec.model_validate({"downloads": {"proxy": "http://192.0.2.9:3128"}})
    (one,) = found(wanted_by(spec))
    assert (one.code, one.value) == ("E-PRE-049", "192.0.2.2")


def test_networks_that_cover_name_servers_and_sessions() -> None:  # failure mode 3
    one = found(resolvers=(Resolver("/etc/resolv.conf", ("10.43.0.2",)),), ssh_client="fd00::1")[0]
    assert (one.code, one.subject) == ("E-PRE-043", "service network 10.43.0.0/16")
    assert one.value


def test_k3s_and_cilium_are_here() -> None:  # failure mode 2
    codes = [code for code, _ in told(k3s=FoundK3s("/usr/local/bin/k3s"), cilium_left=("cilium_host",))]
    assert codes == ["E-PRE-031", "E-PRE-067"]
    assert told(wanting(ours=True), k3s=FoundK3s("/usr/local/bin/k3s"), cilium_left=("cilium_host",)) == []


# Fixes


def test_only_what_can_be_taken_back_is_fixed() -> None:
    facts = dataclasses.replace(
        HEALTHY,
        links=(Link("flannel-wg", "wireguard"), Link("cni0", "bridge"), Link("veth1", "veth", master="cni0")),
        selinux="enforcing",
        swap_bytes=1,
        managers=Managers(cloud_setup=True),
    )
    found = check(facts, WANTED)
    assert {"E-PRE-033", "E-PRE-018", "E-PRE-006", "E-PRE-048"} <= {one.code for one in found}
    assert fixes(found, facts, WANTED) == []
    assert not any(one.fixable for one in found)


def test_links_keep_the_filter_that_only_the_common_one_gave_them() -> None:  # failure mode 15
    rp_filter = {"all": 1, "default": 0, "lo": 0, "eth0": 0, "eth0.7": 0, "eth1": 2, "lxc0123456789ab": 0}
    facts = dataclasses.replace(HEALTHY, rp_filter=rp_filter)
    (fix,) = fixes(check(facts, WANTED), facts, WANTED)
    keys = [line.removeprefix("run sysctl -w ") for line in fix.told() if line.startswith("run")]
    assert keys == [
        "net.ipv4.conf.eth0.rp_filter=1",
        "net/ipv4/conf/eth0.7/rp_filter=1",
        "net.ipv4.conf.all.rp_filter=0",
    ]


def test_openrc_gets_it_done_at_boot() -> None:  # failure mode 9
    facts = dataclasses.replace(HEALTHY, root_shared=False, service_manager="openrc", rc_local=True)
    (fix,) = fixes(check(facts, WANTED), facts, WANTED)
    assert [type(one).__name__ for one in fix.actions] == ["ShareMounts", "WriteFile"]


def test_rules_that_are_there_are_not_added_again() -> None:  # failure mode 17
    ufw = Ufw(("allow from 10.42.0.0/16", "allow 6443/tcp", "route allow from 10.42.0.0/16"), "deny", "deny")
    facts = dataclasses.replace(HEALTHY, firewall=Firewall(ufw=ufw))
    (fix,) = fixes(check(facts, WANTED), facts, WANTED)
    assert fix.actions == (
        RunCommand(("ufw", "allow", "from", "10.43.0.0/16"), ("ufw", "delete", "allow", "from", "10.43.0.0/16")),
        RunCommand(
            ("ufw", "route", "allow", "to", "10.42.0.0/16"), ("ufw", "route", "delete", "allow", "to", "10.42.0.0/16")
        ),
    )


def test_the_record_is_read_as_it_was_written() -> None:
    entries = [
        Entry("E-PRE-046", 5.0, WriteFile("/etc/x", "text\n", then=("systemctl", "x")), {"file": None}, done=True),
        Entry("E-PRE-061", 6.0, RunCommand(("ufw", "allow"), ("ufw", "delete"))),
    ]
    assert load(dump(entries), "fixes.json") == entries
    assert from_dict(to_dict(entries[0].action)) == entries[0].action
    with pytest.raises(ValueError, match="no action"):
        from_dict({"kind": "format-disk"})


def test_a_finding_says_that_it_can_be_fixed() -> None:
    (one,) = found(inotify_instances=128)
    assert one.way.endswith("(sudo beeyard preflight --fix does it)")
    (bpf,) = found(bpffs=False)
    assert bpf.way == "sudo beeyard preflight --fix does it"
    assert (HostFacts().cluster, Address("192.0.2.2/24", "eth0").device) == (None, "eth0")
