"""What is kept of the time before the install, and the user's kubeconfig brought back to it."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from installer.adapters.host.files import LocalFiles
from installer.adapters.store.host_memory import FileMemory
from installer.adapters.store.kubeconfig_area import KubeconfigArea
from installer.adapters.store.kubeconfig_file import Invoker, KubeconfigFile
from installer.domain.errors import BeeyardError
from installer.domain.residue.inventory import Inventory, Item, Kind
from installer.domain.residue.judge import judge
from installer.domain.residue.scope import Scope

K3S = yaml.safe_dump(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "users": [{"name": "default", "user": {"token": "k3s"}}],
        "current-context": "default",
    }
).encode()
WORK = K3S.replace(b"default", b"work").replace(b"k3s", b"mine")


class Home:
    """A user's home, and an install that has looked at it."""

    def __init__(self, path: Path) -> None:
        self.config = path / "home/.kube/config"
        self.config.parent.parent.mkdir()
        self.files = LocalFiles()
        self.memory = FileMemory(path / "state", self.files, logs=path / "logs")
        self.kubeconfigs = KubeconfigFile(self.files, {}, Invoker(path / "home"), k3s_file=path / "k3s.yaml")
        self.area = KubeconfigArea(self.files, self.kubeconfigs, self.memory.before, self.memory.copy_of)
        self.scope = Scope(kubeconfig=str(self.config), context="beeyard", known=True)

    async def install(self, existing: bytes | None) -> None:
        if existing is not None:
            self.config.parent.mkdir()
            self.config.write_bytes(existing)
            self.config.chmod(0o600)
        self.memory.keep(Inventory((await self.area.look(self.scope, None)).items))
        self.kubeconfigs.merge(K3S, None, "beeyard")

    async def uninstall(self) -> list[str]:
        before = self.memory.before()
        now = Inventory((await self.area.look(self.scope, before)).items)
        left = [one.item for one in judge(before, now, self.scope).left]
        assert len(left) == 1
        failed = await self.area.remove(left)
        after = Inventory((await self.area.look(self.scope, before)).items)
        assert judge(before, after, self.scope).clean or failed
        return failed

    def names(self) -> list[str]:
        return sorted(path.name for path in self.config.parent.iterdir())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_what_nobody_changed_is_what_it_was_to_the_byte(home: Home) -> None:
    text = b"# words of mine\n" + WORK
    await home.install(text)
    assert home.config.read_bytes() != text
    assert await home.uninstall() == []
    assert home.config.read_bytes() == text
    assert home.names() == ["config"]


async def test_a_file_and_a_folder_that_were_not_there_go(home: Home) -> None:
    await home.install(None)
    assert await home.uninstall() == []
    assert not home.config.parent.exists()


async def test_a_folder_in_which_others_work_by_now_stays(home: Home) -> None:
    await home.install(None)
    (home.config.parent / "cache").mkdir()
    assert await home.uninstall() == []
    assert home.names() == ["cache"]


async def test_what_the_user_added_since_stays_with_a_copy_of_the_whole(home: Home) -> None:
    await home.install(WORK)
    home.kubeconfigs.merge(K3S, None, "later")
    assert await home.uninstall() == []
    rest = yaml.safe_load(home.config.read_bytes())
    assert [one["name"] for one in rest["contexts"]] == ["work", "later"]
    assert len(home.names()) > 1


async def test_an_older_cluster_of_the_same_name_comes_back(home: Home) -> None:
    older = WORK.replace(b"work", b"beeyard")
    await home.install(older)
    assert await home.uninstall() == []
    assert home.config.read_bytes() == older


async def test_a_locked_kubeconfig_is_a_failure_that_is_told(home: Home) -> None:
    await home.install(WORK)
    home.config.with_name("config.lock").touch()
    assert "locked" in (await home.uninstall())[0]


def test_the_first_inventory_counts_until_an_uninstall_is_over(home: Home, tmp_path: Path) -> None:
    kept = tmp_path / "mine.conf"
    kept.write_text("mine")
    digest = "a" * 64
    first = Inventory([Item(Kind.FILE, str(kept), {"sha256": digest, "kept": True})], at=1)
    memory = home.memory
    assert (memory.before(), memory.stands()) == (None, False)
    memory.keep(first)
    copy = memory.copy_of(digest)
    assert copy is not None
    assert copy.read_text() == "mine"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    memory.keep_arrived(["/a"])
    memory.keep_arrived(["/b"])
    memory.keep_goal({"scope": replace(home.scope).to_dict()})
    assert (memory.arrived(), memory.stands(), memory.goal() is not None) == (("/a", "/b"), True, True)
    memory.close(Inventory(at=2), ["/data"])
    assert (memory.arrived(), memory.stands(), memory.goal(), memory.kept_data()) == ((), False, None, ("/data",))
    assert [item.name for item in memory.before() or ()] == [str(kept)]
    memory.close(Inventory(at=3), [])
    assert memory.kept_data() == ()
    memory.purge()
    assert not (tmp_path / "state").exists()


def test_a_damaged_goal_is_told(home: Home, tmp_path: Path) -> None:
    home.memory.keep_goal({})
    (tmp_path / "state/inventory/uninstall.json").write_text("{")
    with pytest.raises(BeeyardError) as caught:
        home.memory.goal()
    assert caught.value.code == "E-RESIDUE-001"
