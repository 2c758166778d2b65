"""What a specification wants of a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from installer.domain.kernel.settings import settings_of
from installer.domain.preflight.findings import Wanted, default_ports
from installer.domain.spec import ClusterSpec


def wanted_by(
    spec: ClusterSpec,
    *,
    ours: bool = False,
    k3s_version: str = "",
    allow_unsupported: bool = False,
    values: Mapping[str, Any] | None = None,
) -> Wanted:
    """Return what preflight compares a host with.

    Args:
        spec: the cluster to be.
        ours: the k3s found on the host was installed by us.
        k3s_version: release to be, empty when not known yet.
        allow_unsupported: turn refusals that rest on support statements alone into warnings.
        values: the user's Helm values from all sources; those of the specification alone where not given.
    """
    k3s, cilium = spec.k3s, spec.cilium
    return Wanted(
        cluster_cidr=k3s.cluster_cidr,
        service_cidr=k3s.service_cidr,
        ports=default_ports(
            api=k3s.https_listen_port,
            hubble=spec.hubble.enabled,
            envoy=cilium.l7_proxy and cilium.envoy == "daemonset",
        ),
        data_dir=k3s.data_dir,
        allow_unsupported=allow_unsupported,
        ours=ours,
        k3s_version=k3s_version,
        features=frozenset({"wireguard"} if cilium.encryption == "wireguard" else ()),
        kernel=settings_of(spec, values),
    )
