"""Checks of what is on the host already: k3s, flannel, CNI configurations, kubeconfigs."""

# All checks have one signature.
# ruff: noqa: ARG001
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from installer.domain.preflight.facts import CniConfig, FoundK3s, HostFacts
from installer.domain.preflight.findings import Finding, Level, Wanted

FLANNEL_LINKS: Final = ("flannel.1", "flannel-v6.1", "flannel-wg", "flannel-wg-v6", "cni0")
"""Links that flannel and its bridge plugin make."""
_OTHER_LINKS: Final = re.compile(
    r"vxlan(-v6)?\.calico|cali[0-9a-f]{11}|weave|vxlan-6784|antrea-(gw|tun)0|genev_sys_6081|kube-bridge|kube-ipvs0"
)


def check_k3s(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Ours is fine; a foreign one is taken over, unless flannel carries its pods or no service runs it."""
    if wanted.ours or not facts.k3s.present:
        return
    if facts.k3s.service == "k3s-agent":
        yield Finding(
            "E-PRE-032",
            Level.ERROR,
            "k3s",
            "this host is an agent of another cluster",
            describe(facts.k3s),
            "remove it from that cluster and run k3s-agent-uninstall.sh, or use another host",
        )
    elif facts.k3s.flannel:
        yield Finding(
            "E-PRE-030",
            Level.ERROR,
            "k3s",
            "a k3s with flannel, which beeyard did not install, is here: a change of its network cuts off all its pods",
            f"{describe(facts.k3s)}; flannel: {', '.join(facts.k3s.flannel)}",
            "back up what runs there, remove it with k3s-uninstall.sh, and run again; or use another host",
        )
    elif facts.k3s.pid and not facts.k3s.service:
        yield Finding(
            "E-PRE-036",
            Level.ERROR,
            "k3s",
            "a k3s runs that no service manager keeps, so it cannot be taken over",
            describe(facts.k3s),
            f"stop it (kill {facts.k3s.pid}) and run again",
        )
    else:
        yield Finding(
            "E-PRE-031",
            Level.WARNING,
            "k3s",
            "a k3s that beeyard did not install is here; it will be taken over, its configuration merged and backed up",
            describe(facts.k3s),
            "stop now if it is not yours to change",
        )


def describe(k3s: FoundK3s) -> str:
    """Return what was found of a k3s, in one line."""
    parts = (
        " ".join(filter(None, (k3s.binary, k3s.version))),
        f"service {k3s.service}" if k3s.service else "",
        f"running as pid {k3s.pid}" if k3s.pid else "not running",
        k3s.config,
        k3s.data_dir,
    )
    return ", ".join(part for part in parts if part)


def check_flannel_links(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Links of a flannel whose k3s is gone."""
    left = [link.name for link in facts.links if link.name in FLANNEL_LINKS]
    if left and not facts.k3s.present and not wanted.ours:
        yield Finding(
            "E-PRE-033",
            Level.ERROR,
            ", ".join(left),
            "links of another pod network are left over",
            f"ip link shows {', '.join(left)}, and there is no k3s",
            "; ".join(f"ip link delete {name}" for name in left),
        )


def check_other_links(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Links of Calico, Weave, Antrea, kube-router, or of a kube-proxy that used IPVS."""
    left = [link.name for link in facts.links if _OTHER_LINKS.fullmatch(link.name)]
    if left and not facts.k3s.present and not wanted.ours:
        told = ", ".join(left[:6]) + (f" and {len(left) - 6} more" if len(left) > 6 else "")
        yield Finding(
            "E-PRE-068",
            Level.WARNING,
            told,
            "links of another pod network are left over; its routes and rules may be here too",
            f"ip link shows {told}, and there is no k3s",
            "remove that pod network as its own manual says, or ip link delete each of them; a reboot clears the rules",
        )


def check_cni_configs(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """The first configuration by name wins; Cilium puts others aside, but pods may start before it does."""
    foreign = foreign_configs(facts)
    if foreign and not wanted.ours:
        yield Finding(
            "E-PRE-034",
            Level.WARNING,
            "/etc/cni/net.d",
            "configurations of other pod networks are left over; first pods may land on them",
            ", ".join(f"{config.path} ({config.plugin or 'unreadable'})" for config in foreign),
            "move them away before the installation",
        )


def foreign_configs(facts: HostFacts) -> list[CniConfig]:
    """Return the configurations of other pod networks."""
    return [config for config in facts.cni_configs if config.plugin != "cilium-cni"]


def check_cilium_left(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Cilium outlives its cluster in the kernel: links, programs, maps, rules."""
    left = facts.cilium_left
    if not left or wanted.ours:
        return
    told = ", ".join(left[:6]) + (f" and {len(left) - 6} more" if len(left) > 6 else "")
    if facts.k3s.present:
        yield Finding(
            "E-PRE-067",
            Level.INFO,
            "k3s",
            "Cilium runs here: never run k3s' own install or uninstall script on this host, it cuts the network off",
            told,
            "nothing: beeyard puts a new k3s in place by itself, and `beeyard uninstall` removes it",
        )
    else:
        yield Finding(
            "E-PRE-037",
            Level.WARNING,
            "cilium",
            "traces of an earlier Cilium are left over: pods may fail with `cilium.sock: no such file`",
            told,
            "`beeyard uninstall --verify-clean` lists them all, `beeyard uninstall` removes them",
        )


def check_kubeconfig_variable(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Programs that find no kubeconfig talk to localhost:8080."""
    if facts.kubeconfig_missing:
        yield Finding(
            "E-PRE-038",
            Level.WARNING,
            "KUBECONFIG",
            "KUBECONFIG names a file that does not exist: kubectl, helm and cilium would talk to localhost:8080",
            ", ".join(facts.kubeconfig_missing),
            "unset it, or set it to the cluster's: export KUBECONFIG=/etc/rancher/k3s/k3s.yaml",
        )


def check_kubeconfigs(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """An existing kubeconfig is merged into, never replaced."""
    mine = [path for path in facts.kubeconfigs if not path.startswith("/etc/rancher/")]
    if mine and not wanted.ours:
        yield Finding(
            "E-PRE-035",
            Level.INFO,
            "kubeconfig",
            "a kubeconfig is there; the new cluster will be merged into it",
            ", ".join(mine),
            "nothing: it is backed up first (or use --no-merge)",
        )


CHECKS = (
    check_k3s,
    check_flannel_links,
    check_other_links,
    check_cni_configs,
    check_cilium_left,
    check_kubeconfigs,
    check_kubeconfig_variable,
)
