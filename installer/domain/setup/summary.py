"""The host and the cluster to be, in a few rows for people."""

from __future__ import annotations

from installer.domain.preflight import HostFacts
from installer.domain.preflight.cluster import describe
from installer.domain.setup.judgement import Found, Look
from installer.domain.setup.question import Answers
from installer.domain.spec import ClusterSpec
from installer.domain.text import human_bytes

Rows = list[tuple[str, str]]
"""Name and value."""


def host_rows(look: Look) -> Rows:
    """Return what this host is."""
    facts = look.facts
    system = " ".join(filter(None, (facts.os_id, facts.os_version))) or "unknown"
    memory = f"{facts.memory_bytes / 1024**3:.1f} GiB memory"
    return [
        ("Name", facts.hostname or "unknown"),
        ("System", f"{system}, Linux {facts.kernel} on {facts.arch}"),
        ("Size", ", ".join(filter(None, (f"{facts.cpus} CPUs", memory, _disk(facts))))),
        ("Network", _network(facts)),
        ("Services", {"none": "kept by beeyard itself"}.get(facts.service_manager, facts.service_manager)),
        ("k3s", _k3s(look)),
    ]


def _disk(facts: HostFacts) -> str:
    found = facts.filesystem(ClusterSpec().k3s.data_dir)
    return f"{human_bytes(found.free_bytes)} free on {found.mount}" if found else ""


def _network(facts: HostFacts) -> str:
    device = next((route.device for route in facts.routes if route.destination in ("0.0.0.0/0", "::/0")), "")
    if not device:
        return "no default route"
    own = [one.address for one in facts.addresses if one.device == device and not one.address.startswith("fe80")]
    return f"{device} {', '.join(own[:2])}".strip()


def _k3s(look: Look) -> str:
    found = look.facts.k3s
    if look.ours:
        return f"{look.k3s_version or found.version}, set up by beeyard"
    return describe(found) if found.present else "none"


def cluster_rows(spec: ClusterSpec, answers: Answers, found: Found | None) -> Rows:
    """Return what the answers make."""
    found = found or Found()
    k3s = spec.k3s.version or (spec.k3s.channel if answers["source"] != "bundle" else "of the bundle")
    cilium = spec.cilium.version if answers["source"] != "bundle" else "of the bundle"
    return [
        ("k3s", _resolved(k3s, found.k3s_version)),
        ("Cilium", _resolved(cilium, found.cilium_version)),
        ("Pods", spec.k3s.cluster_cidr),
        ("Services", spec.k3s.service_cidr),
        ("Features", ", ".join(_features(spec)) or "none"),
        ("From", {"internet": "the internet", "mirror": "mirrors", "bundle": "a bundle"}[str(answers["source"])]),
    ]


def _resolved(asked: str, found: str) -> str:
    return f"{asked} ({found})" if found and found != asked else asked


def _features(spec: ClusterSpec) -> list[str]:
    cilium, hubble = spec.cilium, spec.hubble
    named = {
        "eBPF services": cilium.kube_proxy_replacement,
        "L7 rules": cilium.l7_proxy,
        "WireGuard": cilium.encryption == "wireguard",
        "Gateway API": cilium.gateway_api,
        "Ingress": cilium.ingress_controller,
        "Hubble": hubble.enabled,
        "Hubble UI": hubble.enabled and hubble.ui,
        "metrics": bool(hubble.metrics),
    }
    return [name for name, on in named.items() if on]
