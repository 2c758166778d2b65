"""Every finding of preflight in one table; ``docs/preflight.md`` is made from it, and a test keeps both in step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from installer.domain.preflight.fixes import SAFE


@dataclass(frozen=True, slots=True)
class Rule:
    """A finding.

    Attributes:
        code: stable code.
        what: what is wrong.
        told: how the host tells it.
        fix: what to do.
    """

    code: str
    what: str
    told: str
    fix: str


def _rule(number: str, what: str, told: str, fix: str) -> Rule:
    return Rule(f"E-PRE-{number}", what, told, fix)


RULES: Final = (
    _rule("001", "not root", "effective user id", "sudo"),
    _rule("002", "processor without Cilium images", "`uname -m`", "amd64 or arm64"),
    _rule("003", "kernel older than 5.10 (4.18 on RHEL)", "`uname -r`", "newer kernel, reboot"),
    _rule("004", "kernel older than 5.6 with WireGuard", "`uname -r`", "newer kernel, or no encryption"),
    _rule("005", "less than 2 GB of memory", "`/proc/meminfo`", "more memory"),
    _rule("006", "swap is on", "`/proc/meminfo`", "`swapoff -a` where latency matters"),
    _rule(
        "007",
        "memory cgroup off (Raspberry Pi)",
        "`cgroup.controllers`, `/proc/cgroups`",
        "kernel command line, reboot",
    ),
    _rule(
        "008", "cgroup v1 with Kubernetes 1.35 or later", "mount of `/sys/fs/cgroup`", "unified hierarchy, or k3s 1.34"
    ),
    _rule("009", "too little disk", "`statvfs` of the data folder", "free space, or another folder"),
    _rule("010", "too few inodes", "`statvfs` of the data folder", "free inodes, or another folder"),
    _rule("011", "a file system is read-only", "mount options", "remount; `k3s.binDir: /opt/bin` for a fixed /usr"),
    _rule("012", "programs cannot run from a file system", "`noexec` in the mount options", "remount"),
    _rule("013", "root mount is not shared", "`/proc/self/mountinfo`", "`mount --make-rshared /`, at boot too"),
    _rule("014", "BPF file system not mounted", "`/proc/self/mountinfo`", "mount it, at boot too"),
    _rule("015", "low inotify limits", "`fs.inotify.*`", "sysctls"),
    _rule("016", "root lacks capabilities that are needed", "`CapEff`", "the host itself, or a privileged container"),
    _rule("017", "root lacks capabilities that are useful", "`CapEff`", "the host itself, or a privileged container"),
    _rule(
        "018", "SELinux enforces without k3s' policy", "`/sys/fs/selinux/enforce`, policy store", "package k3s-selinux"
    ),
    _rule("019", "Windows Subsystem for Linux", "`/proc/version`", "kernel with Cilium's options"),
    _rule("020", "clock before 2026", "the clock", "set it"),
    _rule("021", "host name unfit for a node", "host name", "`hostnamectl set-hostname`"),
    _rule("022", "something could not be looked at", "the program's own words", "mend that"),
    _rule(
        "023", "no machine id of its own, or a copied one", "`/etc/machine-id`, cloud-init's records", "new id, reboot"
    ),
    _rule("024", "host name of an image", "host name", "`hostnamectl set-hostname`"),
    _rule("025", "clock not synchronised", "`adjtimex`, running time services", "a time service"),
    _rule("026", "clock ahead or behind", "`Date` of the download servers", "set it"),
    _rule(
        "027", "strict reverse path filter on all links", "`net.ipv4.conf.all.rp_filter`", "sysctls; links keep theirs"
    ),
    _rule(
        "028",
        "a sysctl file undoes Cilium's",
        "files read after `99-zzz-override_cilium.conf`",
        "move or remove the lines",
    ),
    _rule("029", "no name server that pods can reach", "`resolv.conf`, systemd-resolved's too", "k3s' `resolv-conf`"),
    _rule(
        "030",
        "k3s with flannel of somebody else",
        "binary, service, links, configurations",
        "remove it, or another host",
    ),
    _rule("031", "k3s of somebody else", "binary, service, configuration", "it is taken over"),
    _rule("032", "agent of another cluster", "service `k3s-agent`", "another host"),
    _rule("033", "links of a flannel that is gone", "`ip link`", "delete them"),
    _rule("034", "configurations of other pod networks", "`/etc/cni/net.d`, k3s' own folder", "put them away"),
    _rule("035", "a kubeconfig is there", "file", "it is merged into, after a backup"),
    _rule("036", "k3s without a service", "process", "stop it"),
    _rule(
        "037",
        "traces of a Cilium that is gone",
        "links, pins, files",
        "`beeyard uninstall`; --fix puts its CNI file away",
    ),
    _rule("038", "KUBECONFIG names no file", "environment", "unset or set it"),
    _rule(
        "039",
        "password of an earlier node",
        "`/etc/rancher/node/password`",
        "delete node and secret before joining again",
    ),
    _rule("040", "no default route", "`ip route`", "gateway, or a dummy route"),
    _rule("041", "a port is taken", "`/proc/net`, its holder", "stop it, or another port"),
    _rule("042", "another device on Cilium's tunnel port", "`ip -d link`", "delete it, or `tunnelPort`"),
    _rule(
        "043",
        "pod or service network overlaps",
        "routes, addresses, SSH client, name servers, proxy",
        "a free network is proposed",
    ),
    _rule("044", "pod and service network overlap", "specification", "two that do not"),
    _rule(
        "045", "several default routes, or one through a VPN", "`ip route`, kind of the link", "`k3s.nodeIP`, `devices`"
    ),
    _rule("046", "systemd-networkd deletes Cilium's rules", "process, `networkd.conf`", "drop-in, restart of networkd"),
    _rule(
        "047",
        "NetworkManager takes Cilium's links",
        "process, `NetworkManager --print-config`, `nmcli`",
        "conf.d, reload",
    ),
    _rule("048", "nm-cloud-setup is on", "`systemctl is-enabled`", "disable, reboot"),
    _rule("049", "own address goes through the proxy", "NO_PROXY, address of the default route", "`downloads.noProxy`"),
    _rule("050", "kernel lacks a feature that is needed", "tried; configuration", "kernel or module"),
    _rule("051", "kernel lacks a feature that can be done without", "tried; configuration", "kernel or module"),
    _rule("052", "kernel seems to lack a feature", "configuration; could not be tried", "kernel or module"),
    _rule("053", "features could not be tried", "reason of the trial", "root"),
    _rule("060", "firewalld drops packets of pods", "`firewall-cmd`", "trusted zone, ports"),
    _rule("061", "ufw drops packets of pods", "`ufw status`, `ufw show added`", "rules"),
    _rule("062", "a firewall drops what comes in", "`nft`, `iptables-save` (nft and legacy)", "a rule"),
    _rule("063", "a firewall drops what is forwarded", "`nft`, `iptables-save` (nft and legacy)", "a rule"),
    _rule("064", "docker drops what is forwarded", "`iptables-save`", "none while Cilium's rules come first"),
    _rule("065", "rules of a kube-proxy that is gone", "chains KUBE-SVC, KUBE-SEP …", "strip them, or reboot"),
    _rule(
        "066",
        "a kube-proxy will be switched off",
        "chains, k3s' configuration",
        "strip its rules afterwards, or reboot",
    ),
    _rule("067", "k3s' own scripts would cut the network off", "Cilium's links beside a k3s", "never run them"),
    _rule("068", "links of another pod network", "`ip link`", "remove that network, or the links; reboot"),
    _rule("070", "Helm release stuck half-way", "Helm's records in the cluster", "the install clears it"),
    _rule("071", "Hubble as a release of its own", "Helm's records in the cluster", "`helm uninstall`"),
    _rule("072", "Gateway API definitions too old", "`bundle-version` of the definitions", "apply the release named"),
    _rule("073", "servicelb and Cilium both serve LoadBalancers", "specification, pods", "`k3s.disable: [servicelb]`"),
    _rule("074", "more operators than nodes", "`operator.replicas`, nodes", "remove the value"),
    _rule("075", "a source cannot be reached", "HEAD request, through the proxy", "open the way, mirror, bundle"),
    _rule("076", "a proxy variable is no URL", "environment", "`http://HOST:PORT`"),
)
"""All findings, by code."""


def table() -> str:
    """Return the table as Markdown."""
    rows = ["| code | what | how it is told | fix | `--fix` |", "|---|---|---|---|---|"]
    rows += [
        f"| {rule.code} | {rule.what} | {rule.told} | {rule.fix} | {'yes' if rule.code in SAFE else ''} |"
        for rule in RULES
    ]
    return "\n".join(rows) + "\n"
