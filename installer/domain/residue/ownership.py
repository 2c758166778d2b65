"""Whose a thing is: rules by kind. What no rule knows is not ours and is never touched."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import PurePosixPath

from installer.domain.residue.inventory import Item, Kind
from installer.domain.residue.scope import Scope

CILIUM, K3S, BEEYARD = "Cilium", "k3s", "beeyard"

CHAINS = re.compile(r"^(OLD_)?CILIUM_|^KUBE-|^CNI-(HOSTPORT|DN|SN|FORWARD|ADMIN)|^FLANNEL-|^KUBE-ROUTER-")
PROGRAMS = re.compile(r"^cil_")
_CILIUM_LINKS = re.compile(r"^cilium_")
_POD_LINKS = re.compile(r"^lxc([0-9a-f]{5,12}|_health)$")
_POD_LINK_KINDS = ("veth", "netkit", "ipvlan")
_K3S_LINKS = {
    "cni0": "bridge",
    "flannel.1": "vxlan",
    "flannel-v6.1": "vxlan",
    "flannel-wg": "wireguard",
    "flannel-wg-v6": "wireguard",
    "kube-ipvs0": "dummy",
}
_TABLES = ("2004", "2005")
_IPSEC_TABLE = "200"
_LOCAL = "255"
_POD_RULES = (20, 109, 110, 111, 112)
_MOVED_LOCAL = 100
_CONFS = re.compile(r"^(05-cilium\.(conflist|conf)|10-flannel\.conflist)(\.cilium_bak)?$")
_PLUGINS = ("cilium-cni",)
_LINKS_TO_K3S = ("kubectl", "crictl", "ctr")
_OWN_BACKUP = re.compile(r"\.beeyard-\d{8}T\d{6}Z(\.\d+)?$")
_TREES = ("/var/lib/kubelet", "/run/k3s", "/run/flannel", "/var/lib/cni", "/var/log/pods", "/var/log/containers")
_CILIUM_TREES = ("/run/cilium", "/var/lib/cilium")
_PARENTS = (
    "/etc/rancher", "/etc/cni", "/etc/cni/net.d", "/opt/cni", "/opt/cni/bin", "/var/lib/rancher",
    "/usr/libexec/kubernetes",
)  # fmt: skip
HISTORY = ("runs", "lock", "inventory", "guard", "fixes.json")
"""What of beeyard's state tells of the past and stays; the rest says that a cluster is here."""
SYSCTL_FILE = "/etc/sysctl.d/99-zzz-override_cilium.conf"


def owner(item: Item, scope: Scope) -> str:
    """Return whose a thing is: ``Cilium``, ``k3s``, ``beeyard``, or empty where it is not ours."""
    rule = _RULES.get(item.kind)
    return rule(item, scope) if rule else ""


def _process(item: Item, scope: Scope) -> str:
    del scope
    return str(item.facts.get("of", ""))


def _bpf(item: Item, scope: Scope) -> str:
    del scope
    return CILIUM if PROGRAMS.match(str(item.facts.get("program", ""))) else ""


def _rule(item: Item, scope: Scope) -> str:
    facts = item.facts
    priority, table = int(facts.get("priority", 0)), str(facts.get("table", ""))
    selectors = set(facts) - {"family", "priority", "table", "src", "protocol"}
    marked = priority in (1, 9, 10) and "fwmark" in facts
    if marked and (table in _TABLES or (priority == 1 and table == _IPSEC_TABLE)):
        return CILIUM
    if priority == _MOVED_LOCAL and table == _LOCAL and not selectors and facts.get("src") == "all":
        return CILIUM
    if priority in _POD_RULES and any(_of_pods(facts.get(side), scope) for side in ("src", "dst")):
        return CILIUM
    return ""


def _of_pods(address: object, scope: Scope) -> bool:
    try:
        given = ipaddress.ip_network(str(address), strict=False)
    except ValueError:
        return False
    networks = (ipaddress.ip_network(cidr, strict=False) for cidr in scope.pod_cidrs)
    return any(given.version == one.version and given.subnet_of(one) for one in networks)  # type: ignore[arg-type]


def _route(item: Item, scope: Scope) -> str:
    del scope
    device, table = str(item.facts.get("dev", "")), str(item.facts.get("table", ""))
    return CILIUM if table in _TABLES or _CILIUM_LINKS.match(device) or _POD_LINKS.match(device) else ""


def _link(item: Item, scope: Scope) -> str:
    del scope
    kind = item.facts.get("kind")
    if _CILIUM_LINKS.match(item.name) or (_POD_LINKS.match(item.name) and kind in _POD_LINK_KINDS):
        return CILIUM
    return K3S if kind and _K3S_LINKS.get(item.name) == kind else ""


