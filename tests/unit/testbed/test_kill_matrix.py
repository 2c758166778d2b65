"""The matrix' own parts: points are met exactly, chains are possible, differences are seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.kill import state
from tests.e2e.kill.cases import CASES, POINTS, chains
from tests.e2e.kill.drive import HOOK
from tests.e2e.kill.faults import FAULTS

PROGRAM = """
import os, sys, time, datetime
for name in ("one", "two", "three"):
    with open(name + ".part", "w") as file:
        file.write(name)
    os.replace(name + ".part", name)
print(time.time(), datetime.datetime.now(datetime.UTC).timestamp())
"""


def hooked(folder: Path, plan: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "KILL_AT": json.dumps(plan), "PYTHONPATH": str(HOOK)}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_a_program_is_killed_right_before_the_change_that_is_meant(tmp_path: Path) -> None:
    done = hooked(tmp_path, {"match": r"^os\.rename .*t.* t", "nth": 2, "then": "kill"})
    assert done.returncode == -9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "three.part", "two"]


def test_changes_are_recorded_in_order(tmp_path: Path) -> None:
    record = tmp_path / "record"
    assert hooked(tmp_path, {"then": "record", "record": str(record)}).returncode == 0
    lines = [line.split(" ", 1)[1] for line in record.read_text().splitlines()]
    assert lines[:2] == ["open one.part", "os.rename one.part one"]


def test_the_clock_jumps_for_the_program_alone(tmp_path: Path) -> None:
    before = float(hooked(tmp_path, {}).stdout.split()[0])
    for plan in ({"clock": 86400.0}, {"match": "rename", "then": "clock", "seconds": 86400.0}):
        done = hooked(tmp_path, plan)
        assert all(86400 <= float(word) - before < 90000 for word in done.stdout.split()), done.stderr


def test_a_program_stands_still_until_it_may_go_on(tmp_path: Path) -> None:
    told, go = tmp_path / "told", tmp_path / "go"
    os.mkfifo(told)
    os.mkfifo(go)
    plan = {"match": "rename two", "then": "tell", "told": str(told), "go": str(go)}
    env = {**os.environ, "KILL_AT": json.dumps(plan), "PYTHONPATH": str(HOOK)}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=env, stdout=subprocess.DEVNULL) as running:
        assert told.read_text() == "reached\n"
        assert not (tmp_path / "two").exists()
        go.write_text("go")
        assert running.wait() == 0
    assert (tmp_path / "three").exists()


def test_the_matrix_has_enough_of_everything() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 60
    assert {case.fault for case in CASES} == set(FAULTS)
    for point in POINTS:
        assert len(point.faults) >= 2, point
        assert point.faults[0] in ("kill", "killed-beside-helm"), point
    steps = ["preflight", "fetch", "k3s", "kubeconfig", "cilium", "hubble", "ready", "verify"]
    assert list(dict.fromkeys(point.step for point in POINTS)) == steps


def test_chains_hold_every_case_once_and_in_order() -> None:
    found = chains(CASES, 6)
    assert sorted(case.id for chain in found for case in chain) == sorted(case.id for case in CASES)
    for chain in found:
        places = [POINTS.index(case.point) for case in chain]
        assert places == sorted(set(places))
        assert len({case.point.source for case in chain}) == 1


def test_differences_are_seen_and_what_varies_by_itself_is_not() -> None:
    references = [
        {"file /a": "file 0644 0:0 1", "file /b": "file 0600 0:0 7", "helm status": "deployed"},
        {"file /a": "file 0644 0:0 1", "file /b": "file 0600 0:0 8", "helm status": "deployed"},
    ]
    same = {"file /a": "file 0644 0:0 1", "file /b": "file 0600 0:0 9", "helm status": "deployed"}
    assert state.differences(references, same) == []
    for key, value in (("file /a", "file 0644 0:0 2"), ("file /b", "file 0644 0:0 7"), ("helm status", "failed")):
        assert len(state.differences(references, {**same, key: value})) == 1, key
    assert state.differences(references, {**same, "file /c": "link to a"}) == ["file /c: absent -> link to a"]
    assert len(state.differences(references, {"helm status": "deployed"})) == 2


def test_what_is_random_is_masked() -> None:
    assert state.masked("config.beeyard-20261123T155642Z") == state.masked("config.beeyard-20270101T000000Z.1")
    assert state.masked(".k3s.123.abcd_ef1.beeyard-tmp") == ".k3s.X.beeyard-tmp"
    assert state.masked("10.42.0.17 dev veth0a1b") == "ADDRESS dev veth"
    assert state.masked("10.42.0.0/16") == "10.42.0.0/16"
