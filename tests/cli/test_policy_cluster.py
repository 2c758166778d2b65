"""The policy commands on a real API server with Cilium's definitions."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.adapters.store.pending import FilePending
from installer.cli.main import run
from installer.domain.flows import times
from installer.wiring import policies as wiring
from tests.support.apiserver import ApiServer
from tests.support.observer import Observer, serve
from tests.support.policy_server import CNPS, apply, install_crds

NAMES = CNPS.format("demo")
DEADLINE = 60.0


def policy(*peers: str, name: str = "backend", namespace: str = "demo") -> dict[str, Any]:
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": "backend"}},
            "ingress": [{"fromEndpoints": [{"matchLabels": {"app": peer}}]} for peer in peers],
        },
    }


class Desk:
    """A user with a home of his own, at a terminal of his own."""

    def __init__(self, api: ApiServer, home: Path, capsys: pytest.CaptureFixture[str]):
        self.api = api
        self.home = home
        self.kubeconfig = api.kubeconfig()
        self._capsys = capsys

    def write(self, *objects: dict[str, Any], name: str = "policy.yaml") -> str:
        path = self.home / name
        path.write_text(yaml.safe_dump_all(objects))
        return str(path)

    def run(self, *arguments: object, kubeconfig: Path | None = None) -> tuple[int, str, str]:
        code = run(["policy", *map(str, arguments), "--kubeconfig", str(kubeconfig or self.kubeconfig)])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def run_alone(self, *arguments: object) -> tuple[int, str, str]:
        """Run a command that needs no cluster."""
        code = run(["policy", *map(str, arguments)])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def apply(self, *objects: dict[str, Any]) -> str:
        """Apply and return the id of the last change."""
        code, _, err = self.run("apply", "-f", self.write(*objects), "--yes", "--no-wait")
        assert code == 0, err
        return re.findall(r"\((\S+-[0-9a-f]{6})\)", err)[-1] if "done: " in err else ""

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "installer", "policy", *arguments, "--kubeconfig", str(self.kubeconfig)]
        return subprocess.Popen(argv, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def live(self, name: str = "backend") -> Any:
        found = self.api.call("GET", NAMES)["items"]
        return next((item for item in found if item["metadata"]["name"] == name), None)

    @property
    def state(self) -> Path:
        return self.home / "state" / "beeyard"


@pytest.fixture
def desk(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    for name, folder in (("HOME", ""), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    yield Desk(api, tmp_path, capsys)
    for item in api.call("GET", NAMES)["items"]:
        api.call("DELETE", f"{NAMES}/{item['metadata']['name']}")


def wait_for(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read stderr until a text comes, which need not end a line."""
    assert process.stderr is not None
    seen = ""
    while text not in seen:
        part = process.stderr.read(1)
        assert part, seen
        seen += part
    return seen


def peers(obj: Any) -> list[str]:
    return [rule["fromEndpoints"][0]["matchLabels"]["app"] for rule in obj["spec"]["ingress"]]


def test_from_nothing_and_back(desk: Desk) -> None:
    path = desk.write(policy("one"))
    code, out, err = desk.run("diff", "-f", path)
    assert (code, desk.live()) == (1, None)
    assert "create: CiliumNetworkPolicy demo/backend" in err
    assert "+        app: one" in out
    (planned,) = json.loads(desk.run("diff", "-f", path, "-o", "json")[1])
    assert {**planned, "diff": planned["diff"] == out.rstrip("\n")} == {
        "action": "create", "kind": "CiliumNetworkPolicy", "namespace": "demo", "name": "backend", "diff": True
    }  # fmt: skip
    arguments = ("apply", "-f", path, "--yes", "--no-wait", "--reason", "first try")
    code, _, err = desk.run(*arguments)
    assert code == 0
    assert "done: create CiliumNetworkPolicy demo/backend" in err
    assert desk.run("diff", "-f", path)[:2] == (0, "")
    assert desk.run(*arguments)[2].endswith("nothing to change\n")
    second = desk.apply(policy("one", "two"))
    listed = json.loads(desk.run("list", "-n", "demo", "-o", "json")[1])
    assert [(one["name"], one["isolates"], one["valid"]) for one in listed] == [("backend", ["ingress"], True)]
    assert yaml.safe_load(desk.run("get", "demo/backend")[1]) == policy("one", "two")
    history = json.loads(desk.run("history", "-o", "json")[1])
    assert [(one["action"], one["reason"]) for one in history] == [("create", "first try"), ("update", "")]
    assert "+        app: two" in desk.run("history", second)[1]
    code, out, _ = desk.run("rollback", second, "--yes")
    assert code == 0
    assert "-        app: two" in out
    assert peers(desk.live()) == ["one"]
    assert desk.run("rollback", second, "--yes")[0] == 5  # it is not there any more
    assert desk.run("delete", "demo/backend", "--yes")[0] == 0
    assert desk.live() is None
    last = json.loads(desk.run("history", "-o", "json")[1])[-1]
    assert last["action"] == "delete"
    assert desk.run("rollback", last["id"], "--yes")[0] == 0
    assert peers(desk.live()) == ["one"]


