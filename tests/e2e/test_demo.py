"""The demo on a real cluster with the cookbook's policies, applied as users do; its Envoy is a real one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cluster import ROOT, beeyard, kubectl
from tests.support.envoy_image import envoy, write_image

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

DEMO = ROOT / "manifests" / "demo"
RECIPES = ROOT / "manifests" / "policies"
SERVICES = ("backend", "envoy", "http-service", "sensitive-service")
SECONDS = 60.0
TIMED_OUT = (124, 143)
"""How busybox' timeout ends, by version."""


def image() -> str:
    objects: list[dict[str, Any]] = list(yaml.safe_load_all((DEMO / "envoy.yaml").read_text()))
    name = next(one for one in objects if one["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return f"docker.io/{name['image']}"


@pytest.fixture(scope="module")
def demo(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The demo, ready; the cluster's kubeconfig."""
    binary = envoy()
    if binary is None:
        pytest.skip("there is no Envoy for this architecture")
    archive = write_image(binary, image(), tmp_path_factory.mktemp("envoy"))
    subprocess.run(["k3s", "ctr", "-n", "k8s.io", "images", "import", str(archive)], check=True, capture_output=True)
    kubectl("apply", "-f", str(DEMO))
    try:
        kubectl("-n", "demo", "wait", "--for=condition=Available", "deployment", "--all", "--timeout=110s")
        yield cluster
    finally:
        kubectl("-n", "demo", "delete", "ciliumnetworkpolicies", "--all")
        kubectl("delete", "namespace", "demo", "--wait=false")


def answers(client: str, service: str, *arguments: str) -> str:
    """Return what a client gets, or why it gets nothing."""
    ask = ["exec", f"deploy/{client}", "-c", "client", "--", "timeout", "2", "wget", "-q", "-O", "-", *arguments]
    done = subprocess.run(
        ["k3s", "kubectl", "-n", "demo", *ask, f"http://{service}/"], capture_output=True, text=True, check=False
    )
    return "timed out" if done.returncode in TIMED_OUT else done.stdout.strip() or done.stderr.strip()


def wait_for(client: str, service: str, expected: str, *arguments: str) -> None:
    """Wait until a client gets an answer; agents take a moment to enforce a policy."""
    end = time.monotonic() + SECONDS
    while expected not in (found := answers(client, service, *arguments)):
        assert time.monotonic() < end, f"{client} -> {service}: {found}"


def policy(demo: Path, verb: str, recipe: str, *arguments: str) -> str:
    done = beeyard(
        "policy", verb, "-f", str(RECIPES / f"{recipe}.yaml"), "--yes", "--kubeconfig", str(demo), *arguments
    )
    assert done.rc == 0, done.err
    return done.err


def test_everything_answers_without_policies(demo: Path) -> None:
    for service in SERVICES:
        wait_for("frontend", service, "a secret" if service == "sensitive-service" else "says hello")
    end = time.monotonic() + SECONDS  # the client asks again every few seconds
    while "http-service: http-service says hello" not in (
        log := kubectl("-n", "demo", "logs", "deploy/frontend", "-c", "client")
    ):
        assert time.monotonic() < end, log
        time.sleep(0.5)


def test_only_the_frontend_reaches_the_backend(demo: Path) -> None:
    policy(demo, "apply", "allow-frontend-to-backend", "--no-wait")
    wait_for("trusted-client", "backend", "timed out")
    assert answers("frontend", "backend") == "backend says hello"
    policy(demo, "delete", "allow-frontend-to-backend")
    wait_for("trusted-client", "backend", "says hello")


def test_only_trusted_clients_reach_the_sensitive_service_and_the_drop_is_told(demo: Path) -> None:
    said = policy(demo, "apply", "restrict-sensitive-service", "--watch", "12s")
    assert "new drop: demo/frontend -> demo/sensitive-service 80/TCP" in said
    assert answers("trusted-client", "sensitive-service") == "a secret"
    assert answers("frontend", "sensitive-service") == "timed out"


def test_only_get_passes(demo: Path) -> None:
    policy(demo, "apply", "http-get-only", "--no-wait")
    wait_for("frontend", "http-service", "403 Forbidden", "--post-data", "a=b")
    assert answers("frontend", "http-service") == "http-service says hello"
    policy(demo, "delete", "http-get-only")


def test_only_envoy_reaches_the_service(demo: Path) -> None:
    policy(demo, "apply", "only-through-envoy", "--no-wait")
    wait_for("frontend", "http-service", "timed out")
    assert answers("frontend", "envoy") == "http-service says hello"
    assert answers("trusted-client", "envoy") == "timed out"
    policy(demo, "delete", "only-through-envoy")


def test_the_engine_says_the_same(demo: Path) -> None:
    """The cluster's pods and policies, as beeyard reads them, give the verdicts that were seen."""
    for client, verdict in (("frontend", "deny"), ("trusted-client", "allow")):
        done = beeyard(
            "policy", "simulate", "--from", f"demo/{client}", "--to", "demo/sensitive-service", "--port", "80",
            "--expect", verdict, "--kubeconfig", str(demo),
        )  # fmt: skip
        assert done.rc == 0, done.out + done.err
