"""Checks of programs and files that would change links, routes, rules or sysctls behind our back."""

# All checks have one signature.
# ruff: noqa: ARG001
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from installer.domain.preflight.facts import HostFacts
from installer.domain.preflight.findings import Finding, Level, Wanted

OVERRIDE: Final = "99-zzz-override_cilium.conf"
"""File with which Cilium sets the reverse path filter at boot; later names win over it."""
UNMANAGED: Final = ("interface-name:cilium_*", "interface-name:lxc*")


def check_networkd(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Systemd-networkd deletes routing rules that are not its own whenever a link changes."""
    if facts.managers.networkd and not facts.managers.networkd_keeps:
        yield Finding(
            "E-PRE-046",
            Level.WARNING,
            "systemd-networkd",
            "systemd-networkd would delete Cilium's routes and rules when a link changes: the node goes dark",
            "it runs, and no networkd.conf says ManageForeignRoutes=no and ManageForeignRoutingPolicyRules=no",
            "put both below [Network] into /etc/systemd/networkd.conf.d/, then systemctl restart systemd-networkd",
        )


def check_network_manager(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """NetworkManager takes every link that it is not told to leave alone."""
    managers = facts.managers
    missing = [one for one in UNMANAGED if one not in managers.unmanaged]
    if managers.network_manager and missing:
        grabbed = f"it has taken {', '.join(managers.grabbed)}; " if managers.grabbed else ""
        yield Finding(
            "E-PRE-047",
            Level.WARNING,
            "NetworkManager",
            "NetworkManager would take Cilium's links, and drop their addresses and routes",
            f"{grabbed}its unmanaged-devices are {', '.join(managers.unmanaged) or 'empty'}",
            "set unmanaged-devices=" + ";".join(UNMANAGED) + " below [keyfile] in /etc/NetworkManager/conf.d/, "
            "then nmcli general reload",
        )


def check_cloud_setup(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Nm-cloud-setup adds routing rules that pass over the pods' routes."""
    if facts.managers.cloud_setup:
        yield Finding(
            "E-PRE-048",
            Level.WARNING,
            "nm-cloud-setup",
            "nm-cloud-setup is on: its routing rules take packets away from the pods",
            "systemctl is-enabled nm-cloud-setup says enabled",
            "systemctl disable nm-cloud-setup.service nm-cloud-setup.timer, then reboot",
        )


def check_rp_filter(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A strict filter drops what pods answer by another way; the greater of ``all`` and a link's own counts."""
    if facts.rp_filter.get("all") == 1:
        yield Finding(
            "E-PRE-027",
            Level.WARNING,
            "rp_filter",
            "the reverse path filter is strict on all links: answers to pods may be dropped",
            "net.ipv4.conf.all.rp_filter = 1",
            "sysctl -w net.ipv4.conf.all.rp_filter=0, and the same in /etc/sysctl.d/ (links keep their own filter)",
        )


def check_sysctl_order(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A file that is read after Cilium's takes its setting back at the next boot."""
    late = [
        line
        for line in facts.sysctl_lines
        if line.value not in ("0", "")
        and line.key in ("net.ipv4.conf.all.rp_filter", "net.ipv4.conf.*.rp_filter")
        and (line.path == "/etc/sysctl.conf" or line.path.rpartition("/")[2] > OVERRIDE)
    ]
    if late:
        yield Finding(
            "E-PRE-028",
            Level.WARNING,
            "rp_filter",
            "a sysctl file that is read after Cilium's sets the reverse path filter again",
            "; ".join(f"{line.path}: {line.key} = {line.value}" for line in late),
            f"remove these lines, or move them to a file whose name comes before {OVERRIDE}",
        )


CHECKS = (check_networkd, check_network_manager, check_cloud_setup, check_rp_filter, check_sysctl_order)