def test_several_documents_and_deleting_by_file(desk: Desk) -> None:
    path = desk.write(policy("one", name="a"), policy("one", name="b"))
    assert desk.run("apply", "-f", path, "--yes", "--no-wait")[0] == 0
    assert desk.live("a")
    assert desk.live("b")
    assert desk.run("delete", "-f", path, "--yes")[0] == 0
    assert desk.live("a") is None
    assert desk.live("b") is None


def test_agents_that_ignore_a_policy_fail_the_command(desk: Desk) -> None:
    desk.apply(policy("one"))
    word = {
        "type": "Valid",
        "status": "False",
        "message": "no such thing",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {**desk.live(), "status": {"conditions": [word]}}
    desk.api.call("PUT", f"{NAMES}/backend/status", status)
    code, _, err = desk.run("apply", "-f", desk.write(policy("two")), "--yes")
    assert code == 1
    assert "agents ignore CiliumNetworkPolicy demo/backend: no such thing" in err
    assert "IGNORED: no such thing" in desk.run("list")[1]


def test_without_a_terminal_nothing_is_done_unasked(desk: Desk) -> None:
    process = desk.start("apply", "-f", desk.write(policy("one")))
    assert "E-CLI-002" in process.communicate(timeout=DEADLINE)[1]
    assert process.returncode == 2
    assert desk.live() is None


def test_others_edits_are_merged_or_are_a_conflict(desk: Desk) -> None:
    desk.apply(policy("one", "two"))
    base = desk.home / "base.yaml"
    base.write_text(desk.run("get", "demo/backend")[1])
    apply(desk.api, NAMES, policy("zero", "one", "two"))
    mine = desk.write(policy("one", "two", "three"), name="mine.yaml")
    code, _, err = desk.run("apply", "-f", mine, "--base", base, "--yes", "--no-wait")
    assert code == 0
    assert "merged: someone else changed" in err
    assert peers(desk.live()) == ["zero", "one", "two", "three"]
    other = desk.write(policy("one", "other"), name="other.yaml")
    apply(desk.api, NAMES, policy("one", "theirs"))
    code, _, err = desk.run("apply", "-f", other, "--base", base, "--yes", "--no-wait")
    assert code == 5
    assert "conflict: both changed spec.ingress" in err
    assert peers(desk.live()) == ["one", "theirs"]


def asked(desk: Desk, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    """Start an apply at a terminal and wait for its question; return it and the terminal."""
    terminal, side = pty.openpty()
    process = desk.start(*arguments, stdin=side)
    os.close(side)
    read_until(process, "Apply?")
    return process, terminal


def test_a_change_while_one_thinks_is_a_conflict(desk: Desk) -> None:
    desk.apply(policy("one"))
    process, terminal = asked(desk, "apply", "-f", desk.write(policy("mine")), "--no-wait")
    apply(desk.api, NAMES, policy("theirs"))
    os.write(terminal, b"y\n")
    assert "E-POL-021" in process.communicate(timeout=DEADLINE)[1]
    os.close(terminal)
    assert process.returncode == 5
    assert peers(desk.live()) == ["theirs"]


def test_no_is_no(desk: Desk) -> None:
    process, terminal = asked(desk, "apply", "-f", desk.write(policy("one")))
    os.write(terminal, b"n\n")
    assert "nothing was changed" in process.communicate(timeout=DEADLINE)[1]
    os.close(terminal)
    assert desk.live() is None


def test_an_api_that_goes_away_while_one_thinks(desk: Desk) -> None:
    process, terminal = asked(desk, "apply", "-f", desk.write(policy("one")), "--no-wait")
    desk.api.stop_api()
    try:
        os.write(terminal, b"y\n")
        err = process.communicate(timeout=DEADLINE)[1]
        os.close(terminal)
        code, _, away = desk.run("list")
    finally:
        desk.api.start_api()
    assert process.returncode in (1, 3)
    assert re.search(r"E-POL-022|E-KUBE-001", err)
    assert code == 3
    assert "E-KUBE-001" in away
    assert desk.live() is None
    desk.apply(policy("one"))
    assert peers(desk.live()) == ["one"]


def test_unconfirmed_changes_go_back_also_when_beeyard_is_killed(desk: Desk) -> None:
    desk.apply(policy("before"))
    path = desk.write(policy("after"))
    process = desk.start("apply", "-f", path, "--yes", "--confirm-within", "2s")  # it would wait for the agents' word
    read_until(process, "done: update")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=DEADLINE)
    wait_for(lambda: peers(desk.live()) == ["before"], "the policy did not go back")
    ended = desk.state / "guard.log"
    wait_for(lambda: "reverted" in ended.read_text(), "the guard did not end")
    history = json.loads(desk.run("history", "-o", "json")[1])
    assert history[-1]["reason"] == "not confirmed in time"
    assert history[-1]["reverts"] == history[-2]["id"]
    assert FilePending(desk.state / "pending").all() == []
    code, _, err = desk.run_alone("confirm", history[-2]["id"])
    assert code == 1
    assert "reverted" in err


def test_confirmed_changes_stay(desk: Desk) -> None:
    path = desk.write(policy("one"))
    code, _, err = desk.run("apply", "-f", path, "--yes", "--no-wait", "--confirm-within", "1h")
    assert code == 0
    assert "goes back in 1h unless you run: beeyard policy confirm " in err
    assert desk.run_alone("confirm")[0] == 0
    ended = desk.state / "guard.log"
    wait_for(lambda: "confirmed" in ended.read_text(), "the guard did not end")
    assert peers(desk.live()) == ["one"]
    assert desk.run_alone("confirm")[0] == 2


def test_a_deletion_goes_back_too(desk: Desk) -> None:
    desk.apply(policy("one"))
    assert desk.run("delete", "demo/backend", "--yes", "--confirm-within", "1s")[0] == 0
    wait_for(lambda: desk.live() is not None, "the policy did not come back")
    wait_for(lambda: "reverted" in (desk.state / "guard.log").read_text(), "the guard did not end")


def test_a_guard_that_is_killed_is_started_again(desk: Desk) -> None:
    path, others = desk.write(policy("one")), set(wiring._guards)
    assert desk.run("apply", "-f", path, "--yes", "--no-wait", "--confirm-within", "1h")[0] == 0
    (waiting,) = FilePending(desk.state / "pending").all()
    (pid,) = wiring._guards - others
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wiring._guards.discard(pid)
    FilePending(desk.state / "pending").add(replace(waiting, deadline=time.time()))  # its time went by meanwhile
    assert f"change {waiting.id} was not confirmed" in desk.run("list")[2]
    wait_for(lambda: desk.live() is None, "the policy did not go back")
    wait_for(lambda: "reverted" in (desk.state / "guard.log").read_text(), "the guard did not end")


def test_without_a_guard_nothing_is_changed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    code, _, err = desk.run("apply", "-f", desk.write(policy("one")), "--yes", "--no-wait", "--confirm-within", "1h")
    assert code == 1
    assert "E-POL-032" in err
    assert desk.live() is None
    assert FilePending(desk.state / "pending").all() == []


def test_a_viewer_is_refused_before_being_asked(desk: Desk) -> None:
    desk.apply(policy("one"))
    vera = desk.api.user("vera", "policy-viewers")
    path = desk.write(policy("two"))
    for arguments in (("apply", "-f", path), ("delete", "demo/backend")):
        code, _, err = desk.run(*arguments, kubeconfig=vera)
        assert code == 5
        assert "E-POL-023" in err
        assert "ciliumnetworkpolicies.cilium.io in namespace demo" in err
        assert "manifests/rbac" in err
    assert peers(desk.live()) == ["one"]
    assert desk.run("list", kubeconfig=vera)[0] == 0
    assert desk.run("get", "demo/backend", kubeconfig=vera)[0] == 0


def test_who_cannot_take_back_is_not_let_begin(desk: Desk) -> None:
    rule = {"apiGroups": ["cilium.io"], "resources": ["ciliumnetworkpolicies"], "verbs": ["get", "list", "create"]}
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/"
    meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "creator"}}
    apply(desk.api, f"{roles}roles", {**meta, "kind": "Role", "rules": [rule]})
    subject = {"kind": "User", "name": "cora", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "Role", "name": "creator", "apiGroup": "rbac.authorization.k8s.io"}
    apply(desk.api, f"{roles}rolebindings", {**meta, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]})
    cora, path = desk.api.user("cora"), desk.write(policy("one"))
    code, _, err = desk.run("apply", "-f", path, "--yes", "--confirm-within", "1h", kubeconfig=cora)
    assert code == 5
    assert "delete ciliumnetworkpolicies.cilium.io" in err
    assert desk.live() is None
    assert desk.run("apply", "-f", path, "--yes", "--no-wait", kubeconfig=cora)[0] == 0


