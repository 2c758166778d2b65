"""The demo workloads: whole, modest, and what the cookbook speaks of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.domain.policy.findings import Level
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.lint import linter
from installer.domain.policy.model import Direction, Settings
from installer.domain.policy.validation import validate
from installer.domain.policy.world import World, read_pods
from installer.services.policies.sources import policies_of, read_sources

ROOT = Path(__file__).parents[2] / "manifests"
OBJECTS: list[dict[str, Any]] = [
    obj for path in sorted((ROOT / "demo").glob("*.yaml")) for obj in yaml.safe_load_all(path.read_text())
]
NAMES = {(obj["kind"], obj["metadata"]["name"]) for obj in OBJECTS}
PODS = {obj["metadata"]["name"]: obj["spec"]["template"] for obj in OBJECTS if obj["kind"] == "Deployment"}
CONTAINERS = [(name, one) for name, pod in PODS.items() for one in pod["spec"]["containers"]]
SERVERS = ("frontend", "backend", "sensitive-service", "http-service")
PORTS = {"envoy": 8080}
NAMESPACES = {name: {"kubernetes.io/metadata.name": name} for name in ("demo", "kube-system")}


def cluster() -> World:
    """Return a cluster with the demo and a DNS server."""
    dns = {"metadata": {"namespace": "kube-system", "name": "dns", "labels": {"k8s-app": "kube-dns"}}, "spec": {}}
    pods = [{**pod, "metadata": {**pod["metadata"], "name": name, "namespace": "demo"}} for name, pod in PODS.items()]
    return World(pods=read_pods([dns, *pods], [], NAMESPACES, Settings()), namespaces=NAMESPACES)


def test_the_namespace_comes_first_and_nothing_is_twice() -> None:
    assert OBJECTS[0]["kind"] == "Namespace"
    assert {obj["metadata"]["namespace"] for obj in OBJECTS[1:]} == {"demo"}
    assert len(NAMES) == len(OBJECTS)


@pytest.mark.parametrize(("name", "container"), CONTAINERS, ids=[f"{name}-{one['name']}" for name, one in CONTAINERS])
def test_containers_are_modest(name: str, container: dict[str, Any]) -> None:
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"].keys() == {"requests", "limits"}
    assert ":" in container["image"]
    assert not container["image"].endswith(":latest")
    if container.get("ports"):
        assert {"readinessProbe", "livenessProbe"} <= container.keys()


@pytest.mark.parametrize("name", PODS)
def test_pods_run_as_nobody_and_find_what_they_mount(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert {("ConfigMap", volume["configMap"]["name"]) for volume in spec["volumes"]} <= NAMES


@pytest.mark.parametrize("name", [*SERVERS, *PORTS])
def test_a_service_leads_to_a_port_of_its_pods(name: str) -> None:
    service = next(obj for obj in OBJECTS if obj["kind"] == "Service" and obj["metadata"]["name"] == name)
    labels = PODS[name]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    named = {
        port["name"]: port["containerPort"] for one in PODS[name]["spec"]["containers"] for port in one.get("ports", ())
    }
    (port,) = service["spec"]["ports"]
    assert port["port"] == 80
    assert named[port["targetPort"]] == PORTS.get(name, 80)


@pytest.mark.parametrize(
    "recipe", ["allow-frontend-to-backend", "restrict-sensitive-service", "http-get-only", "only-through-envoy"]
)
def test_the_cookbook_speaks_of_these_pods(recipe: str) -> None:
    documents = read_sources([str(ROOT / "policies" / f"{recipe}.yaml")])
    report = validate(documents, KNOWN_CRDS, Settings(), linter(cluster()))
    warned = {finding.code for finding in report.findings if finding.level is not Level.INFO}
    assert warned == {"P-LINT-031"}  # it isolates pods that were not: that is what it is for
    world = cluster()
    engine = world.engine(policies_of(documents))
    assert any(engine.selected(peer, direction) for peer in world.peers for direction in Direction)
