"""``beeyard.yaml`` as pydantic models: ``apiVersion: beeyard/v1alpha1``, ``kind: Cluster``, ``spec``.

The models hold defaults and types only; what makes sense together is judged in ``spec_checks``. Field docstrings are
the manual: ``beeyard config schema`` prints them.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from installer.domain import sources

API_VERSION = "beeyard/v1alpha1"
KIND = "Cluster"


def _cidr(value: Any) -> str:
    try:
        network = ipaddress.ip_network(str(value), strict=True)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a network such as 10.42.0.0/16 ({error})") from None
    return str(network)


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError as error:
        raise ValueError(str(error)) from None


def _version(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError('YAML reads it as a number and drops the last zero; quote it, such as "1.20"')
    return value


Cidr = Annotated[str, BeforeValidator(_cidr)]
Address = Annotated[str, BeforeValidator(_address)]
Port = Annotated[int, Field(ge=1, le=65534)]


class Model(BaseModel):
    """Base: unknown keys are errors, keys are camelCase in the file, values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class KubeconfigSpec(Model):
    """What happens to the user's kubeconfig."""

    merge: bool = True
    """Merge the cluster into the user's own kubeconfig."""
    path: str | None = None
    """File to merge into; by default the first of KUBECONFIG, else ~/.kube/config of the invoking user."""
    context: str = Field("beeyard", pattern=r"^[A-Za-z0-9][A-Za-z0-9._@:-]*$")
    """Name given to context, cluster and user."""