def test_what_one_may(desk: Desk) -> None:
    assert "(all)      cnp     yes  yes   yes    yes     yes     yes" in desk.run("may")[1]
    edda = desk.api.user("edda", "demo-team")
    code, out, err = desk.run("may", kubeconfig=edda)
    assert code == 0
    assert "name those that matter with -n" in err
    assert "(all)      cnp     no   no    no     no      no      no" in out
    found = json.loads(desk.run("may", "-n", "demo", "-n", "other", "-o", "json", kubeconfig=edda)[1])
    rights = {(one["namespace"], one["kind"]): one["verbs"] for one in found}
    assert rights["demo", "NetworkPolicy"] == ["get", "list", "watch", "create", "update", "delete"]
    assert rights["other", "NetworkPolicy"] == []
    both = desk.api.user("ed", "demo-team", "policy-viewers")
    out = desk.run("may", kubeconfig=both)[1]
    assert re.search(r"demo +cnp +yes +yes +yes +yes +yes +yes", out)
    assert "other" not in out


@pytest.mark.root
def test_in_a_pod_the_service_account_is_used(desk: Desk) -> None:
    """The files that a pod has are put in their place in a mount namespace of the test's own."""
    token = yaml.safe_load(desk.api.service_account("other", "inside").read_text())["users"][0]["user"]["token"]
    (desk.home / "token").write_text(token)
    (desk.home / "ca.crt").write_bytes((desk.api.folder / "ca.crt").read_bytes())
    place = "/run/secrets/kubernetes.io/serviceaccount"
    no_k3s = "if [ -d /etc/rancher ]; then mount -t tmpfs none /etc/rancher; fi"
    files = f"mount -t tmpfs none /run && mkdir -p {place} && cp token ca.crt {place}"
    argv = [sys.executable, "-m", "installer", "policy", "may", "-n", "other", "-o", "json"]
    server = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(desk.api.port)}
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'mount --make-rprivate / && {no_k3s} && {files} && exec "$@"', "sh", *argv],
        cwd=desk.home, env={**os.environ, **server, "PYTHONPATH": root}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {tuple(one["verbs"]) for one in json.loads(done.stdout)} == {()}


