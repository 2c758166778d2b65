"""The user's kubeconfig on a real file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from installer.domain.errors import BeeyardError, TemporaryError, UsageError
from installer.ports.kubeconfig import UserKubeconfigs
from tests.support.kubeconfigs import K3S, PROD, contexts, kubeconfigs, mode, read, written


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_it_implements_the_port(home: Path) -> None:
    port: UserKubeconfigs = kubeconfigs(home)
    assert port.plan(None, None, "beeyard").summary == "context beeyard added"


def test_a_first_file_is_made_private(home: Path) -> None:
    subject = kubeconfigs(home)
    path = home / ".kube" / "config"
    planned = subject.plan(K3S, None, "beeyard")
    assert not path.parent.exists()
    done = subject.merge(K3S, None, "beeyard")
    assert planned == done
    assert (done.path, done.exists, done.changed) == (path, False, True)
    assert done.summary == "context beeyard added, current-context set"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert read(path)["current-context"] == "beeyard"
    assert [entry.name for entry in path.parent.iterdir()] == ["config"]


def test_a_merge_keeps_what_is_there_and_backs_it_up(home: Path) -> None:
    path = written(home)
    done = kubeconfigs(home).merge(K3S, None, "beeyard")
    assert (done.exists, done.summary) == (True, "context beeyard added")
    config = read(path)
    assert contexts(path) == ["prod", "beeyard"]
    assert config["current-context"] == "prod"
    assert config["users"][0] == {"name": "prod", "user": {"username": "1234", "password": "12:34:56", "token": "yes"}}
    assert config["clusters"][0]["cluster"]["expiry"] == "2026-01-01T00:00:00Z"
    (backup,) = path.parent.glob("config.beeyard-*")
    assert backup.read_text() == PROD


def test_a_second_merge_writes_nothing(home: Path) -> None:
    path = written(home)
    kubeconfigs(home).merge(K3S, None, "beeyard")
    before = (path.stat().st_ino, path.stat().st_mtime_ns, sorted(path.parent.iterdir()))
    for change in (kubeconfigs(home).plan(K3S, None, "beeyard"), kubeconfigs(home).merge(K3S, None, "beeyard")):
        assert (change.changed, change.summary) == (False, "nothing to change")
    assert (path.stat().st_ino, path.stat().st_mtime_ns, sorted(path.parent.iterdir())) == before


def test_new_certificates_replace_the_old_entry(home: Path) -> None:
    path = written(home)
    kubeconfigs(home).merge(K3S, None, "beeyard")
    done = kubeconfigs(home).merge(K3S.replace(b"S0VZ", b"TkVX"), None, "beeyard")
    assert done.summary == "context beeyard replaced"
    assert contexts(path) == ["prod", "beeyard"]
    assert read(path)["users"][1]["user"]["client-key-data"] == "TkVX"


def test_a_file_that_others_can_read_is_made_private_and_else_left(home: Path) -> None:
    path = written(home)
    kubeconfigs(home).merge(K3S, None, "beeyard")
    text = path.read_text()
    path.chmod(0o644)
    assert kubeconfigs(home).merge(K3S, None, "beeyard").summary == "mode set to 0600"
    assert (mode(path), path.read_text()) == (0o600, text)


def test_remove_leaves_the_users_own(home: Path) -> None:
    path = written(home)
    before = read(path)
    kubeconfigs(home).merge(K3S, None, "beeyard")
    assert kubeconfigs(home).remove(str(path), "beeyard")
    assert {**read(path), "clusters": None, "users": None} == {**before, "clusters": None, "users": None}
    assert not kubeconfigs(home).remove(str(path), "beeyard")


def test_remove_takes_away_a_file_that_we_made(home: Path) -> None:
    subject = kubeconfigs(home)
    path = subject.merge(K3S, None, "beeyard").path
    assert subject.remove(str(path), "beeyard")
    assert list(path.parent.iterdir()) == []
    assert not subject.remove(str(path), "beeyard")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", '{"kind": "Config", "apiVersion": "v1"}'])
def test_an_empty_file_is_filled(home: Path, text: str) -> None:
    path = written(home, text)
    assert kubeconfigs(home).merge(K3S, None, "beeyard").changed
    assert contexts(path) == ["beeyard"]


def test_a_link_is_written_through(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "kube"
    target.parent.mkdir()
    target.write_text(PROD)
    link = home / ".kube" / "config"
    link.parent.mkdir()
    link.symlink_to(target)
    kubeconfigs(home).merge(K3S, None, "beeyard")
    assert link.is_symlink()
    assert contexts(target) == ["prod", "beeyard"]
    assert kubeconfigs(home).remove(str(link), "beeyard")
    assert contexts(target) == ["prod"]


def test_the_first_of_several_paths_is_written(home: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    second.write_text(PROD)
    done = kubeconfigs(home, env={"KUBECONFIG": f":{first}:{second}"}).merge(K3S, None, "beeyard")
    assert done.path == first
    assert contexts(first) == ["beeyard"]
    assert second.read_text() == PROD
    assert not (home / ".kube").exists()


def test_a_path_given_wins_and_its_tilde_is_the_users_home(home: Path) -> None:
    done = kubeconfigs(home, env={"KUBECONFIG": "/nowhere"}).merge(K3S, "~/clusters/lab", "beeyard")
    assert done.path == home / "clusters" / "lab"
    assert mode(done.path) == 0o600


def test_k3s_own_file_is_passed_over_in_kubeconfig_and_refused_as_path(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "k3s.yaml"
    own.write_bytes(K3S)
    link = tmp_path / "link"
    link.symlink_to(own)
    subject = kubeconfigs(home, env={"KUBECONFIG": str(link)}, k3s_file=own)
    assert subject.merge(K3S, None, "beeyard").path == home / ".kube" / "config"
    for path in (own, link):
        with pytest.raises(UsageError) as caught:
            subject.plan(K3S, str(path), "beeyard")
        assert caught.value.code == "E-KUBECONFIG-007"
    assert own.read_bytes() == K3S


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("a: [1\nb: 2\n", "E-KUBECONFIG-001", "line 2"),
        ("- a\n", "E-KUBECONFIG-001", "list"),
        ("kind: Pod\n", "E-KUBECONFIG-001", "Pod"),
        ("contexts: nothing\n", "E-KUBECONFIG-001", "contexts"),
        ("users: [{user: {}}]\n", "E-KUBECONFIG-002", "Entry 1 of users"),
    ],
)
def test_what_is_no_kubeconfig_is_left_alone(home: Path, text: str, code: str, why: str) -> None:
    path = written(home, text)
    subject = kubeconfigs(home)
    for call in (
        lambda: subject.plan(None, None, "beeyard"),
        lambda: subject.plan(K3S, None, "beeyard"),
        lambda: subject.merge(K3S, None, "beeyard"),
        lambda: subject.remove(str(path), "beeyard"),
    ):
        with pytest.raises(BeeyardError) as caught:
            call()
        assert caught.value.code == code
        assert str(path) in caught.value.what
        assert why in caught.value.why
        assert "--no-merge" in caught.value.fix
    assert path.read_text() == text
    assert [entry.name for entry in path.parent.iterdir()] == ["config"]


def test_bytes_that_are_no_text_are_no_kubeconfig(home: Path) -> None:
    path = written(home)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BeeyardError) as caught:
        kubeconfigs(home).merge(K3S, None, "beeyard")
    assert caught.value.code == "E-KUBECONFIG-001"


@pytest.mark.parametrize("source", [b"", b"a: [", b"- a", b"\xff", b"kind: Config\n"])
def test_an_unusable_source_changes_nothing(home: Path, source: bytes) -> None:
    path = written(home)
    with pytest.raises(BeeyardError) as caught:
        kubeconfigs(home).merge(source, None, "beeyard")
    assert caught.value.code == "E-KUBECONFIG-003"
    assert path.read_text() == PROD
    assert [entry.name for entry in path.parent.iterdir()] == ["config"]


def test_a_folder_in_the_place_of_the_file_is_an_error(home: Path) -> None:
    (home / ".kube" / "config").mkdir(parents=True)
    with pytest.raises(BeeyardError) as caught:
        kubeconfigs(home).merge(K3S, None, "beeyard")
    assert caught.value.code == "E-KUBECONFIG-004"
    assert "--kubeconfig PATH" in caught.value.fix


def test_a_file_in_the_place_of_the_folder_is_an_error(home: Path) -> None:
    (home / ".kube").write_text("")
    with pytest.raises(BeeyardError) as caught:
        kubeconfigs(home).merge(K3S, None, "beeyard")
    assert caught.value.code == "E-KUBECONFIG-005"


def test_a_loop_of_links_is_an_error(home: Path) -> None:
    path = home / "loop"
    path.symlink_to(path)
    with pytest.raises(BeeyardError) as caught:
        kubeconfigs(home).merge(K3S, str(path), "beeyard")
    assert caught.value.code == "E-KUBECONFIG-004"


def test_a_held_lock_is_an_error_after_a_while_and_is_left(home: Path) -> None:
    path = written(home)
    lock = path.with_name("config.lock")
    lock.touch()
    with pytest.raises(TemporaryError) as caught:
        kubeconfigs(home, lock_seconds=0.1).merge(K3S, None, "beeyard")
    assert caught.value.code == "E-KUBECONFIG-006"
    assert str(lock) in caught.value.fix
    assert lock.exists()
    assert path.read_text() == PROD


def test_a_lock_that_goes_away_is_waited_for(home: Path) -> None:
    path = written(home)
    lock = path.with_name("config.lock")
    lock.touch()
    other_program = threading.Timer(0.1, lock.unlink)
    other_program.start()
    kubeconfigs(home, lock_seconds=60.0).merge(K3S, None, "beeyard")
    other_program.join()
    assert contexts(path) == ["prod", "beeyard"]
    assert not lock.exists()


def test_a_lock_of_ours_whose_process_was_killed_is_in_nobodys_way(home: Path) -> None:
    path = written(home)
    with subprocess.Popen(["true"]) as gone:
        pass
    lock = path.with_name("config.lock")
    lock.write_text(f"beeyard {gone.pid}\n")
    kubeconfigs(home, lock_seconds=0.1).merge(K3S, None, "beeyard")
    assert contexts(path) == ["prod", "beeyard"]
    assert not lock.exists()


def test_a_lock_that_a_killed_run_left_is_a_change_of_its_own(home: Path) -> None:
    path = written(home)
    subject = kubeconfigs(home)
    subject.merge(K3S, None, "beeyard")
    assert not subject.plan(K3S, None, "beeyard").changed
    with subprocess.Popen(["true"]) as gone:
        pass
    lock = path.with_name("config.lock")
    lock.write_text(f"beeyard {gone.pid}\n")
    assert "lock" in subject.plan(K3S, None, "beeyard").summary
    subject.merge(K3S, None, "beeyard")
    assert not lock.exists()
    assert not subject.plan(K3S, None, "beeyard").changed


def test_a_lock_of_ours_whose_process_lives_is_respected(home: Path) -> None:
    path = written(home)
    path.with_name("config.lock").write_text(f"beeyard {os.getpid()}\n")
    with pytest.raises(TemporaryError):
        kubeconfigs(home, lock_seconds=0.1).merge(K3S, None, "beeyard")
    assert path.read_text() == PROD


def test_programs_that_merge_at_once_lose_nothing(home: Path) -> None:
    path = written(home)
    names = [f"lab-{number}" for number in range(8)]
    subjects = [(kubeconfigs(home, lock_seconds=60.0), name) for name in names]
    threads = [threading.Thread(target=subject.merge, args=(K3S, None, name)) for subject, name in subjects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(contexts(path)) == [*names, "prod"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
def test_kubectl_reads_and_writes_what_we_wrote(home: Path) -> None:
    path = written(home)
    kubeconfigs(home).merge(K3S, None, "beeyard")
    base = ["kubectl", "--kubeconfig", str(path), "config"]
    subprocess.run([*base, "use-context", "beeyard"], check=True, capture_output=True, timeout=60)
    assert not kubeconfigs(home).merge(K3S, None, "beeyard").changed
    assert kubeconfigs(home).remove(str(path), "beeyard")
    assert contexts(path) == ["prod"]
