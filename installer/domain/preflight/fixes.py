"""Fixes that are safe to apply: they cut nothing off, need no reboot, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from installer.domain.preflight.actions import (
    Action,
    DeleteLink,
    MountBpf,
    RemoveFile,
    RunCommand,
    SetSysctl,
    ShareMounts,
    WriteFile,
    to_dict,
)
from installer.domain.preflight.cluster import FLANNEL_LINKS, foreign_configs
from installer.domain.preflight.facts import HostFacts
from installer.domain.preflight.filters import missing_in_firewalld, missing_in_ufw
from installer.domain.preflight.findings import Finding, Wanted
from installer.domain.preflight.keepers import UNMANAGED
from installer.domain.preflight.machine import MIN_INOTIFY_INSTANCES, MIN_INOTIFY_WATCHES
from installer.domain.preflight.network import is_pod_link

_HEAD: Final = "# Written by beeyard preflight --fix; beeyard preflight --undo-fixes takes it back.\n"
_CONFLIST: Final = "/etc/cni/net.d/05-cilium.conflist"


@dataclass(frozen=True, slots=True)
class Fix:
    """What mends one finding.

    Attributes:
        code: code of the finding.
        title: what it does, one line.
        actions: in order.
    """

    code: str
    title: str
    actions: tuple[Action, ...]

    def told(self) -> list[str]:
        """Return the exact commands and files, as lines for people."""
        return [line for action in self.actions for line in action.told()]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "code": self.code,
            "title": self.title,
            "actions": [to_dict(action) for action in self.actions],
            "commands": self.told(),
        }


def fixes(findings: Iterable[Finding], facts: HostFacts, wanted: Wanted) -> list[Fix]:
    """Return the safe fixes of these findings, each once, in the order of the findings."""
    found = []
    for code in dict.fromkeys(finding.code for finding in findings):
        if code in _MAKERS:
            title, make = _MAKERS[code]
            actions = tuple(make(facts, wanted))
            if actions:
                found.append(Fix(code, title, actions))
    return found


def _share(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    del wanted
    yield ShareMounts()
    yield from _at_boot(facts, "beeyard-shared", "mount --make-rshared /")


def _bpffs(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    del wanted
    yield MountBpf()
    yield from _at_boot(facts, "beeyard-bpffs", "mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf")


def _at_boot(facts: HostFacts, name: str, command: str) -> Iterator[Action]:
    """Under systemd both are so by themselves at boot; without any service manager nothing starts at boot."""
    if facts.service_manager == "openrc":
        yield WriteFile(f"/etc/local.d/{name}.start", f"#!/bin/sh\n{_HEAD}{command}\n", 0o755)
        if not facts.rc_local:
            yield RunCommand(("rc-update", "add", "local", "default"), ("rc-update", "del", "local", "default"))


def _inotify(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    del wanted
    low = [
        (f"fs.inotify.{name}", str(target))
        for name, now, least, target in (
            ("max_user_instances", facts.inotify_instances, MIN_INOTIFY_INSTANCES, 8192),
            ("max_user_watches", facts.inotify_watches, MIN_INOTIFY_WATCHES, 524288),
        )
        if 0 < now < least
    ]
    yield from _sysctls("/etc/sysctl.d/90-beeyard-inotify.conf", low)


def _rp_filter(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    """Links that only the common filter kept strict get a strict one of their own, so that the host loses nothing."""
    del wanted
    bare = [
        name
        for name, value in facts.rp_filter.items()
        if value == 0 and name not in ("all", "default", "lo", *FLANNEL_LINKS) and not is_pod_link(name)
    ]
    own = [(_rp_key(name), "1") for name in bare]
    yield from _sysctls("/etc/sysctl.d/99-zz-beeyard-rp-filter.conf", [*own, ("net.ipv4.conf.all.rp_filter", "0")])


def _rp_key(link: str) -> str:
    return f"net/ipv4/conf/{link}/rp_filter" if "." in link else f"net.ipv4.conf.{link}.rp_filter"


def _sysctls(path: str, settings: list[tuple[str, str]]) -> Iterator[Action]:
    yield WriteFile(path, _HEAD + "".join(f"{key} = {value}\n" for key, value in settings))
    yield from (SetSysctl(key, value) for key, value in settings)


def _flannel(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    """A bridge with ports is in use by something, a WireGuard device has a key that we could not give back."""
    if facts.k3s.present or wanted.ours:
        return
    masters = {link.master for link in facts.links}
    for link in facts.links:
        if link.name in FLANNEL_LINKS and link.kind in ("vxlan", "bridge") and link.name not in masters:
            yield DeleteLink(link.name)


def _cni(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    """While a k3s runs its pods on them they are needed."""
    if not facts.k3s.present and not wanted.ours:
        yield from (RemoveFile(config.path) for config in foreign_configs(facts))


def _cilium_left(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    """The configuration makes a node Ready too early; the rest is a matter for an uninstall."""
    if _CONFLIST in facts.cilium_left and not facts.k3s.present and not wanted.ours:
        yield RemoveFile(_CONFLIST)


def _networkd(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    del facts, wanted
    text = f"{_HEAD}[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n"
    yield WriteFile(
        "/etc/systemd/networkd.conf.d/90-beeyard.conf", text, then=("systemctl", "try-restart", "systemd-networkd")
    )


def _network_manager(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    del facts, wanted
    text = f"{_HEAD}[keyfile]\nunmanaged-devices+={';'.join(UNMANAGED)}\n"
    yield WriteFile("/etc/NetworkManager/conf.d/90-beeyard.conf", text, then=("nmcli", "general", "reload", "conf"))


def _firewalld(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    """Now and for good, without a reload, which would drop what others added at run time."""
    networks, ports = missing_in_firewalld(facts, wanted)
    zone = facts.firewall.firewalld.zone if facts.firewall.firewalld else ""
    words = [("--zone=trusted", "source", one) for one in networks] + [(f"--zone={zone}", "port", one) for one in ports]
    for where, what, value in words:
        for lasting in (("--permanent",), ()):
            head = ("firewall-cmd", *lasting, where)
            yield RunCommand((*head, f"--add-{what}={value}"), (*head, f"--remove-{what}={value}"))


def _ufw(facts: HostFacts, wanted: Wanted) -> Iterator[Action]:
    for rule in missing_in_ufw(facts, wanted):
        words = tuple(rule.split())
        routed = words[0] == "route"
        undo = ("ufw", "route", "delete", *words[1:]) if routed else ("ufw", "delete", *words)
        yield RunCommand(("ufw", *words), undo)


Maker = Callable[[HostFacts, Wanted], Iterator[Action]]
_MAKERS: Final[dict[str, tuple[str, Maker]]] = {
    "E-PRE-013": ("Let mounts propagate", _share),
    "E-PRE-014": ("Mount the BPF file system", _bpffs),
    "E-PRE-015": ("Raise the inotify limits", _inotify),
    "E-PRE-027": ("Take the reverse path filter from the pods' links", _rp_filter),
    "E-PRE-033": ("Delete the links of the flannel that is gone", _flannel),
    "E-PRE-034": ("Put the configurations of other pod networks away", _cni),
    "E-PRE-037": ("Put the configuration of the Cilium that is gone away", _cilium_left),
    "E-PRE-046": ("Tell systemd-networkd to leave routes and rules of others alone", _networkd),
    "E-PRE-047": ("Tell NetworkManager to leave Cilium's links alone", _network_manager),
    "E-PRE-060": ("Let pods through firewalld", _firewalld),
    "E-PRE-061": ("Let pods through ufw", _ufw),
}
"""Title and maker by the finding's code."""

SAFE: Final = frozenset(_MAKERS)
"""Codes of findings that can be mended by ``--fix``."""