class K3sSpec(Model):
    """k3s on this host."""

    version: str | None = Field(None, pattern=r"^v?\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?\+k3s\d+$")
    """Exact release, such as v1.36.4+k3s1. Without it the channel decides."""
    channel: str = Field("stable", pattern=r"^(stable|latest|testing|v\d+\.\d+)$")
    """Release channel: stable, latest, testing or a minor such as v1.35."""
    cluster_cidr: Cidr = Field("10.42.0.0/16", alias="clusterCIDR")
    """Network of the pods; Cilium follows it."""
    service_cidr: Cidr = Field("10.43.0.0/16", alias="serviceCIDR")
    """Network of the services."""
    cluster_dns: Address | None = Field(None, alias="clusterDNS")
    """Address of CoreDNS; by default the tenth of the service network."""
    cluster_domain: str = Field("cluster.local", alias="clusterDomain", pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    """DNS domain of the cluster."""
    https_listen_port: Port = Field(6443, alias="httpsListenPort")
    """Port of the API on all addresses; the next one is used on loopback."""
    data_dir: str = Field("/var/lib/rancher/k3s", alias="dataDir", pattern=r"^/.+")
    """State of k3s."""
    bin_dir: str = Field("/usr/local/bin", alias="binDir", pattern=r"^/.+")
    """Where the k3s binary goes."""
    node_name: str | None = Field(None, alias="nodeName")
    """Name of this node; by default the host's name."""
    node_ip: Address | None = Field(None, alias="nodeIP")
    """Address of this node; by default that of the default route."""
    tls_san: list[str] = Field(default_factory=list, alias="tlsSAN")
    """Further names and addresses in the API's certificate."""
    disable: list[str] = Field(default_factory=lambda: ["servicelb", "traefik"])
    """Packaged components of k3s left out."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Further keys for /etc/rancher/k3s/config.yaml, as k3s names them."""
    registries: dict[str, Any] | None = None
    """Content of /etc/rancher/k3s/registries.yaml (mirrors, configs)."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment of the k3s service. Proxy variables of downloads.proxy are added by themselves."""
    kubeconfig: KubeconfigSpec = KubeconfigSpec()  # type: ignore[call-arg]  # aliases and defaults: pydantic fills them
    """The user's kubeconfig."""


class CiliumSpec(Model):
    """Cilium, installed by Helm from the upstream chart."""

    version: Annotated[str, BeforeValidator(_version)] = Field("1.20", pattern=r"^v?\d+\.\d+(\.\d+)?$")
    """Minor (its tested patch is taken) or exact version."""
    kube_proxy_replacement: bool = Field(True, alias="kubeProxyReplacement")
    """Services by eBPF; k3s' kube-proxy is then off."""
    l7_proxy: bool = Field(True, alias="l7Proxy")
    """HTTP and DNS rules through Envoy."""
    envoy: Literal["daemonset", "embedded"] = "daemonset"
    """Envoy as pods of its own, or inside the agent (one pod and one image less on a small host)."""
    encryption: Literal["none", "wireguard"] = "none"
    """Pod traffic between nodes in WireGuard."""
    gateway_api: bool = Field(False, alias="gatewayAPI")
    """Gateway API controller."""
    ingress_controller: bool = Field(False, alias="ingressController")
    """Ingress controller."""
    values: dict[str, Any] = Field(default_factory=dict)
    """Helm values of your own; they win over every layer of ours."""
    values_files: list[str] = Field(default_factory=list, alias="valuesFiles")
    """Files with Helm values, later ones win, ``values`` wins over them."""


class HubbleSpec(Model):
    """Hubble on the same Helm release."""

    enabled: bool = True
    """Hubble server in the agents."""
    relay: bool = True
    """Hubble Relay: flows of all nodes in one place."""
    ui: bool = True
    """Hubble UI; needs Relay."""
    metrics: list[str] = Field(default_factory=list)
    """Hubble metrics, such as dns, drop, tcp, flow, icmp, httpV2."""


class NodesSpec(Model):
    """Nodes of the cluster."""

    expected: int = Field(1, ge=1, le=5000)
    """Nodes that must be Ready; this host is the first."""


class ChartSource(Model):
    """Where the Cilium chart comes from."""

    repository: str = Field(sources.CHARTS, pattern=r"^https?://.+")
    """Helm repository, or a mirror of it."""
    file: str | None = None
    """A chart archive (.tgz) on this host; nothing is downloaded then."""


class HelmSource(Model):
    """Where the helm binary comes from."""

    binary: str | None = None
    """A helm binary to use; otherwise one on PATH that is new enough, otherwise it is downloaded."""
    version: str = Field("v4.1.4", pattern=r"^v\d+\.\d+\.\d+$")
    """Version to download."""
    url: str = Field(sources.HELM, pattern=r"^https?://.+")
    """Where helm's archives are."""


class DownloadsSpec(Model):
    """Where things come from."""

    bundle: str | None = None
    """A bundle (directory, .tar or .tar.zst): nothing is fetched from any network then."""
    k3s: str = Field(sources.K3S, pattern=r"^https?://.+")
    """Base URL of k3s' release files, or a mirror of it."""
    channels: str = Field(sources.CHANNELS, pattern=r"^https?://.+")
    """k3s' channel server, or a mirror of it."""
    images: Literal["archive", "registry"] = "archive"
    """k3s' own images from its air-gap archive (fetched while k3s starts), or pulled one by one by containerd."""
    chart: ChartSource = ChartSource()  # type: ignore[call-arg]  # pydantic fills defaults
    """The Cilium chart."""
    helm: HelmSource = HelmSource()  # type: ignore[call-arg]  # pydantic fills defaults
    """The helm binary."""
    gateway_api: str = Field(sources.GATEWAY_API, alias="gatewayAPI", pattern=r"^https?://.+")
    """Base URL of the Gateway API's resource definitions."""
    proxy: str | None = Field(None, pattern=r"^https?://.+")
    """HTTP proxy for our downloads and for k3s; by default the one in the environment."""
    no_proxy: list[str] = Field(default_factory=list, alias="noProxy")
    """Addresses and domains past the proxy; cluster networks are added by themselves."""
    ca_file: str | None = Field(None, alias="caFile")
    """Further certificate authorities (PEM) for our downloads."""


class ClusterSpec(Model):
    """The cluster to be."""

    k3s: K3sSpec = K3sSpec()  # type: ignore[call-arg]  # pydantic fills defaults
    """k3s on this host."""
    cilium: CiliumSpec = CiliumSpec()  # type: ignore[call-arg]  # pydantic fills defaults
    """Cilium."""
    hubble: HubbleSpec = HubbleSpec()
    """Hubble."""
    nodes: NodesSpec = NodesSpec()  # type: ignore[call-arg]  # pydantic fills defaults
    """Nodes."""
    downloads: DownloadsSpec = DownloadsSpec()  # type: ignore[call-arg]  # pydantic fills defaults
    """Sources."""


class ClusterDocument(Model):
    """A whole ``beeyard.yaml``."""

    api_version: Literal["beeyard/v1alpha1"] = Field("beeyard/v1alpha1", alias="apiVersion")
    """Version of this format."""
    kind: Literal["Cluster"] = "Cluster"
    """Kind of document."""
    spec: ClusterSpec = ClusterSpec()
    """The cluster."""