def _address(item: Item, scope: Scope) -> str:
    del scope
    device = item.name.partition(" ")[0]
    return CILIUM if _CILIUM_LINKS.match(device) or _POD_LINKS.match(device) else ""


def _chain_owner(name: str) -> str:
    if not CHAINS.match(name):
        return ""
    return CILIUM if "CILIUM_" in name else K3S


def _iptables_rule(item: Item, scope: Scope) -> str:
    del scope
    return _chain_owner(str(item.facts["chain"])) or _chain_owner(str(item.facts.get("target", "")))


def _iptables_chain(item: Item, scope: Scope) -> str:
    del scope
    return _chain_owner(str(item.facts["chain"]))


def _nft_table(item: Item, scope: Scope) -> str:
    del scope
    name = item.name.partition(" ")[2]
    if name.startswith("cilium"):
        return CILIUM
    return K3S if name == "kube-proxy" else ""


def _ipset(item: Item, scope: Scope) -> str:
    del scope
    return CILIUM if item.name.startswith("cilium_") else K3S if item.name.startswith("KUBE-") else ""


def _netns(item: Item, scope: Scope) -> str:
    del scope
    return K3S if item.name.startswith("cni-") and not item.facts.get("busy") else ""


def _mount(item: Item, scope: Scope) -> str:
    name = item.name.partition(" #")[0]
    if _under(name, *_CILIUM_TREES):
        return CILIUM
    if _under(name, scope.data_dir, *_TREES) or name.startswith("/run/netns/cni-"):
        return K3S
    return ""


def _pin(item: Item, scope: Scope) -> str:
    del scope
    name = item.name
    if _under(name, "/sys/fs/bpf/cilium") or name.startswith("/sys/fs/bpf/tc/globals/cilium_"):
        return CILIUM
    return CILIUM if item.facts.get("empty") and _under(name, "/sys/fs/bpf/tc") else ""


def _cgroup(item: Item, scope: Scope) -> str:
    del item, scope
    return K3S


def _file(item: Item, scope: Scope) -> str:
    name, path = item.name, PurePosixPath(item.name)
    if _under(name, *scope.keep):
        return ""
    if name in _service_files(scope) or _under(name, scope.data_dir, "/etc/rancher/k3s", "/etc/rancher/node", *_TREES):
        return K3S
    if name == SYSCTL_FILE or _under(name, *_CILIUM_TREES):
        return CILIUM
    if str(path.parent) == scope.bin_dir:
        return _binary(item, path.name)
    if _under(name, "/etc/cni/net.d", "/opt/cni/bin") and name not in _PARENTS:
        ours = _CONFS.match(path.name) or path.name in _PLUGINS or name in scope.arrived
        return CILIUM if ours else ""
    if name in scope.wrote or _OWN_BACKUP.search(name) or _is_state(path, scope):
        return BEEYARD
    return K3S if name in _PARENTS and item.facts.get("empty") else ""


def _binary(item: Item, name: str) -> str:
    if name in _LINKS_TO_K3S:
        return K3S if item.facts.get("target") in ("k3s", f"{PurePosixPath(item.name).parent}/k3s") else ""
    return K3S if name in ("k3s", "k3s-killall.sh", "k3s-uninstall.sh") else ""


def _service_files(scope: Scope) -> tuple[str, ...]:
    name = scope.service
    unit = f"/etc/systemd/system/{name}.service"
    return (
        unit, f"{unit}.env", f"/etc/systemd/system/multi-user.target.wants/{name}.service",
        f"/etc/init.d/{name}", f"/etc/conf.d/{name}", f"/etc/runlevels/default/{name}", f"/var/log/{name}.log",
    )  # fmt: skip


def _is_state(path: PurePosixPath, scope: Scope) -> bool:
    return str(path.parent) == scope.state_dir and path.name not in HISTORY


def _kubeconfig(item: Item, scope: Scope) -> str:
    del scope
    return BEEYARD if item.facts.get("holds") else ""


def _under(name: str, *folders: str) -> bool:
    return any(name == folder or name.startswith(f"{folder}/") for folder in folders)


_RULES: dict[Kind, Callable[[Item, Scope], str]] = {
    Kind.PROCESS: _process,
    Kind.BPF: _bpf,
    Kind.RULE: _rule,
    Kind.ROUTE: _route,
    Kind.LINK: _link,
    Kind.ADDRESS: _address,
    Kind.IPTABLES_RULE: _iptables_rule,
    Kind.IPTABLES_CHAIN: _iptables_chain,
    Kind.NFT_TABLE: _nft_table,
    Kind.IPSET: _ipset,
    Kind.NETNS: _netns,
    Kind.MOUNT: _mount,
    Kind.PIN: _pin,
    Kind.CGROUP: _cgroup,
    Kind.FILE: _file,
    Kind.KUBECONFIG: _kubeconfig,
}
