"""Policies changed on a real API server with Cilium's own CRDs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.opener import Kubeconfigs
from installer.adapters.store.pending import FilePending
from installer.adapters.store.policy_history import FileHistory
from installer.domain.errors import BeeyardError, ConnectError, RefusedError
from installer.ports.cluster import CILIUM_NETWORK_POLICIES, Object
from installer.ports.pending import Pending
from installer.services.policies.apply import Policies
from installer.services.policies.revert import guard, revert
from installer.services.policies.world import read_world
from tests.support.apiserver import ApiServer
from tests.support.policy_server import install_crds


def policy(name: str, *peers: str, namespace: str = "default") -> dict[str, Any]:
    rules = [{"fromEndpoints": [{"matchLabels": {"app": peer}}]} for peer in peers]
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"endpointSelector": {"matchLabels": {"app": "backend"}}, "ingress": rules},
    }


@pytest.fixture
def history(tmp_path: Path) -> FileHistory:
    return FileHistory(tmp_path / "state" / "history.jsonl")


@pytest.fixture
async def policies(api: ApiServer, kube: KubeClient, history: FileHistory) -> AsyncIterator[Policies]:
    install_crds(api)
    yield Policies(kube, history, author="tester")
    for item in await kube.list(CILIUM_NETWORK_POLICIES):
        await kube.delete(CILIUM_NETWORK_POLICIES, item["metadata"]["name"], namespace=item["metadata"]["namespace"])


async def live(kube: KubeClient, name: str) -> Object | None:
    return await kube.get(CILIUM_NETWORK_POLICIES, name, namespace="default")


async def test_create_update_delete_and_roll_all_of_it_back(kube: KubeClient, policies: Policies) -> None:
    made = await policies.apply(await policies.prepare(policy("a", "one")), reason="first")
    changed = await policies.apply(await policies.prepare(policy("a", "one", "two")))
    gone = await policies.apply(await policies.prepare_delete("CiliumNetworkPolicy", "default", "a"))
    assert [change.action for change in policies.history()] == ["create", "update", "delete"]
    assert policies.history()[0].reason == "first"
    assert await live(kube, "a") is None
    changes = {change.id: change for change in policies.history()}
    await policies.rollback(changes[gone.change])
    await policies.rollback(changes[changed.change])
    found = await live(kube, "a")
    assert found is not None
    assert found["spec"] == policy("a", "one")["spec"]
    await policies.rollback(changes[made.change])
    assert await live(kube, "a") is None


async def test_the_same_object_again_changes_nothing(policies: Policies) -> None:
    await policies.apply(await policies.prepare(policy("b", "one")))
    edit = await policies.prepare(policy("b", "one"))
    assert edit.action == "none"
    assert (await policies.apply(edit)).change == ""
    assert len(policies.history()) == 1


async def test_preparing_changes_nothing(kube: KubeClient, policies: Policies) -> None:
    edit = await policies.prepare(policy("c", "one"))
    assert edit.action == "create"
    assert "app: one" in edit.diff
    assert await live(kube, "c") is None
    assert policies.history() == []


async def test_edits_of_different_rules_are_merged(kube: KubeClient, policies: Policies) -> None:
    await policies.apply(await policies.prepare(policy("d", "one", "two")))
    base = await live(kube, "d")
    assert base is not None
    await policies.apply(await policies.prepare(policy("d", "zero", "one", "two")))
    edit = await policies.prepare(policy("d", "one", "two", "three"), base)
    assert edit.merged
    assert not edit.conflicts
    await policies.apply(edit)
    found = await live(kube, "d")
    assert found is not None
    assert found["spec"] == policy("d", "zero", "one", "two", "three")["spec"]


async def test_edits_of_the_same_rule_are_a_conflict_and_nothing_is_written(
    kube: KubeClient, policies: Policies
) -> None:
    await policies.apply(await policies.prepare(policy("e", "one")))
    base = await live(kube, "e")
    await policies.apply(await policies.prepare(policy("e", "theirs")))
    edit = await policies.prepare(policy("e", "mine"), base)
    assert [conflict.path for conflict in edit.conflicts] == [("spec", "ingress")]
    with pytest.raises(RefusedError) as caught:
        await policies.apply(edit)
    assert caught.value.code == "E-POL-021"
    found = await live(kube, "e")
    assert found is not None
    assert found["spec"] == policy("e", "theirs")["spec"]


async def test_a_change_between_preparing_and_applying_is_a_conflict(kube: KubeClient, policies: Policies) -> None:
    await policies.apply(await policies.prepare(policy("f", "one")))
    edit = await policies.prepare(policy("f", "mine"), await live(kube, "f"))
    await policies.apply(await policies.prepare(policy("f", "theirs")))
    with pytest.raises(RefusedError) as caught:
        await policies.apply(edit)
    assert caught.value.code == "E-POL-021"
    assert [change.action for change in policies.history()] == ["create", "update"]


async def test_deleted_meanwhile_is_a_conflict(kube: KubeClient, policies: Policies) -> None:
    await policies.apply(await policies.prepare(policy("g", "one")))
    base = await live(kube, "g")
    edit = await policies.prepare(policy("g", "two"), base)
    await kube.delete(CILIUM_NETWORK_POLICIES, "g", namespace="default")
    with pytest.raises(RefusedError):
        await policies.apply(edit)
    later = await policies.prepare(policy("g", "two"), base)
    assert later.conflicts
    assert await live(kube, "g") is None


async def test_rolling_back_what_was_changed_since_is_refused(policies: Policies) -> None:
    made = await policies.apply(await policies.prepare(policy("h", "one")))
    await policies.apply(await policies.prepare(policy("h", "two")))
    first = next(change for change in policies.history() if change.id == made.change)
    with pytest.raises(RefusedError) as caught:
        await policies.rollback(first)
    assert caught.value.code == "E-POL-021"


async def test_the_api_refuses_what_its_schema_forbids(policies: Policies) -> None:
    wrong = policy("i", "one")
    wrong["spec"]["ingress"][0]["toPorts"] = [{"ports": [{"port": "80", "protocol": "TPC"}]}]
    with pytest.raises(BeeyardError) as caught:
        await policies.prepare(wrong)
    assert caught.value.code == "E-KUBE-008"
    assert "protocol" in caught.value.why
    assert policies.history() == []


async def test_a_kind_that_is_no_policy(policies: Policies) -> None:
    with pytest.raises(BeeyardError) as caught:
        await policies.prepare({"kind": "Pod", "metadata": {"name": "x"}})
    assert caught.value.code == "E-POL-020"


async def test_owners_are_told(policies: Policies) -> None:
    owned = policy("j", "one")
    owned["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    owned["metadata"]["annotations"] = {"meta.helm.sh/release-name": "shop"}
    await policies.apply(await policies.prepare(owned))
    edit = await policies.prepare({**owned, "spec": policy("j", "two")["spec"]})
    assert [str(owner) for owner in edit.owners] == ["Helm (shop)"]


class LosesAnswers:
    """A real connection whose answers to writes are lost after the server has acted on them."""

    def __init__(self, kube: KubeClient):
        self._kube = kube

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        answer = await self._kube.create(obj, dry_run=dry_run)
        if dry_run:
            return answer
        raise ConnectError("the API is out of reach", why="reset", code="E-KUBE-001")


async def test_a_lost_answer_is_looked_up(kube: KubeClient, policies: Policies, history: FileHistory) -> None:
    lossy = Policies(LosesAnswers(kube), history, author="tester")
    applied = await lossy.apply(await lossy.prepare(policy("k", "one")))
    assert applied.after is not None
    assert applied.change
    assert await live(kube, "k") is not None


async def test_an_api_that_is_gone_leaves_no_change_in_the_history(
    api: ApiServer, kube: KubeClient, policies: Policies
) -> None:
    edit = await policies.prepare(policy("l", "one"))
    api.stop_api()
    try:
        with pytest.raises(BeeyardError) as caught:
            await policies.apply(edit)
        assert caught.value.code in ("E-POL-022", "E-KUBE-001")
    finally:
        api.start_api()
    await policies.apply(await policies.prepare(policy("l", "one")))
    assert await live(kube, "l") is not None


async def test_a_change_made_in_another_cluster_is_not_taken_back_here(
    kube: KubeClient, policies: Policies, history: FileHistory
) -> None:
    made = await policies.apply(await policies.prepare(policy("s", "one")))
    (change,) = [one for one in policies.history() if one.id == made.change]
    foreign = replace(change, id="foreign", cluster=f"{kube.server}#another-uid")
    history.add(foreign)
    assert foreign not in policies.history()
    with pytest.raises(RefusedError) as caught:
        await policies.rollback(foreign)
    assert caught.value.code == "E-POL-024"
    assert await live(kube, "s") is not None


async def test_agents_have_said_nothing_yet(policies: Policies) -> None:
    applied = await policies.apply(await policies.prepare(policy("m", "one")))
    assert applied.after is not None
    assert await policies.valid(applied.after, seconds=0) == (None, "")


async def test_a_viewer_is_told_what_is_missing(api: ApiServer, policies: Policies, opener: Kubeconfigs) -> None:
    viewer = await opener.open(str(api.kubeconfig("viewer")))
    try:
        world = await read_world(viewer)
    finally:
        await viewer.close()
    assert any("ciliumnetworkpolicies" in text for text in world.unread)


async def test_the_world_of_a_cluster(kube: KubeClient, policies: Policies) -> None:
    await policies.apply(await policies.prepare(policy("n", "one")))
    world = await read_world(kube)
    assert [item["metadata"]["name"] for item in world.objects if item["kind"] == "CiliumNetworkPolicy"] == ["n"]
    assert "CiliumNetworkPolicy" in world.crds
    assert world.namespaces.keys() >= {"default", "kube-system"}
    assert world.unread == ()


def test_history_keeps_what_can_be_read(history: FileHistory, tmp_path: Path) -> None:
    from installer.ports.policy_history import Change

    first = Change("1", 1.0, "https://one", "me", "", "NetworkPolicy", "ns", "a", None, {"kind": "NetworkPolicy"})
    history.add(first)
    path = tmp_path / "state" / "history.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes() + b'{"id": "cut')
    second = Change("2", 2.0, "https://two", "me", "", "NetworkPolicy", "ns", "a", None, {})
    history.add(second)
    history.add(Change("3", 3.0, "https://two", "me", "", "NetworkPolicy", "ns", "b", None, {}))
    history.fail("3")
    assert history.all() == [first, second]


def test_a_history_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")
    broken = FileHistory(tmp_path / "state" / "history.jsonl")
    with pytest.raises(BeeyardError) as caught:
        broken.fail("1")
    assert caught.value.code == "E-POL-030"


async def test_changes_that_nobody_confirms_go_back(
    api: ApiServer, kube: KubeClient, policies: Policies, history: FileHistory, opener: Kubeconfigs, tmp_path: Path
) -> None:
    store = FilePending(tmp_path / "pending")
    made = await policies.apply(await policies.prepare(policy("o", "one")))
    changed = await policies.apply(await policies.prepare(policy("o", "two")))
    pending = Pending("o", time.time(), str(api.kubeconfig()), "", (made.change, changed.change))
    store.add(pending)

    async def connect(one: Pending) -> KubeClient:
        return await opener.open(one.kubeconfig)

    outcome = await guard("o", store, connect, lambda opened: Policies(opened, history, author="guard"))
    assert outcome == "reverted"
    assert await live(kube, "o") is None
    assert store.all() == []
    assert await guard("o", store, connect, lambda opened: policies) == "reverted"


async def test_a_confirmation_ends_the_guard(kube: KubeClient, policies: Policies, tmp_path: Path) -> None:
    store = FilePending(tmp_path / "pending")
    made = await policies.apply(await policies.prepare(policy("p", "one")))
    store.add(Pending("p", time.time() + 3600, "", "", (made.change,)))
    waiting = asyncio.ensure_future(guard("p", store, never, lambda opened: policies))
    await asyncio.sleep(0)
    assert store.confirm("p")
    assert await waiting == "confirmed"
    assert not store.confirm("p")
    assert store.take("p") is None
    assert await live(kube, "p") is not None


async def never(pending: Pending) -> KubeClient:
    raise AssertionError(f"nothing is to be reverted: {pending}")


async def test_what_someone_else_changed_since_is_left_alone(
    kube: KubeClient, policies: Policies, tmp_path: Path
) -> None:
    store = FilePending(tmp_path / "pending")
    made = await policies.apply(await policies.prepare(policy("q", "one")))
    await kube.apply(policy("q", "theirs"))
    store.add(Pending("q", 0.0, "", "", (made.change,)))
    outcome = await revert("q", store, lambda one: reuse(kube), lambda opened: policies)
    assert "changed by someone else" in outcome
    assert store.outcome("q") == outcome
    found = await live(kube, "q")
    assert found is not None
    assert found["spec"] == policy("q", "theirs")["spec"]


class KeepsOpen:
    """The test's connection, which the code under test must not close."""

    def __init__(self, kube: KubeClient):
        self._kube = kube

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)

    async def close(self) -> None:
        """Stay open."""


async def reuse(kube: KubeClient) -> Any:
    return KeepsOpen(kube)


async def test_a_guard_that_was_killed_while_reverting_is_taken_up(
    kube: KubeClient, policies: Policies, tmp_path: Path
) -> None:
    store = FilePending(tmp_path / "pending")
    made = await policies.apply(await policies.prepare(policy("r", "one")))
    store.add(Pending("r", 0.0, "", "", (made.change,)))
    assert store.take("r") is not None  # and the process is gone
    assert [one.id for one in store.all()] == ["r"]
    assert await revert("r", store, lambda one: reuse(kube), lambda opened: policies) == "reverted"
    assert await live(kube, "r") is None
