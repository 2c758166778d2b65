"""The user's kubeconfig under sudo, and where rights are missing. Runs as root."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from installer.adapters.store.kubeconfig_file import Invoker, find_invoker
from installer.domain.errors import BeeyardError
from tests.support.kubeconfigs import K3S, PROD, contexts, kubeconfigs, mode, written

pytestmark = pytest.mark.root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


@contextmanager
def acting_as(user: pwd.struct_passwd) -> Iterator[None]:
    """Give up root's rights for a while."""
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A home that everyone may enter and only root may write; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_the_invoking_user_is_found(nobody: pwd.struct_passwd) -> None:
    env = {"SUDO_UID": str(nobody.pw_uid), "SUDO_GID": "4711", "HOME": "/root"}
    assert find_invoker(env) == Invoker(Path(nobody.pw_dir), (nobody.pw_uid, 4711))


@pytest.mark.parametrize("uid", ["", "0", "x", "-1", "4123456789", "99999999999999999999"])
def test_without_a_known_user_behind_sudo_it_is_root(uid: str) -> None:
    assert find_invoker({"SUDO_UID": uid, "SUDO_GID": "0", "HOME": "/root"}) == Invoker(Path("/root"))


def test_file_folder_and_backup_belong_to_the_invoking_user(home: Path, nobody: pwd.struct_passwd) -> None:
    owner = (nobody.pw_uid, nobody.pw_gid)
    path = kubeconfigs(home, owner=owner).merge(K3S, None, "beeyard").path
    kubeconfigs(home, owner=owner).merge(K3S.replace(b"S0VZ", b"TkVX"), None, "beeyard")
    made = [path.parent, *path.parent.iterdir()]
    assert len(made) == 3
    assert {(entry.stat().st_uid, entry.stat().st_gid) for entry in made} == {owner}
    assert {mode(entry) for entry in made[1:]} == {0o600}


def test_a_file_of_root_in_the_users_home_is_given_to_the_user(home: Path, nobody: pwd.struct_passwd) -> None:
    path = written(home)
    done = kubeconfigs(home, owner=(nobody.pw_uid, nobody.pw_gid)).merge(K3S, None, "beeyard")
    assert done.summary == "context beeyard added, given to its user"
    assert path.stat().st_uid == nobody.pw_uid


def test_a_file_elsewhere_keeps_its_owner(home: Path, tmp_path: Path, nobody: pwd.struct_passwd) -> None:
    path = tmp_path / "shared"
    path.write_text(PROD)
    kubeconfigs(home, owner=(nobody.pw_uid, nobody.pw_gid)).merge(K3S, str(path), "beeyard")
    assert (path.stat().st_uid, mode(path)) == (0, 0o600)


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_file_of_root_behind_a_link_of_the_user_stays_with_root(
    home: Path, tmp_path: Path, nobody: pwd.struct_passwd, linked: str
) -> None:
    target = tmp_path / "root" / "config"
    target.parent.mkdir()
    target.write_text(PROD)
    link = home / ".kube" / "config" if linked == "file" else home / ".kube"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target if linked == "file" else target.parent)
    kubeconfigs(home, owner=(nobody.pw_uid, nobody.pw_gid)).merge(K3S, None, "beeyard")
    assert link.is_symlink()
    assert contexts(target) == ["prod", "beeyard"]
    assert (target.stat().st_uid, mode(target)) == (0, 0o600)


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "code"),
    [
        (0o644, 0o755, "E-KUBECONFIG-005"),
        (0o600, 0o777, "E-KUBECONFIG-004"),
        (0o644, 0o700, "E-KUBECONFIG-005"),
    ],
    ids=["folder not writable", "file not readable", "folder closed"],
)
def test_without_rights_it_says_what_to_do(
    open_home: Path, nobody: pwd.struct_passwd, file_mode: int, folder_mode: int, code: str
) -> None:
    path = written(open_home, mode=file_mode)
    path.parent.chmod(folder_mode)
    with acting_as(nobody), pytest.raises(BeeyardError) as caught:
        kubeconfigs(open_home).merge(K3S, None, "beeyard")
    assert caught.value.code == code
    assert "--kubeconfig PATH" in caught.value.fix
    assert "--no-merge" in caught.value.fix
    assert path.read_text() == PROD
    assert [entry.name for entry in path.parent.iterdir()] == ["config"]


def test_a_plan_for_a_file_that_may_not_be_read_fails_too(open_home: Path, nobody: pwd.struct_passwd) -> None:
    written(open_home)
    with acting_as(nobody), pytest.raises(BeeyardError) as caught:
        kubeconfigs(open_home).plan(K3S, None, "beeyard")
    assert caught.value.code == "E-KUBECONFIG-004"
