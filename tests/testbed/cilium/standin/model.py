"""What the agent knows of the cluster: endpoints with labels and identities, label selectors. Pure."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
NS_LABEL = "io.kubernetes.pod.namespace"
HOST, WORLD, KUBE_APISERVER = 1, 2, 7
_MIN_ID, _MAX_ID = 256, 65535
_IGNORED_LABELS = (
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
)


@dataclass(frozen=True)
class Endpoint:
    """One pod that we manage."""

    ip: str
    namespace: str
    name: str
    uid: str
    labels: dict[str, str] = field(hash=False)
    identity: int = 0
    ports: dict[str, int] = field(default_factory=dict, hash=False)
    host_ports: tuple[tuple[str, int, int], ...] = ()
    workload: tuple[str, str] = ("", "")
    container: str = ""
    pod_labels: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> int:
        """A stable endpoint number."""
        return int(hashlib.sha256(self.uid.encode()).hexdigest()[:8], 16) % 4000 + 100

    @property
    def full_name(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def label_list(self) -> list[str]:
        """Security labels as Hubble shows them."""
        return [f"k8s:{key}={value}" for key, value in sorted(self.labels.items())]


@dataclass(frozen=True)
class View:
    """A snapshot of everything that the compilation of the datapath needs."""

    endpoints: tuple[Endpoint, ...]
    host_ips: tuple[str, ...] = ()
    api_ips: tuple[str, ...] = ()
    pod_cidr: str = ""
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict, hash=False)


def identity_of(labels: dict[str, str]) -> int:
    """A number for a set of labels, the same on every start."""
    text = "\n".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % (_MAX_ID - _MIN_ID) + _MIN_ID


def endpoint_of(pod: Object, namespaces: dict[str, dict[str, str]], cluster: str = "default") -> Endpoint | None:
    """The endpoint of a pod; None while it has no address of its own or is over."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    if spec.get("hostNetwork") or not status.get("podIP") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    pod_labels = meta.get("labels") or {}
    labels = {key: value for key, value in pod_labels.items() if key not in _IGNORED_LABELS}
    labels[NS_LABEL] = meta["namespace"]
    labels["io.cilium.k8s.policy.cluster"] = cluster
    labels["io.cilium.k8s.policy.serviceaccount"] = spec.get("serviceAccountName") or "default"
    space = {"kubernetes.io/metadata.name": meta["namespace"], **namespaces.get(meta["namespace"], {})}
    labels |= {f"io.cilium.k8s.namespace.labels.{key}": value for key, value in space.items()}
    ports = [port for c in spec.get("containers") or [] for port in c.get("ports") or []]
    statuses = status.get("containerStatuses") or []
    return Endpoint(
        ip=status["podIP"],
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        labels=labels,
        identity=identity_of(labels),
        ports={port["name"]: port["containerPort"] for port in ports if port.get("name")},
        host_ports=tuple(
            (p.get("protocol", "TCP").lower(), p["hostPort"], p["containerPort"]) for p in ports if p.get("hostPort")
        ),
        workload=_workload(meta),
        container=(statuses[0].get("containerID") or "").rpartition("/")[2] if statuses else "",
        pod_labels=pod_labels,
    )


def _workload(meta: Object) -> tuple[str, str]:
    for owner in meta.get("ownerReferences") or []:
        if owner.get("controller"):
            kind, name = owner["kind"], owner["name"]
            suffix = f"-{(meta.get('labels') or {}).get('pod-template-hash', '')}"
            if kind == "ReplicaSet" and name.endswith(suffix) and len(suffix) > 1:
                return name.removesuffix(suffix), "Deployment"
            return name, kind
    return meta["name"], "Pod"


def bare(key: str) -> str:
    """A selector's key without its source; `reserved:` keys stay as they are."""
    for source in ("k8s:", "any:"):
        if key.startswith(source):
            return key.removeprefix(source)
    return key


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) selects these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(bare(key)) != value:
            return False
    return all(_expression(item, labels) for item in selector.get("matchExpressions") or [])


def _expression(item: Object, labels: dict[str, str]) -> bool:
    have, values = labels.get(bare(item["key"])), item.get("values") or []
    match item["operator"]:
        case "In":
            return have in values
        case "NotIn":
            return have not in values
        case "Exists":
            return have is not None
        case "DoesNotExist":
            return have is None
    return False


def mentions(selector: Object, key: str) -> bool:
    """Whether a selector speaks of a label key."""
    keys = [*(selector.get("matchLabels") or {}), *(item["key"] for item in selector.get("matchExpressions") or [])]
    return any(bare(k) == key or bare(k).startswith("io.cilium.k8s.namespace.labels.") for k in keys)