def test_changes_as_json(desk: Desk) -> None:
    path = desk.write(policy("one"))
    asked = ("--yes", "--no-wait", "-o", "json")
    code, out, _ = desk.run("apply", "-f", path, *asked, "--confirm-within", "1h")
    told = json.loads(out)
    assert (code, told["newDrops"]) == (0, None)
    assert [(one["action"], one["kind"], one["name"]) for one in told["changes"]] == [
        ("create", "CiliumNetworkPolicy", "backend")
    ]
    assert told["pending"]["id"] == told["changes"][0]["change"]
    assert json.loads(desk.run_alone("confirm", "-o", "json")[1]) == {"change": told["pending"]["id"], "kept": True}
    code, out, _ = desk.run("apply", "-f", path, *asked)
    assert (code, json.loads(out)["changes"][0]["action"]) == (0, "none")
    code, out, _ = desk.run("delete", "demo/backend", "--yes", "-o", "json")
    gone = json.loads(out)["changes"][0]
    assert (code, gone["action"], desk.live()) == (0, "delete", None)
    code, out, _ = desk.run("rollback", gone["change"], "--yes", "-o", "json")
    assert (code, json.loads(out)["changes"][0]["action"]) == (0, "create")
    assert peers(desk.live()) == ["one"]


async def test_new_drops_are_told_after_applying(desk: Desk) -> None:
    server = Observer()
    path = desk.write(policy("frontend"))
    async with serve(server) as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "installer", "policy", "apply", "-f", path, "--yes", "--no-wait",
            "--watch", "2s", "--server", address, "--kubeconfig", str(desk.kubeconfig),
            stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await server.wait_streams(1)
        assert desk.live() is not None
        await server.add(_dropped("intruder", "backend"))
        _, err = await process.communicate()
    assert process.returncode == 0
    assert "new drop: demo/intruder -> demo/backend 80/TCP, 1 flows" in err.decode()


async def test_drops_are_explained_with_the_clusters_policies(desk: Desk) -> None:
    desk.api.call("POST", NAMES, policy("frontend"))
    server = Observer()
    async with serve(server) as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "installer", "observe", "-f", "--explain", "--server", address,
            "--kubeconfig", str(desk.kubeconfig), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await server.wait_streams(1)
        assert process.stdout is not None
        await server.add(_dropped("intruder", "backend"))
        lines = [(await process.stdout.readline()).decode() for _ in range(6)]
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert "intruder to demo/backend port 80/TCP: deny at ingress" in lines[3]
    assert "add a rule to CiliumNetworkPolicy demo/backend" in lines[4]


