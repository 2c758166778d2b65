"""What is to go back, from records of journals."""

from __future__ import annotations

from typing import Any

from installer.domain.undo import ABSENT, Changes, changes_of, stamp

OLD, NEW, NEWER = (stamp(text) for text in (b"old", b"new", b"newer"))


def file(path: str, *, existed: bool = True, before: str = OLD, copy: str = "before/1") -> tuple[str, dict[str, Any]]:
    data: dict[str, Any] = {"what": "file", "path": path, "existed": existed}
    if existed:
        data.update(copy=copy, mode=0o600, uid=0, gid=0, stamp=before)
    return "change", data


def left(path: str, after: str) -> tuple[str, dict[str, Any]]:
    return "changed", {"what": "file", "path": path, "stamp": after}


def test_of_several_changes_the_first_tells_what_was_there_and_the_last_what_is() -> None:
    runs = [
        ("a", [file("/x"), left("/x", NEW)]),
        ("b", [file("/x", before=NEW, copy="before/7"), left("/x", NEWER)]),
    ]
    (only,) = changes_of(runs).files
    assert (only.run, only.copy, only.before, only.after) == ("a", "before/1", OLD, NEWER)


def test_a_verdict_on_a_file() -> None:
    (one,) = changes_of([("a", [file("/x"), left("/x", NEW)])]).files
    assert [one.verdict(now) for now in (OLD, NEW, NEWER, ABSENT)] == ["done", "restore", "foreign", "foreign"]


def test_a_run_that_was_killed_before_it_could_say_what_it_left() -> None:
    (one,) = changes_of([("a", [file("/x")])]).files
    assert [one.verdict(now) for now in (OLD, NEW)] == ["done", "restore"]
    again = [("a", [file("/x"), left("/x", NEW)]), ("b", [file("/x", before=NEW)])]
    (one,) = changes_of(again).files
    assert one.verdict(NEWER) == "restore"


def test_a_file_that_was_not_there() -> None:
    (one,) = changes_of([("a", [file("/x", existed=False), left("/x", NEW)])]).files
    assert (one.before, one.copy) == (ABSENT, "")
    assert [one.verdict(now) for now in (ABSENT, NEW)] == ["done", "restore"]


def test_releases_and_services() -> None:
    release = {"what": "release", "name": "cilium", "namespace": "kube-system"}
    service = {"what": "service", "name": "k3s", "enabled": False, "active": False}
    made = [("change", {**release, "revision": 0}), ("change", {**service, "installed": False})]
    later = [("change", {**release, "revision": 2}), ("change", {**service, "installed": True})]
    whole = changes_of([("a", made), ("b", later)])
    assert [one.revision for one in whole.releases] == [0]
    assert whole.made_the_cluster
    assert not changes_of([("b", later)]).made_the_cluster
    assert changes_of([("b", later)]).releases[0].revision == 2


def test_other_records_are_no_changes() -> None:
    assert not changes_of([("a", [("step-started", {"step": "k3s"}), ("options", {"verify": True}), left("/y", NEW)])])
    assert not Changes()
