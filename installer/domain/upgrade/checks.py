"""What must be so before a running cluster is upgraded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.domain.errors import RefusedError
from installer.domain.k3s_release import is_version, parse_version
from installer.domain.overview import CertificateStatus
from installer.domain.upgrade.deprecated import DeprecatedUse, gone
from installer.domain.upgrade.path import Hop, Part

KUBELET_LAG = 3
"""Minors that a node's kubelet may be behind the API server."""
SPARE = 512 << 20
"""Bytes of disk that stay free."""
_SERVER_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


@dataclass(frozen=True, slots=True)
class Found:
    """The cluster and the host as they are.

    Attributes:
        nodes: Node objects.
        releases: status of every Helm release by ``namespace/name``.
        external_datastore: where Kubernetes' state is kept elsewhere, empty where it is on this host.
        free_bytes: free on the file system of k3s' data, -1 where unknown.
        needed_bytes: what the upgrade will take of it.
        certificates: by name.
        deprecated: deprecated APIs in use.
    """

    nodes: Sequence[Mapping[str, Any]] = ()
    releases: Mapping[str, str] = field(default_factory=dict)
    external_datastore: str = ""
    free_bytes: int = -1
    needed_bytes: int = 0
    certificates: Sequence[CertificateStatus] = ()
    deprecated: Sequence[DeprecatedUse] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands in the way, and what should be known.

    Attributes:
        obstacles: (what, fix) of what stops the upgrade.
        warnings: one line each.
    """

    obstacles: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    def refuse(self) -> None:
        """Raise where something stands in the way.

        Raises:
            RefusedError: ``E-UPGRADE-010`` with every obstacle.
        """
        if not self.obstacles:
            return
        what, fix = self.obstacles[0]
        if len(self.obstacles) > 1:
            what = f"{len(self.obstacles)} things stand in the way of an upgrade"
            fix = "Mend them and run again; nothing was changed."
        raise RefusedError(
            what,
            why="\n".join(f"{one}. {way}" for one, way in self.obstacles) if len(self.obstacles) > 1 else "",
            fix=fix,
            code="E-UPGRADE-010",
            details={"obstacles": [{"what": one, "fix": way} for one, way in self.obstacles]},
        )


def judge(found: Found, hops: Sequence[Hop]) -> Verdict:
    """Judge what was found for a path."""
    k3s = [hop for hop in hops if hop.part is Part.K3S]
    obstacles = [*_nodes(found.nodes), *_helm(found), *_disk(found), *_certificates(found.certificates)]
    warnings = [hop.note for hop in hops if hop.note]
    if k3s:
        obstacles += _servers(found.nodes)
        warnings += [*_kubelets(found.nodes, k3s[-1].target), *_datastore(found)]
        warnings += [f"in use: {use}" for use in gone(list(found.deprecated), k3s[-1].target)]
    warnings += [
        f"{one.name}: its certificate expires in {one.days} days"
        for one in found.certificates
        if 0 <= one.days < 30 and one.name.startswith("secret/")
    ]
    return Verdict(tuple(obstacles), tuple(dict.fromkeys(warnings)))


def kubelet_version(node: Mapping[str, Any]) -> str:
    """Return the version of a node's kubelet, empty where it does not tell."""
    return str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "")


def _name(node: Mapping[str, Any]) -> str:
    return str((node.get("metadata") or {}).get("name"))


def _nodes(nodes: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    if not nodes:
        yield "the API lists no node", "See: beeyard status"
    for node in nodes:
        conditions = (node.get("status") or {}).get("conditions") or []
        ready: Mapping[str, Any] = next((one for one in conditions if one.get("type") == "Ready"), {})
        if ready.get("status") != "True":
            why = f": {ready['message']}" if ready.get("message") else ""
            yield f"node {_name(node)} is not Ready{why}", "Mend it first (beeyard status), or delete the node."


def _helm(found: Found) -> Iterable[tuple[str, str]]:
    for name, status in found.releases.items():
        if status.startswith(("pending", "uninstalling")):
            fix = "Wait for the helm that is at work; where none is, helm rollback ends that state."
            yield f"Helm release {name} is {status}", fix


def _disk(found: Found) -> Iterable[tuple[str, str]]:
    if 0 <= found.free_bytes < found.needed_bytes + SPARE:
        have, need = (f"{size / (1 << 30):.1f} GiB" for size in (found.free_bytes, found.needed_bytes + SPARE))
        yield f"{have} are free for k3s' data, the upgrade and its backups need {need}", "Make room."


def _certificates(certificates: Sequence[CertificateStatus]) -> Iterable[tuple[str, str]]:
    for one in certificates:
        if one.days < 0:
            fix = "Have it made anew first: a restart of k3s renews its own, `beeyard install` those of Hubble."
            yield f"the certificate {one.name} expired on {one.expires[:10]}", fix


def _servers(nodes: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    servers = [
        _name(node)
        for node in nodes
        if any(label in ((node.get("metadata") or {}).get("labels") or {}) for label in _SERVER_LABELS)
    ]
    if len(servers) > 1:
        fix = "Upgrade k3s on them one after the other as its makers describe, and Cilium with --cilium here."
        yield f"the cluster has {len(servers)} servers ({', '.join(servers)}); k3s could not be taken back on one", fix


def _kubelets(nodes: Sequence[Mapping[str, Any]], target: str) -> Iterable[str]:
    goal = parse_version(target)
    for node in nodes:
        version = kubelet_version(node)
        if is_version(version) and goal.minor - parse_version(version).minor > KUBELET_LAG:
            yield (
                f"node {_name(node)} runs {version}, more than {KUBELET_LAG} minors before {target}: "
                "upgrade it on its own host too"
            )


def _datastore(found: Found) -> Iterable[str]:
    if found.external_datastore:
        yield (
            "Kubernetes' state is in an external datastore: copy it yourself before; taking k3s back brings back the "
            "binary only"
        )
