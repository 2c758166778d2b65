"""From answers to a specification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from installer.domain.k3s_release import is_version
from installer.domain.setup.catalog import BY_ID
from installer.domain.setup.question import Answers
from installer.domain.setup.reading import MIRRORS, registries_of, registry_of
from installer.domain.spec import ClusterSpec

_K3S_TEXTS = {
    "k3s.pods": ("clusterCIDR",),
    "k3s.services": ("serviceCIDR",),
    "k3s.name": ("nodeName",),
    "k3s.port": ("httpsListenPort",),
    "k3s.domain": ("clusterDomain",),
    "k3s.data": ("dataDir",),
    "k3s.context": ("kubeconfig", "context"),
}


def document(base: ClusterSpec, answers: Answers) -> dict[str, Any]:
    """Return the data of ``spec`` with the answers laid over ``base``; it may not be valid."""
    data = base.model_dump(by_alias=True)
    default = ClusterSpec().model_dump(by_alias=True)
    _k3s(data["k3s"], default["k3s"], answers)
    _cilium(data["cilium"], default["cilium"], answers)
    _hubble(data["hubble"], answers)
    _downloads(data, default, answers)
    return data


def put(data: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set the value at a path."""
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value


def get(data: dict[str, Any], path: Sequence[str]) -> Any:
    """Return the value at a path; where a list or free-form value begins, all of it."""
    value: Any = data
    for part in path:
        if not isinstance(value, dict) or part not in value:
            break
        value = value[part]
    return value


def _text(answers: Answers, key: str) -> str:
    return str(answers[key]).strip()


def _k3s(k3s: dict[str, Any], default: dict[str, Any], answers: Answers) -> None:
    k3s["version"], k3s["channel"] = _release(answers)
    for key, path in _K3S_TEXTS.items():
        put(k3s, path, _text(answers, key) or get(default, path))
    k3s["tlsSAN"] = [part.strip() for part in _text(answers, "k3s.sans").split(",") if part.strip()]
    k3s["kubeconfig"]["merge"] = answers["k3s.merge"]


def _release(answers: Answers) -> tuple[str | None, str]:
    """Return version and channel of k3s; a bundle decides by itself."""
    if answers["source"] == "bundle":
        return None, "stable"
    if answers["k3s.release"] != "exact":
        return None, str(answers["k3s.release"])
    exact = _text(answers, "k3s.exact")
    return (exact, "stable") if is_version(exact) else (None, exact or "stable")


def _cilium(cilium: dict[str, Any], default: dict[str, Any], answers: Answers) -> None:
    exact = _text(answers, "cilium.exact") or default["version"]
    cilium["version"] = exact if answers["cilium.version"] == "exact" else answers["cilium.version"]
    cilium["kubeProxyReplacement"] = answers["cilium.kpr"]
    cilium["l7Proxy"] = answers["cilium.l7"]
    cilium["encryption"] = "wireguard" if answers["cilium.wireguard"] else "none"
    cilium["gatewayAPI"] = answers["cilium.gateway"]
    cilium["ingressController"] = answers["cilium.ingress"]
    embedded = answers["cilium.embedded"] and answers["cilium.l7"]
    cilium["envoy"] = "embedded" if embedded else "daemonset"


def _hubble(hubble: dict[str, Any], answers: Answers) -> None:
    hubble["enabled"] = answers["hubble.enabled"]
    hubble["relay"] = answers["hubble.relay"]
    hubble["ui"] = answers["hubble.ui"]
    metrics = answers["hubble.metrics"]
    on = BY_ID["hubble.metrics"].shown(answers) and isinstance(metrics, tuple)
    hubble["metrics"] = list(metrics) if on and isinstance(metrics, tuple) else []


def _downloads(data: dict[str, Any], default: dict[str, Any], answers: Answers) -> None:
    downloads, usual, mirrored = data["downloads"], default["downloads"], answers["source"] == "mirror"
    downloads["bundle"] = (_text(answers, "bundle") or None) if answers["source"] == "bundle" else None
    for key, path in MIRRORS.items():
        put(downloads, path, (mirrored and _text(answers, key)) or get(usual, path))
    downloads["proxy"] = _text(answers, "proxy") or None
    downloads["caFile"] = _text(answers, "ca") or None
    url = _text(answers, "registry") if mirrored else ""
    if url:
        data["k3s"]["registries"] = registries_of(url)
    elif registry_of(data["k3s"]["registries"]):
        data["k3s"]["registries"] = None
