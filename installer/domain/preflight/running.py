"""Checks of the cluster that runs here already, and of what the new settings would do to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from installer.domain.preflight.facts import HostFacts
from installer.domain.preflight.findings import Finding, Level, Wanted


def check_releases(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """A killed Helm leaves a lock; a Hubble release of its own fights with Cilium's."""
    for release in facts.cluster.releases if facts.cluster else ():
        place = f"{release.namespace}/{release.name}"
        if release.status.startswith("pending") or release.status in ("uninstalling", "failed"):
            yield Finding(
                "E-PRE-070",
                Level.WARNING,
                place,
                f"the Helm release {place} is stuck in {release.status}: another Helm was stopped half-way",
                f"newest record of {place}: {release.status}",
                "nothing: the install clears it (if no other helm is at work right now)",
            )
        if release.name == "hubble":
            yield Finding(
                "E-PRE-071",
                Level.WARNING if wanted.ours else Level.ERROR,
                place,
                "a release named hubble is there; Hubble belongs into the release of Cilium",
                f"{place}, chart {release.chart or 'unknown'}",
                f"helm uninstall {release.name} -n {release.namespace}",
            )


def check_gateway(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """The operator looks at the definitions once; old ones leave every Gateway in ``Unknown``."""
    if not facts.cluster or not wanted.gateway_api:
        return
    need = _version(wanted.gateway_api)
    old = {plural: found for plural, found in facts.cluster.gateway_crds.items() if _version(found) < need}
    if old:
        told = ", ".join(f"{plural} {found or 'of no known release'}" for plural, found in sorted(old.items()))
        yield Finding(
            "E-PRE-072",
            Level.WARNING,
            "Gateway API",
            f"the Gateway API's definitions here are older than {wanted.gateway_api}, which this Cilium needs: "
            "Gateways would stay in Unknown",
            told,
            f"kubectl apply --server-side -f the standard definitions of {wanted.gateway_api}, then restart "
            "deployment/cilium-operator; where another program owns them (traefik-crd), update that",
        )


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def check_balancers(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Two programs that give out addresses of LoadBalancers."""
    if wanted.servicelb and wanted.balancers:
        pods = facts.cluster.balancers if facts.cluster else 0
        yield Finding(
            "E-PRE-073",
            Level.WARNING,
            "servicelb",
            f"k3s' servicelb and Cilium ({', '.join(wanted.balancers)}) would both serve LoadBalancers",
            "servicelb is not in k3s.disable" + (f"; {pods} of its pods run" if pods else ""),
            "add servicelb to k3s.disable",
        )


def check_operators(facts: HostFacts, wanted: Wanted) -> Iterator[Finding]:
    """Each operator needs a node of its own."""
    nodes = max(wanted.nodes, facts.cluster.nodes if facts.cluster else 0)
    if wanted.operator_replicas is not None and wanted.operator_replicas > nodes:
        yield Finding(
            "E-PRE-074",
            Level.WARNING,
            "operator.replicas",
            f"{wanted.operator_replicas} operators do not fit on {nodes} nodes: the rest stays Pending",
            f"operator.replicas is {wanted.operator_replicas}, and each needs a node of its own",
            "remove it from cilium.values; it follows nodes.expected",
            str(nodes),
        )


CHECKS = (check_releases, check_gateway, check_balancers, check_operators)
