"""The whole way on a real API server with the real CRDs: type a policy, see its impact, apply it, roll it back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.adapters.store.pending import FilePending
from installer.adapters.store.policy_history import FileHistory
from installer.ports.cluster import CILIUM_NETWORK_POLICIES
from installer.services.policies.apply import Policies
from installer.services.policies.rollout import PolicyTools
from installer.tui.policies.dialogs import ApplyDialog
from installer.tui.policies.screen import PoliciesScreen
from installer.wiring.flow_feeds import open_feed
from tests.support.apiserver import ApiServer, api_server
from tests.support.cockpit import stub_services, text_of, wait_for
from tests.support.policies import identity, shop_flow
from tests.support.policy_server import install_crds
from tests.tui.conftest import Open
from tests.tui.policies.conftest import POLICIES

TYPED = """
ingress:
- fromEndpoints:
- matchLabels:
app: frontend"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("apiserver")) as server:
        install_crds(server)
        yield server


@pytest.fixture
async def kube(api: ApiServer, tmp_path: Path) -> AsyncIterator[KubeClient]:
    opener = Kubeconfigs(env={"HOME": str(tmp_path)}, k3s=tmp_path / "absent.yaml")
    client = await opener.open(str(api.kubeconfig()))
    for app in ("frontend", "cart", "api"):
        spec = {"containers": [{"name": "main", "image": "example.org/x"}], "serviceAccountName": "default"}
        metadata = {"name": app, "namespace": "default", "labels": {"app": app}}
        await client.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        await client.apply(
            {
                "apiVersion": "cilium.io/v2",
                "kind": "CiliumEndpoint",
                "metadata": {"name": app, "namespace": "default"},
                "status": {"identity": {"id": 1, "labels": list(identity("default", app))}},
            }
        )
    yield client
    await client.close()


def recording(path: Path) -> Path:
    """Write what Hubble saw: the frontend and the cart both talk to the api."""
    lines = []
    for source in ("frontend", "cart"):
        for second in range(5):
            raw = shop_flow(source, "api", second=second).flow
            assert raw is not None
            text = json.dumps({"flow": json.loads(encoded(raw))})
            lines.append(text.replace("namespace=shop", "namespace=default").replace('"shop"', '"default"'))
    path.write_text("\n".join(lines) + "\n")
    return path


def encoded(flow: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(flow)


async def test_a_typed_policy_is_judged_applied_and_rolled_back(
    cockpit: Open, kube: KubeClient, tmp_path: Path
) -> None:
    history, store = FileHistory(tmp_path / "history.jsonl"), FilePending(tmp_path / "pending")

    async def connect(_: Any) -> KubeClient:
        return kube

    async def never(_: object) -> Any:
        raise AssertionError("nothing is to be taken back by itself")

    tools = PolicyTools(lambda one: Policies(one, history, author="tester"), lambda: store, never, never)
    services = stub_services(connect=connect, policies=lambda: tools, flow_feeds=open_feed)
    flows = recording(tmp_path / "flows.jsonl")
    async with cockpit(services, size=(120, 36), area="policies", areas=POLICIES) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, PoliciesScreen)
        await wait_for(pilot, screen.loaded.is_set)
        await pilot.press("o", *(name_of(char) for char in str(flows)), "enter")
        await pilot.press("n", "down", "enter")
        await wait_for(pilot, lambda: screen.editor is not None)
        assert screen.editor is not None
        screen.editor.go_to_line(7, 99)
        for char in TYPED:
            await pilot.press(name_of(char))
        await wait_for(
            pilot, lambda: screen.checked is not None and screen.checked.deep and screen.checked.text == YAML
        )
        screen.show_view("impact")
        await wait_for(pilot, lambda: "5 cut" in text_of(pilot.app) and "10 of 10" in text_of(pilot.app))
        assert "default/cart > default/api 8080/TCP" in text_of(pilot.app)

        await pilot.press("f9")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ApplyDialog) and pilot.app.screen.query("#yes"))
        assert "5 cut" in text_of(pilot.app)
        await pilot.press("enter")
        await wait_for(pilot, lambda: history.all())
        found = await kube.get(CILIUM_NETWORK_POLICIES, "new-1", namespace="default")
        assert found is not None
        assert found["spec"]["ingress"] == [{"fromEndpoints": [{"matchLabels": {"app": "frontend"}}]}]
        await wait_for(pilot, lambda: "cnp    new-1" in text_of(pilot.app))

        screen.show_view("history")
        await wait_for(pilot, lambda: "create" in text_of(pilot.app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "Take back" in text_of(pilot.app))
        await pilot.press("y")
        await wait_for(pilot, lambda: "cnp    new-1" not in text_of(pilot.app))
        assert await kube.get(CILIUM_NETWORK_POLICIES, "new-1", namespace="default") is None
        assert [change.action for change in history.all()] == ["create", "delete"]


YAML = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: new-1
  namespace: default
spec:
  endpointSelector: {}
  ingress:
    - fromEndpoints:
        - matchLabels:
            app: frontend
"""


def name_of(char: str) -> str:
    """Return Textual's name of the key for a character."""
    names = {" ": "space", "\n": "enter", ":": "colon", "/": "slash", ".": "full_stop", "-": "minus", "_": "underscore"}
    return names.get(char, char)