def _dropped(source: str, dest: str) -> dict[str, Any]:
    moment = times.from_ns(time.time_ns())
    ends = [
        {"namespace": "demo", "labels": [f"k8s:app={app}", "k8s:io.kubernetes.pod.namespace=demo"], "pod_name": app}
        for app in (source, dest)
    ]
    flow = {
        "time": moment,
        "verdict": "DROPPED",
        "drop_reason_desc": "POLICY_DENIED",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 80, "flags": {"SYN": True}}},
        "source": ends[0],
        "destination": ends[1],
        "event_type": {"type": 1},
    }
    return {"flow": flow, "node_name": "node-a", "time": moment}


def test_a_hubble_that_is_away_does_not_undo_the_change(desk: Desk) -> None:
    path = desk.write(policy("one"))
    code, _, err = desk.run("apply", "-f", path, "--yes", "--no-wait", "--watch", "1s", "--server", "127.0.0.1:1")
    assert code == 0
    assert "warning: the flows cannot be watched" in err
    assert desk.live() is not None
    code, _, err = desk.run("apply", "-f", desk.write(policy("two")), "--yes", "--watch", "soon")
    assert (code, peers(desk.live())) == (2, ["one"])
    assert "E-POL-004" in err


def test_a_kind_that_the_cluster_does_not_know(desk: Desk) -> None:
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ciliumclusterwidenetworkpolicies.cilium.io"
    wide = policy("one")
    wide["kind"] = "CiliumClusterwideNetworkPolicy"
    del wide["metadata"]["namespace"]
    desk.api.call("DELETE", crd)
    path = "/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies"
    wait_for(lambda: _gone(desk.api, path), "the definition is still served")
    try:
        code, _, err = desk.run("apply", "-f", desk.write(wide), "--yes", "--no-wait")
        assert code in (1, 2)
        assert "CiliumClusterwideNetworkPolicy" in err
        assert "Traceback" not in err
        assert desk.run("list")[0] == 0
    finally:
        install_crds(desk.api)


def _gone(api: ApiServer, path: str) -> bool:
    try:
        api.call("GET", path)
    except urllib.error.HTTPError as error:
        return error.code == 404
    return False


GOOD = yaml.safe_dump(policy("one"))
BOMB = "a0: &a0 x\n" + "".join(f"a{one + 1}: &a{one + 1} [*a{one}, *a{one}]\n" for one in range(24))
ANCHORS = """\
  ingress:
  - &rule
    fromEndpoints:
    - matchLabels:
        app: one
  - *rule
"""


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (GOOD.replace("cilium.io/v2", "cilium.io/v3"), "P-SCHEMA-011", ":1:1"),
        (GOOD.replace("  endpointSelector", "\tendpointSelector"), "P-YAML-001", ":7:"),
        (GOOD + "  ingress: []\n", "P-YAML-002", ":14:3"),
        (GOOD + "  description: " + "x" * 10_000_000 + "\n", "P-YAML-004", ":1:1"),
        (GOOD.replace("fromEndpoints", "fromEndpoint"), "P-SCHEMA", ":11:5"),
        (BOMB, "P-YAML-003", ":1:1"),
    ],
    ids=["apiVersion", "tabs", "duplicate", "10MB", "typo", "aliases"],
)
def test_files_that_are_not_applied(desk: Desk, text: str, code: str, place: str) -> None:
    path = desk.home / "bad.yaml"
    path.write_text(text)
    status, _, err = desk.run("apply", "-f", path, "--yes", "--no-wait")
    assert status == 2
    assert code in err
    assert f"bad.yaml{place}" in err
    assert "E-POL-003" in err
    assert desk.live() is None


def test_a_bad_document_keeps_the_good_ones_from_being_applied(desk: Desk) -> None:
    path = desk.home / "both.yaml"
    path.write_text(GOOD + "---\n" + GOOD.replace("ingress:", "ingres:").replace("name: backend", "name: other"))
    assert desk.run("apply", "-f", path, "--yes", "--no-wait")[0] == 2
    assert desk.live() is None


def test_anchors_are_written_out(desk: Desk) -> None:
    path = desk.home / "anchors.yaml"
    path.write_text(GOOD.split("  ingress:")[0] + ANCHORS)
    assert desk.run("apply", "-f", path, "--yes", "--no-wait")[0] == 0
    assert peers(desk.live()) == ["one", "one"]
