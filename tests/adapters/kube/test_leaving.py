"""The step of an uninstall that works on the cluster, on a real API server (nothing there ends namespaces)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from installer.adapters.host.files import LocalFiles
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.errors import RefusedError
from installer.domain.residue.scope import Choice, Scope
from installer.pipeline.run import Run
from installer.pipeline.steps.removal import cluster
from installer.pipeline.steps.removal.cluster import ClusterStep
from installer.pipeline.steps.removal.context import Removal
from installer.ports.cluster import NAMESPACES, NODES, SECRETS, Kube
from installer.ports.residue import HostMemory
from tests.support.apiserver import ApiServer

HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class FakeRun:
    """What the step takes of a run."""

    def __init__(self, kube: Kube, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.spec = SimpleNamespace(k3s=SimpleNamespace(node_name="here"))
        self.tools = SimpleNamespace(files=LocalFiles(), now=time.time)
        self.lines: list[str] = []
        self._kube = kube

    async def kube(self) -> Kube:
        return self._kube

    async def forget_kube(self) -> None:
        """Nothing is kept."""

    def log(self, text: str, level: str = "info") -> None:
        self.lines.append(f"{level}: {text}")


def step(**choice: Any) -> ClusterStep:
    return ClusterStep(Removal(Scope(), Choice(**choice), (), cast("HostMemory", None)))


@pytest.fixture
async def run(api: ApiServer) -> AsyncIterator[FakeRun]:
    kube = await Kubeconfigs().open(str(api.kubeconfig()))
    yield FakeRun(kube, api.kubeconfig())
    await kube.close()


def hook(name: str, namespace: str) -> dict[str, Any]:
    service = {"namespace": namespace, "name": "gate", "path": "/"}
    rules = [{"apiGroups": ["x.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"]}]
    one = {"name": "gate.x.example", "clientConfig": {"service": service}, "rules": rules, "sideEffects": "None"}
    return {"metadata": {"name": name}, "webhooks": [{**one, "admissionReviewVersions": ["v1"]}]}


async def test_hooks_go_first_and_a_namespace_that_does_not_end_is_told(
    api: ApiServer, run: FakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.0)
    for name in ("leave-a", "leave-b", "stay"):
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    api.call("POST", HOOKS, hook("ours", "leave-a"))
    api.call("POST", HOOKS, hook("theirs", "stay"))
    one = step(namespaces=("leave-*", "kube-*"))
    await one.gather(cast("Run", run))
    told = [change.target for change in await one.check(cast("Run", run))]
    assert told == ["namespace leave-a", "namespace leave-b", "validatingwebhookconfigurations ours"]
    await one.apply(cast("Run", run))
    kube = await run.kube()
    left = {space["metadata"]["name"]: space["status"]["phase"] for space in await kube.list(NAMESPACES)}
    assert (left["leave-a"], left["leave-b"], left["stay"]) == ("Terminating", "Terminating", "Active")
    assert left["kube-system"] == "Active"
    assert any(line.startswith("warning: namespace leave-a does not end") for line in run.lines)
    names = [item["metadata"]["name"] for item in api.call("GET", HOOKS)["items"]]
    assert names == ["theirs"]
    api.call("DELETE", f"{HOOKS}/theirs")


async def test_a_node_with_company_leaves_the_cluster(api: ApiServer, run: FakeRun) -> None:
    kube = await run.kube()
    for name in ("here", "other"):
        api.call("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    secret = {"metadata": {"name": "here.node-password.k3s"}}
    api.call("POST", "/api/v1/namespaces/kube-system/secrets", secret)
    with pytest.raises(RefusedError) as refused:
        await step(crds=True, keep_data=True).gather(cast("Run", run))
    assert refused.value.code == "E-UNINSTALL-006"
    one = step()
    await one.gather(cast("Run", run))
    assert [change.target for change in await one.check(cast("Run", run))] == ["node here"]
    await one.apply(cast("Run", run))
    assert [node["metadata"]["name"] for node in await kube.list(NODES)] == ["other"]
    assert await kube.get(SECRETS, "here.node-password.k3s", namespace="kube-system") is None
    await kube.delete(NODES, "other")


async def test_without_an_api_only_what_needs_none_is_done(run: FakeRun, tmp_path: Path) -> None:
    run.kubeconfig = tmp_path / "none"
    alone = step()
    await alone.gather(cast("Run", run))
    assert await alone.check(cast("Run", run)) == []
    with pytest.raises(RefusedError) as refused:
        await step(namespaces=("demo",)).gather(cast("Run", run))
    assert refused.value.code == "E-UNINSTALL-005"
