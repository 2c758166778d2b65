"""What preflight asks a cluster that runs already, of a real API server."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.preflight import HostFacts, Wanted, check
from installer.domain.preflight.surroundings import ClusterFacts, Release
from installer.pipeline.cluster_there import cluster_facts
from installer.ports.cluster import CRDS, NODES, SECRETS
from tests.support.apiserver import ApiServer

GROUP = "gateway.networking.k8s.io"


def record(name: str, namespace: str, version: int, status: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v{version}",
            "namespace": namespace,
            "labels": {"owner": "helm", "name": name, "version": str(version), "status": status},
        },
        "data": {},
    }


def definition(plural: str, kind: str, release: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            "annotations": {
                f"{GROUP}/bundle-version": release,
                "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/1",
            },
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": versions,
        },
    }


@pytest.fixture
async def filled(kube: KubeClient) -> AsyncIterator[None]:
    objects = [
        record("cilium", "kube-system", 9, "superseded"),
        record("cilium", "kube-system", 10, "pending-upgrade"),
        record("hubble", "default", 1, "deployed"),
        definition("gateways", "Gateway", "v1.2.0"),
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cluster-there"}},
    ]
    for one in objects:
        await kube.apply(one)
    yield
    kinds = {"Secret": SECRETS, "CustomResourceDefinition": CRDS, "Node": NODES}
    for one in objects:
        await kube.delete(kinds[one["kind"]], one["metadata"]["name"], namespace=one["metadata"].get("namespace"))


async def test_releases_definitions_and_nodes(api: ApiServer, opener: Kubeconfigs, filled: None) -> None:
    # failure modes 26 and 27
    found = await cluster_facts(opener, api.kubeconfig())
    assert found is not None
    assert found.releases == (
        Release("hubble", "default", "deployed"),
        Release("cilium", "kube-system", "pending-upgrade"),
    )
    assert found.gateway_crds["gateways"] == "v1.2.0"
    assert found.nodes >= 1
    told = {one.code: one for one in check(HostFacts(cluster=found), Wanted(gateway_api="v1.6.0"))}
    assert "kube-system/cilium is stuck in pending-upgrade" in told["E-PRE-070"].what
    assert told["E-PRE-071"].fix == "helm uninstall hubble -n default"
    assert told["E-PRE-072"].evidence == "gateways v1.2.0"
    fresh = dataclasses.replace(found, gateway_crds={"gateways": "v1.6.1"})
    assert "E-PRE-072" not in {one.code for one in check(HostFacts(cluster=fresh), Wanted(gateway_api="v1.6.0"))}


async def test_a_user_without_rights_and_no_cluster(api: ApiServer, opener: Kubeconfigs, tmp_path: Path) -> None:
    assert await cluster_facts(opener, api.kubeconfig("reader")) is None
    assert await cluster_facts(opener, tmp_path / "none.yaml") is None
    assert ClusterFacts().releases == ()


async def test_an_api_that_hangs(api: ApiServer, opener: Kubeconfigs) -> None:
    api.pause_api()
    try:
        assert await cluster_facts(opener, api.kubeconfig(), timeout=0.5) is None
    finally:
        api.resume_api()
