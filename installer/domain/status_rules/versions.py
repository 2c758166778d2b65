"""Versions of the parts, and what is worth knowing about them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from installer.domain.errors import BeeyardError
from installer.domain.k3s_release import is_version, parse_version
from installer.domain.releases import Releases, Support, check_kubernetes, newer
from installer.domain.status import HelmStatus, NodeStatus, Notice, WorkloadStatus

_TAG = re.compile(r":v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)(?:@|$|-\d{9,})")
_NAMES = {
    "cilium": ("Cilium agent", "/cilium"),
    "cilium-operator": ("Cilium operator", "/operator"),
    "cilium-envoy": ("Envoy", "/cilium-envoy"),
    "hubble-relay": ("Hubble Relay", "/hubble-relay"),
    "hubble-ui": ("Hubble UI", "/hubble-ui:"),
}
_SAME_AS_AGENT = ("Cilium operator", "Hubble Relay")
AGENT = "Cilium agent"
KUBERNETES = "Kubernetes"


def read_versions(
    workloads: Sequence[WorkloadStatus], kubernetes: str, helm: HelmStatus | None, nodes: Sequence[NodeStatus]
) -> dict[str, str]:
    """Return versions by component, from image tags where nobody tells them; several of one are parted by commas."""
    found = {}
    for workload in workloads:
        if workload.name in _NAMES:
            label, image = _NAMES[workload.name]
            if tags := sorted(set(_tags(workload.images, image))):
                found[label] = ", ".join(tags)
    if helm is not None and helm.chart:
        found["Helm chart"] = helm.chart
    if kubernetes:
        found[KUBERNETES] = kubernetes
    kubelets = sorted({node.version for node in nodes if node.version})
    if kubelets and kubelets != [kubernetes]:
        found["Kubelets"] = ", ".join(kubelets)
    return found


def _tags(images: Mapping[str, int], part: str) -> Iterator[str]:
    for image in images:
        if part in image and (match := _TAG.search(image)):
            yield match[1]


def version_hints(versions: Mapping[str, str], releases: Releases | None, newest_k3s: str = "") -> list[Notice]:
    """Return what is worth knowing: parts that differ, untested combinations, newer releases that beeyard knows.

    Args:
        versions: versions by component.
        releases: the table of Cilium releases, None leaves it out.
        newest_k3s: newest k3s of the channel, empty where nobody asked.
    """
    found = list(_differences(versions))
    agent = versions.get(AGENT, "").split(", ")[0]
    if releases is not None and agent:
        found += _cilium(agent, versions.get(KUBERNETES, ""), releases)
    return found + list(_k3s(versions.get(KUBERNETES, ""), newest_k3s))


def _differences(versions: Mapping[str, str]) -> Iterator[Notice]:
    agent = versions.get(AGENT, "")
    if ", " in agent:
        text = f"agents of several versions run: {agent}"
        yield Notice("versions", text, "E-STATUS-013", "Wait until the rollout has ended.", "An upgrade is on its way.")
    for name in _SAME_AS_AGENT:
        if versions.get(name, agent) != agent and agent:
            text = f"{name} is {versions[name]}, the agent {agent}"
            fix = "Bring them together: beeyard install puts one chart version everywhere."
            yield Notice(
                "versions", text, "E-STATUS-013", fix, "They come from one chart and are tested together only."
            )


def _cilium(agent: str, kubernetes: str, releases: Releases) -> Iterator[Notice]:
    try:
        release = releases.resolve(agent)
    except BeeyardError:
        known = ", ".join(releases.supported)
        fix = f"beeyard upgrade --cilium {releases.default} goes there, one minor at a time."
        text = f"Cilium {agent} is outside the versions that beeyard knows ({known})"
        yield Notice("cilium", text, "E-STATUS-014", fix, "Its values and its support by upstream cannot be judged.")
        return
    yield from _newer_cilium(agent, release.minor, releases)
    if kubernetes and (check := check_kubernetes(release, kubernetes)).support is not Support.TESTED:
        yield Notice("cilium", check.what, "E-STATUS-015", check.fix)


def _newer_cilium(agent: str, minor: str, releases: Releases) -> Iterator[Notice]:
    patch = releases.minors[minor].default
    if _patch(patch) > _patch(agent):
        fix = f"beeyard upgrade --cilium {patch}"
        yield Notice(
            "cilium", f"Cilium {patch} is there; {agent} runs", "E-STATUS-016", fix, "A patch release mends faults."
        )
    if newer(releases.default, minor):
        fix = f"beeyard upgrade --cilium {releases.default} goes there, one minor at a time."
        why = "Upstream maintains the last three minors."
        yield Notice("cilium", f"Cilium {releases.default} is there; {minor} runs", "E-STATUS-016", fix, why)


def _patch(version: str) -> tuple[int, bool]:
    number = re.match(r"\d+\.\d+\.(\d+)", version)
    return (int(number[1]) if number else 0, "-" not in version)


def _k3s(running: str, newest: str) -> Iterator[Notice]:
    if is_version(running) and is_version(newest) and parse_version(running) < parse_version(newest):
        fix = f"beeyard upgrade --k3s {newest}"
        yield Notice("k3s", f"k3s {newest} is there; {running} runs", "E-STATUS-016", fix, "Its channel has moved on.")
