"""``beeyard doctor``: without root, without a cluster, with an API that hangs, on hosts made in namespaces."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.apiserver import ApiServer
from tests.support.cluster import BEEYARD, ROOT, Finished, beeyard

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J \u202eback"
"""Would retitle the terminal, colour it, clear it, and turn the reading direction."""


def harmless(done: Finished) -> bool:
    return not any(code in done.out + done.err for code in ("\x1b", "\x07", "\x9b", "\u202e"))


@pytest.fixture
def trouble(api: ApiServer) -> dict[str, Any]:
    """A pod that is not ready, and events about it whose words are hostile."""
    pod = {
        "metadata": {"name": "web-1", "namespace": "demo", "annotations": {"note": HOSTILE}},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    }
    event = {
        "metadata": {"generateName": "web-1.", "namespace": "demo"},
        "involvedObject": {"kind": "Pod", "namespace": "demo", "name": "web-1", "apiVersion": "v1"},
        "type": "Warning",
        "reason": "FailedCreatePodSandBox",
        "message": f'{HOSTILE} plugin type="flannel" failed (add): open /run/flannel/subnet.env {HOSTILE}',
    }
    if "web-1" not in {one["metadata"]["name"] for one in api.call("GET", "/api/v1/namespaces/demo/pods")["items"]}:
        api.call("POST", "/api/v1/namespaces/demo/pods", pod)
        api.call("POST", "/api/v1/namespaces/demo/events", event)
    return event


def test_a_cluster_elsewhere(api: ApiServer, trouble: dict[str, Any]) -> None:
    done = beeyard("doctor", "--kubeconfig", str(api.kubeconfig()))
    assert done.rc == 1
    assert "E-DIA-005  pods are set up by flannel" in done.out
    assert "event FailedCreatePodSandBox of Pod demo/web-1" in done.out
    assert "fix: mkdir -p /root/cni-old" in done.out
    assert harmless(done)
    assert max(map(len, done.out.splitlines())) <= 130


def test_json(api: ApiServer, trouble: dict[str, Any]) -> None:
    told = beeyard("doctor", "--kubeconfig", str(api.kubeconfig()), "-o", "json").json()
    codes = [told["cause"]["code"], *(one["code"] for one in told["others"])]
    assert "E-DIA-005" in codes
    assert told["ok"] is False
    assert told["cluster"] == api.server
    assert all("\x1b" not in text for text in json.dumps(told))


def test_hostile_words_stay_words_in_every_command(api: ApiServer, trouble: dict[str, Any]) -> None:
    policy = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "hostile", "namespace": "demo"},
        "spec": {"description": HOSTILE, "endpointSelector": {"matchLabels": {"app": "x"}}, "ingress": [{}]},
    }
    where = "/apis/cilium.io/v2/namespaces/demo/ciliumnetworkpolicies"
    api.call("POST", where, policy)
    try:
        given = ("--kubeconfig", str(api.kubeconfig()))
        for words in (
            ("status", *given),
            ("status", "-o", "json", *given),
            ("doctor", *given),
            ("policy", "list", "-A", *given),
            ("policy", "get", "hostile", "-n", "demo", *given),
            ("policy", "lint", "-A", *given),
            ("policy", "graph", "-A", *given),
        ):
            done = beeyard(*words)
            assert harmless(done), words
            assert "Traceback" not in done.err
    finally:
        api.call("DELETE", f"{where}/hostile")


def test_an_api_that_hangs_is_told_in_time(api: ApiServer) -> None:
    api.pause_api()
    try:
        done = beeyard("doctor", "--kubeconfig", str(api.kubeconfig()), timeout=60)
    finally:
        api.resume_api()
    assert done.rc == 1
    assert "E-KUBE-001" in done.out
    assert "Not read:" in done.out
    assert "no cluster was reached" in done.out


def test_an_api_that_is_gone(tmp_path: Path, api: ApiServer) -> None:
    gone = api.kubeconfig(server="https://127.0.0.1:9")
    done = beeyard("doctor", "--kubeconfig", str(gone))
    assert done.rc == 1
    assert "E-KUBE-001" in done.out


def test_who_may_not_read_is_told(api: ApiServer) -> None:
    done = beeyard("doctor", "--kubeconfig", str(api.user("stranger")))
    assert "Not read:" in done.out
    assert "not allowed to list" in done.out
    assert "Traceback" not in done.err


def test_this_host_alone() -> None:
    told = beeyard("doctor", "--no-cluster", "-o", "json").json()
    assert told["cluster"] == ""
    assert any("this host" in one for one in told["looked"])


@pytest.mark.root
def test_without_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    command = [*nobody, str(BEEYARD), "doctor", "--no-cluster"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env={**os.environ, "HOME": "/nonexistent"}
    )
    assert done.returncode in (0, 1), done.stderr
    assert "things looked at" in done.stdout
    assert "E-PRE-001" not in done.stdout
    assert "Traceback" not in done.stderr


NAMESPACES = ("unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "sh", "-c")
BARE = """
ip link set lo up
ip link add cilium_host type veth peer name cilium_net
for folder in /etc/cni /etc/rancher /var/lib/rancher /var/lib/beeyard /var/log/beeyard /usr/local/bin; do
  mkdir -p $folder; mount -t tmpfs tmpfs $folder
done
mount -t tmpfs tmpfs /etc/init.d
"""


def on_host(script: str) -> dict[str, Any]:
    """Make a host in fresh namespaces, then ask the doctor there."""
    beeyard_there = shlex.join(
        [str(BEEYARD.with_name("python")), "-m", "installer", "doctor", "--no-cluster", "-o", "json"]
    )
    command = f"set -e\n{BARE}{script}\nexec {beeyard_there}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*NAMESPACES, command], capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def codes(told: dict[str, Any]) -> set[str]:
    return {one["code"] for one in [*filter(None, [told["cause"]]), *told["others"]]}


@pytest.mark.root
def test_mode_1_what_outlives_cilium_is_seen_before_it_cuts_the_host_off() -> None:
    told = on_host("ip rule add from all lookup local priority 100; ip rule delete from all lookup local priority 0")
    assert told["cause"]["code"] == "E-DIA-001"
    assert told["cause"]["mode"] == 1
    assert "beeyard uninstall" in told["cause"]["fix"]
    assert told["cause"]["where"] == "ip rule"


@pytest.mark.root
def test_mode_15_a_strict_reverse_path_filter() -> None:
    told = on_host("echo 1 > /proc/sys/net/ipv4/conf/cilium_host/rp_filter")
    assert codes(told) == {"E-DIA-015"}
    assert told["cause"]["evidence"] == "sysctl net.ipv4.conf.cilium_host.rp_filter = 1"


@pytest.mark.root
def test_a_host_without_anything_has_nothing() -> None:
    told = on_host(
        "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/cilium_host/rp_filter"
    )
    assert told["ok"], told["cause"]
