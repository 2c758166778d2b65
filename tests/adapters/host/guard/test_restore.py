"""Networks taken and put back, with the kernel's real objects."""

from __future__ import annotations

import pytest

from tests.adapters.host.guard.conftest import Guarded

pytestmark = pytest.mark.root

RICH = """
ip addr add 192.0.2.3/24 dev eth7
ip link add br0 type bridge; ip link set br0 up
ip link add port0 type veth peer name port1; ip link set port0 master br0
ip route add 10.9.0.0/16 table 77 nexthop via 192.0.2.7 weight 2 nexthop via 192.0.2.8
ip route add blackhole 10.251.0.0/16; ip route add 10.3.0.0/16 via 192.0.2.6 metric 9 mtu 1300
ip rule add fwmark 0x10 lookup 77 prio 50; ip -6 rule add from 2001:db8::/32 lookup 78 prio 51
ip -6 route add 2001:db8:5::/48 via 2001:db8::7 metric 3
ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:01 dev eth7 nud permanent
nft add table inet own; nft 'add chain inet own input { type filter hook input priority 0; policy accept; }'
nft add rule inet own input tcp dport 99 counter drop
iptables-nft -A INPUT -p tcp --dport 22 -m comment --comment "ssh stays" -j ACCEPT
ip6tables-nft -A FORWARD -j DROP
iptables-legacy -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE
"""
OLD = """
ip link add old0 type veth peer name old1; ip link set old1 up; ip link set old0 up
"""
NEW = "ip link add new0 type veth peer name new1; ip link set new1 up; ip link set new0 up"
OLD_ADDRESS = "ip addr add 198.51.100.1/24 dev old0"
HAVOC = """
ip rule del prio 50; ip rule add prio 10 from all lookup 200; ip route add blackhole default table 200
ip rule del prio 0; ip route flush table 77; ip route del default; ip -6 route del default
ip route del blackhole 10.251.0.0/16; ip link set port0 nomaster
ip addr flush dev eth7; ip link set eth7 down; ip link set eth7 mtu 1400; tc qdisc add dev eth7 clsact
ip link add cilium_host type veth peer name cilium_net; ip link set cilium_net up
ip addr add 10.42.0.1/24 dev cilium_host; ip link set cilium_host up
ip route add 172.16.0.0/12 dev cilium_host
sysctl -qw net.ipv4.conf.eth7.rp_filter=2 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.arp_filter=1
nft flush ruleset; nft add table ip evil
nft 'add chain ip evil output { type filter hook output priority 0; policy drop; }'
iptables-legacy -P INPUT DROP; iptables-legacy -t nat -F; iptables-nft -t mangle -A INPUT -j DROP
"""


def follows(part: str, entry: list[str]) -> bool:
    """Whether it is a local route that the kernel made for an address: some come a moment after their link is up."""
    return part == "route" and entry[0][8:12] == "ff02"


def differences(before: dict[str, object], after: dict[str, object]) -> dict[str, object]:
    """Return what is different, what came with new links left out."""
    found: dict[str, object] = {}
    for part, was in before.items():
        now = after[part]
        if isinstance(was, dict) and isinstance(now, dict):
            wrong = {name: (value, now.get(name)) for name, value in was.items() if now.get(name) != value}
            more = set(now) - set(was) if part == "firewall" else set()
        else:
            assert isinstance(was, list)
            assert isinstance(now, list)
            wrong = {f"missing {one}": one for one in was if one not in now}
            more = {str(one) for one in now if one not in was and "cilium_" not in str(one) and not follows(part, one)}
        if wrong or more:
            found[part] = (wrong, more)
    return found


def test_state_after_is_the_state_before(guarded: Guarded) -> None:
    guarded.host.sh(RICH)
    before = guarded.take()
    guarded.host.sh(HAVOC)
    assert set(differences(before, guarded.take())) >= {"links", "address", "route", "rule", "sysctls", "firewall"}
    done, failed = guarded.put_back(before)
    assert failed == []
    assert "rule IPv4 10 lookup 200: removed" in done
    assert "route 10.9.0.0/16 dev eth7 eth7 table 77: put back" in done
    assert differences(before, guarded.take()) == {}
    assert guarded.put_back(before) == ([], [])


def test_nothing_different_changes_nothing(guarded: Guarded) -> None:
    guarded.host.sh(RICH)
    before = guarded.take()
    marker = guarded.host.sh("nft -a list table inet own")
    assert guarded.put_back(before) == ([], [])
    assert guarded.host.sh("nft -a list table inet own") == marker


def test_links_that_are_gone_and_new_are_left_alone(guarded: Guarded) -> None:
    guarded.host.sh(OLD + OLD_ADDRESS)
    before = guarded.take()
    guarded.host.sh(f"ip link del old0; {NEW}; ip addr add 10.5.0.1/24 dev new0")
    done, failed = guarded.put_back(before)
    assert any("198.51.100.1/24 dev old0" in line and "link old0 is gone" in line for line in failed)
    assert done == ["route 10.5.0.0/24 dev new0 table main: removed"]
    shown = guarded.host.sh("ip -o addr show")
    assert "new0" in shown
    assert "old0" not in shown


def test_a_link_made_anew_gets_its_own_back(guarded: Guarded) -> None:
    guarded.host.sh(f"{OLD}{OLD_ADDRESS}; ip route add 10.7.0.0/16 via 198.51.100.7")
    before = guarded.take()
    guarded.host.sh(f"ip link del old0; {NEW}; {OLD}")
    _, failed = guarded.put_back(before)
    assert failed == []
    assert "10.7.0.0/16 via 198.51.100.7 dev old0" in guarded.host.sh("ip route show")


def test_no_secrets_of_the_kernel_are_kept(guarded: Guarded) -> None:
    guarded.host.sh("sysctl -qw net.ipv4.tcp_fastopen_key=01234567-89abcdef-01234567-89abcdef")
    taken = str(guarded.take())
    assert "89abcdef" not in taken
    assert "stable_secret" not in taken
