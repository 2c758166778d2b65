"""What is known of the cluster that is to leave: where it was put and what it was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from installer.domain.installed import Installed


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look and what to take for ours.

    Attributes:
        data_dir: k3s' data.
        bin_dir: folder of the k3s binary.
        pod_cidrs: networks of the pods.
        service: name of the service.
        state_dir: our own state.
        kubeconfig: the user's kubeconfig that the cluster was merged into, empty where none was.
        context: its name there.
        wrote: files that beeyard wrote, with their sha256.
        arrived: files that came into the folders of CNI while beeyard installed.
        keep: paths of the cluster that are to stay.
        known: whether there is a record of an install; without it, only rules tell what is ours.
    """

    data_dir: str = "/var/lib/rancher/k3s"
    bin_dir: str = "/usr/local/bin"
    pod_cidrs: tuple[str, ...] = ("10.42.0.0/16",)
    service: str = "k3s"
    state_dir: str = "/var/lib/beeyard"
    kubeconfig: str = ""
    context: str = ""
    wrote: Mapping[str, str] = field(default_factory=dict)
    arrived: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    known: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def from_dict(data: Mapping[str, Any]) -> Scope:
    """Read the JSON form."""
    lists = {name: tuple(data[name]) for name in ("pod_cidrs", "arrived", "keep") if name in data}
    return Scope(**{**data, **lists})


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user wants of an uninstall.

    Attributes:
        keep_data: the cluster's datastore, certificates and volumes stay, for a later install.
        purge: beeyard's own state, history and logs go as well.
        crds: take Cilium's release and definitions out of a cluster whose data stays; its policies go with them.
        namespaces: namespaces (shell patterns) that are deleted in order, before anything else.
        force: also a cluster that beeyard did not install.
        guard_seconds: time until the guard puts the network back when the host is cut off.
    """

    keep_data: bool = False
    purge: bool = False
    crds: bool = False
    namespaces: tuple[str, ...] = ()
    force: bool = False
    guard_seconds: float = 120.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def choice_from_dict(data: Mapping[str, Any]) -> Choice:
    """Read the JSON form."""
    return Choice(**{**data, "namespaces": tuple(data["namespaces"])})


def scope_of(installed: Installed, spec: Mapping[str, Any], *, state_dir: str, arrived: tuple[str, ...] = ()) -> Scope:
    """Return what the records of an install tell.

    Args:
        installed: the record of what is ours.
        spec: ``spec`` of the specification as it was kept; empty where there is none.
        state_dir: our own state.
        arrived: files that came while beeyard installed.
    """
    k3s = spec.get("k3s") or {}
    config = installed.k3s_config
    cidrs = str(config.get("cluster-cidr") or k3s.get("clusterCIDR") or "10.42.0.0/16")
    return Scope(
        data_dir=str(config.get("data-dir") or k3s.get("dataDir") or "/var/lib/rancher/k3s").rstrip("/"),
        bin_dir=str(k3s.get("binDir") or "/usr/local/bin").rstrip("/"),
        pod_cidrs=tuple(cidrs.split(",")),
        service=installed.service or "k3s",
        state_dir=state_dir,
        kubeconfig=installed.kubeconfig.get("path", ""),
        context=installed.kubeconfig.get("context", ""),
        wrote=dict(installed.files),
        arrived=arrived,
        known=bool(installed.k3s_version or installed.service or installed.k3s_config),
    )
