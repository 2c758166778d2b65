"""What filters packets, provoked with the real programs in namespaces; firewalld by its recorded output."""

from __future__ import annotations

import shutil

import pytest

from tests.adapters.host.namespaces import BARE, NETWORK, codes, finding, look, tool

pytestmark = pytest.mark.root
HOST = BARE + NETWORK
needs_ufw = pytest.mark.skipif(shutil.which("ufw") is None, reason="ufw is not installed")
UFW = """
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /mnt; cp -a /etc/ufw /mnt/ufw; mount --bind /mnt/ufw /etc/ufw
cp -a /etc/default/ufw /mnt/default; mount --bind /mnt/default /etc/default/ufw
ufw --force enable >/dev/null
"""


def test_firewalld_that_does_not_know_the_pods() -> None:  # failure mode 16
    firewalld = tool(
        "firewall-cmd",
        **{
            "--state": "running",
            "--get-default-zone": "public",
            "--zone=trusted --list-sources": "10.43.0.0/16 52:54:00:12:34:56",
            "--zone=public --list-ports": "22/tcp",
        },
    )
    found = finding(look(HOST + firewalld), "E-PRE-060")
    assert found["evidence"] == ("zone trusted has 10.43.0.0/16, 52:54:00:12:34:56; zone public does not open 6443/tcp")
    assert "--zone=trusted --add-source=10.42.0.0/16" in found["fix"]
    assert "10.43.0.0/16" not in found["fix"]
    assert found["fixable"] is True


def test_firewalld_that_lets_pods_through_or_does_not_run() -> None:
    answers = {
        "--state": "running",
        "--get-default-zone": "public",
        "--zone=trusted --list-sources": "10.40.0.0/13",
        "--zone=public --list-ports": "22/tcp 6443/tcp",
    }
    assert "E-PRE-060" not in codes(look(HOST + tool("firewall-cmd", **answers)))
    assert "E-PRE-060" not in codes(look(HOST + tool("firewall-cmd", **{"--version": "1.3.3"})))


@needs_ufw
def test_real_ufw() -> None:  # failure mode 17
    told = look(HOST + UFW + "ufw allow 6443 >/dev/null; ufw allow from 10.43.0.0/16 >/dev/null")
    found = finding(told, "E-PRE-061")
    assert "deny incoming, deny routed; 3 rules are missing" in found["evidence"]
    assert found["fix"].split("; ") == [
        "ufw allow from 10.42.0.0/16",
        "ufw route allow from 10.42.0.0/16",
        "ufw route allow to 10.42.0.0/16",
    ]
    assert not codes(told) & {"E-PRE-062", "E-PRE-063"}, "one cause, one finding"


@needs_ufw
def test_real_ufw_that_is_off_or_open() -> None:
    assert "E-PRE-061" not in codes(look(HOST))
    rules = "ufw default allow incoming >/dev/null; ufw default allow routed >/dev/null"
    assert "E-PRE-061" not in codes(look(HOST + UFW + rules))


def test_nftables_that_drop_what_comes_in_and_what_is_forwarded() -> None:
    rules = """
    nft add table inet guarded
    nft add chain inet guarded into '{ type filter hook input priority 0; policy drop; }'
    nft add rule inet guarded into tcp dport 22 accept
    nft add chain inet guarded through '{ type filter hook forward priority 0; policy drop; }'
    nft add chain inet guarded out '{ type filter hook output priority 0; policy accept; }'
    """
    told = look(HOST + rules)
    assert finding(told, "E-PRE-062")["subject"] == "inet guarded into"
    through = finding(told, "E-PRE-063")
    assert through["level"] == "warning"
    assert "nft insert rule inet guarded through ip saddr 10.42.0.0/16 accept" in through["fix"]
    accepted = "nft add rule inet guarded into ip saddr 10.42.0.0/15 accept\nnft flush chain inet guarded through\n"
    accepted += "nft add rule inet guarded through accept\n"
    assert not codes(look(HOST + rules + accepted)) & {"E-PRE-062", "E-PRE-063"}


def test_iptables_that_drop() -> None:
    told = look(HOST + "iptables -P INPUT DROP; iptables -A INPUT -p tcp --dport 22 -j ACCEPT")
    found = finding(told, "E-PRE-062")
    assert found["evidence"] == "policy of ip filter INPUT is drop, no rule of it accepts 10.42.0.0/16"
    assert found["fix"].startswith("iptables -I INPUT -s 10.42.0.0/16 -j ACCEPT")
    through = "iptables -P INPUT DROP; iptables -A INPUT -s 10.42.0.0/16 -j ACCEPT"
    assert "E-PRE-062" not in codes(look(HOST + through))


def test_docker_drops_what_is_forwarded() -> None:
    docker = "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER"
    found = finding(look(HOST + docker), "E-PRE-064")
    assert (found["level"], found["subject"]) == ("info", "ip filter FORWARD")
    assert "DOCKER-USER -s 10.42.0.0/16" in found["fix"]
    told = look(HOST + "iptables -P FORWARD DROP")
    assert finding(told, "E-PRE-063")["level"] == "info"


def test_a_firewall_that_cannot_be_read() -> None:
    told = look(HOST + tool("nft") + tool("iptables-save"))
    assert set(told["facts"]["unknown"]) == {"iptables", "nftables"}


def test_rules_of_a_kube_proxy_that_is_gone() -> None:  # failure mode 7
    rules = """
    iptables -t nat -N KUBE-SERVICES; iptables -t nat -N KUBE-SVC-TCOU7JCQXEZGVUNU
    iptables -t nat -N KUBE-SEP-IN2YML2VIFH5RO2T; iptables -N KUBE-FIREWALL; iptables -t mangle -N KUBE-KUBELET-CANARY
    """
    told = look(HOST + rules)
    assert finding(told, "E-PRE-065")["evidence"].startswith("3 chains")
    kubelet = "iptables -N KUBE-FIREWALL; iptables -t mangle -N KUBE-KUBELET-CANARY"
    assert "E-PRE-065" not in codes(look(HOST + kubelet)), "the kubelet's own chains are none of kube-proxy's"


def test_a_kube_proxy_that_will_be_switched_off() -> None:  # failure mode 7
    script = """
    iptables -t nat -N KUBE-SERVICES; mkdir -p /etc/rancher/k3s
    echo 'disable-kube-proxy: {}' >/etc/rancher/k3s/config.yaml
    printf '#!/bin/sh\\n[ "$1" != server ] || sleep 1000\\n' >/usr/local/bin/k3s; chmod +x /usr/local/bin/k3s
    /usr/local/bin/k3s server & until grep -q server /proc/$!/cmdline; do sleep 0.05; done
    """
    assert "E-PRE-066" in codes(look(HOST + script.replace("{}", "false")))
    told = look(HOST + script.replace("{}", '"true"'))
    assert "E-PRE-065" in codes(told)
    assert told["facts"]["k3s"]["kube_proxy"] is False
