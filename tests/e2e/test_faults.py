"""Bad input and faults, each on the real thing: refused or explained, nothing lost, and the next run finishes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import BEEYARD, STATE, beeyard, install, kubectl, run_testbed

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", autouse=True)
def _bare(bundle: Path) -> Iterator[None]:
    run_testbed("down")
    yield
    run_testbed("down")


def dry_run(bundle: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [
        *prefix,
        str(BEEYARD),
        "install",
        "--dry-run",
        "--allow-unsupported",
        "--no-merge",
        "--bundle",
        str(bundle),
    ]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)


def nothing_changed() -> bool:
    return not Path("/etc/rancher").exists() and not Path("/usr/local/bin/k3s").exists()


class TestRefusedBeforeAnyChange:
    """Exit 5 (or 2 for usage), with the fix, on a host that stays bare."""

    def refused(self, done: subprocess.CompletedProcess[str], code: str, rc: int = 5) -> None:
        assert done.returncode == rc, done.stderr
        assert code in done.stderr
        assert "Fix: " in done.stderr
        assert "Traceback" not in done.stderr
        assert nothing_changed()

    def test_wrong_architecture(self, bundle: Path) -> None:
        done = dry_run(bundle, prefix=("setarch", "i686"))
        self.refused(done, "E-PRE-")
        assert "amd64" in done.stderr

    def test_port_taken(self, bundle: Path) -> None:
        with socket.create_server(("127.0.0.1", 6444)):
            done = dry_run(bundle)
        self.refused(done, "E-PRE-041")
        assert f"pid {os.getpid()}" in done.stderr

    def test_pod_network_overlaps_a_route_of_the_host(self, bundle: Path) -> None:
        subprocess.run(["ip", "route", "add", "10.42.77.0/24", "dev", "lo"], check=True)
        try:
            done = dry_run(bundle)
        finally:
            subprocess.run(["ip", "route", "del", "10.42.77.0/24", "dev", "lo"], check=True)
        self.refused(done, "E-PRE-043")
        assert "10.42.77.0/24" in done.stderr
        assert "choose another, such as" in done.stderr

    def test_not_enough_disk(self, bundle: Path, tmp_path: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)], check=True)
        try:
            done = dry_run(bundle, "--set", f"k3s.dataDir={tmp_path}/k3s")
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)
        self.refused(done, "E-PRE-")
        assert str(tmp_path) in done.stderr

    def test_a_foreign_k3s(self, bundle: Path) -> None:
        """Somebody's own k3s, with its flannel, started by hand."""
        with subprocess.Popen(
            [bundle / "k3s", "server"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as foreign:
            assert foreign.stderr is not None
            flannel = Path("/var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist")
            while not flannel.exists():
                assert foreign.stderr.readline()
            done = dry_run(bundle)
            foreign.terminate()
            foreign.communicate()
        run_testbed("down")
        self.refused(done, "E-PRE-03")
        assert "k3s" in done.stderr

    def test_a_foreign_k3s_with_flannel(self, bundle: Path) -> None:
        subprocess.run(
            ["ip", "link", "add", "flannel.1", "type", "vxlan", "id", "1", "dstport", "8472", "dev", "lo"], check=True
        )
        Path("/usr/local/bin/k3s").symlink_to(bundle / "k3s")
        try:
            done = dry_run(bundle)
        finally:
            Path("/usr/local/bin/k3s").unlink()
            subprocess.run(["ip", "link", "del", "flannel.1"], check=True)
        self.refused(done, "E-PRE-")
        assert "flannel" in done.stderr

    def test_config_that_contradicts(self, bundle: Path) -> None:
        config = Path("/etc/rancher/k3s/config.yaml")
        config.parent.mkdir(parents=True)
        config.write_text("# mine\nflannel-backend: vxlan\n")
        try:
            done = dry_run(bundle)
            assert config.read_text() == "# mine\nflannel-backend: vxlan\n"
        finally:
            config.unlink()
            config.parent.rmdir()
            config.parent.parent.rmdir()
        self.refused(done, "E-K3S-021")

    def test_chart_value_typo(self, bundle: Path) -> None:
        done = dry_run(bundle, "--set", "cilium.values={hubble: {relai: {enabled: true}}}")
        self.refused(done, "E-CILIUM-010", rc=2)
        assert "hubble.relay" in done.stderr

    def test_versions_outside_the_table(self, bundle: Path) -> None:
        command = [str(BEEYARD), "install", "--dry-run", "--no-merge", "--bundle", str(bundle)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.refused(done, "E-CILIUM-011")

    def test_a_flipped_byte_in_the_bundle(self, bundle: Path, tmp_path: Path) -> None:
        copy = tmp_path / "bundle"
        subprocess.run(["cp", "-a", str(bundle), str(copy)], check=True)
        chart = next((copy / "charts").iterdir())
        data = bytearray(chart.read_bytes())
        data[len(data) // 2] ^= 1
        chart.unlink()
        chart.write_bytes(data)
        done = install(copy, "--no-merge")
        assert done.rc == 5, done.err
        assert chart.name in done.err
        assert nothing_changed()

    def test_unknown_cilium_version(self) -> None:
        done = beeyard("config", "validate", "--set", "cilium.version=1.16")
        assert done.rc == 5
        assert "1.18, 1.19, 1.20" in done.err

    def test_nobody_to_ask(self, bundle: Path) -> None:
        done = beeyard("install", "--allow-unsupported", "--bundle", str(bundle), "--no-merge")
        assert done.rc == 2
        assert "E-CLI-002" in done.err
        assert nothing_changed()


@contextmanager
def running(bundle: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """An install with its events on a pipe."""
    command = [
        str(BEEYARD),
        "install",
        "--yes",
        "--allow-unsupported",
        "--no-merge",
        "-o",
        "json",
        "--bundle",
        str(bundle),
    ]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def test_ctrl_c_in_any_step_leaves_a_state_that_the_next_run_goes_on_with(bundle: Path) -> None:
    """One install, stopped in every step in turn, each time by a run of its own; the last run finishes it."""
    run_testbed("down")
    for step in ("fetch", "k3s", "cilium", "hubble", "ready", "verify"):
        with running(bundle) as process:
            reached = False
            for event in events(process):
                if event["event"] == "step-started" and event["step"] == step:
                    reached = True
                    process.send_signal(signal.SIGINT)
            assert reached, step
            assert process.wait(60) == 130, step
        left = [name for name in kubectl("get", "ns", check=False).split() if name.startswith("beeyard-verify")]
        assert step == "verify" or not left
    done = install(bundle, "--no-merge")
    assert done.rc == 0, done.err
    assert "going on where" in done.err
    again = install(bundle, "--no-merge")
    assert "Nothing to change" in again.err, again.err


def test_sigkill_is_survived_and_the_api_may_go_away(bundle: Path) -> None:
    """Killed while k3s starts; in the next run the API server dies while it waits for readiness."""
    run_testbed("down")
    with running(bundle) as process:
        for event in events(process):
            if event["event"] == "step-started" and event["step"] == "cilium":
                process.kill()
                break
    with running(bundle, "--set", "cilium.values={testbed: {delaySeconds: 5}}") as process:
        killed = False
        for event in events(process):
            if not killed and event["event"] == "step-started" and event["step"] == "ready":
                state = json.loads(kubectl("get", "--raw", "/version"))
                assert state["major"] == "1"
                server = subprocess.run(["pgrep", "-of", "k3s server"], capture_output=True, text=True, check=True)
                os.kill(int(server.stdout.split()[0]), signal.SIGKILL)
                killed = True
        assert process.wait(120) == 0
        assert killed


def failed(bundle: Path, values: str) -> dict[str, Any]:
    """Install with values that must fail; return the error."""
    done = install(bundle, "--no-merge", "-o", "json", "--set", f"cilium.values={values}")
    assert done.rc == 1, done.out[-2000:] + done.err
    error: dict[str, Any] = next(event for event in done.events() if event["event"] == "step-failed")["error"]
    return error


@pytest.fixture(scope="class")
def working(bundle: Path) -> Iterator[None]:
    """A cluster that works before the tests of a class, and must be mended by a plain run after them."""
    run_testbed("down")
    assert install(bundle, "--no-merge", "--skip-verify").rc == 0
    yield
    assert install(bundle, "--no-merge").rc == 0


@pytest.mark.usefixtures("working")
class TestReadinessNamesTheCause:
    """What waiting does not solve ends the wait with the evidence, and a mended run finishes."""

    def test_init_container_that_crashes(self, bundle: Path) -> None:
        error = failed(bundle, "{testbed: {fail: {initContainer: config}}}")
        assert "config" in error["what"]
        assert "Unable to contact k8s api-server" in error["why"]

    def test_operator_that_cannot_be_scheduled(self, bundle: Path) -> None:
        error = failed(bundle, "{operator: {nodeSelector: {no: such-node}}}")
        assert "cilium-operator" in error["what"] + error["why"] + json.dumps(error.get("details", {}))
        assert "node affinity" in error["why"] or "selector" in error["why"]
        assert "nodeSelector" in error["fix"]

    def test_timeout_names_what_is_missing(self, bundle: Path) -> None:
        arguments = ("--set", "cilium.values={testbed: {fail: {relay: notReady}}}", "--timeout", "12")
        done = install(bundle, "--no-merge", *arguments)
        assert done.rc == 4, done.err
        assert "hubble-relay" in done.err
        log = next(line for line in done.err.splitlines() if line.startswith("Log: ")).removeprefix("Log: ")
        assert Path(log).stat().st_mode & 0o777 == 0o600


def test_unwritable_kubeconfig(bundle: Path) -> None:
    done = install(bundle, "--skip-verify", "--kubeconfig", "/proc/kubeconfig")
    assert done.rc == 1, done.err
    assert "E-KUBECONFIG-005" in done.err
    assert "--no-merge" in done.err


def stopped(process: subprocess.Popen[str]) -> list[int]:
    """Stop what a run has started, and return it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    found = [int(child) for child in children.split()]
    send(found, signal.SIGSTOP)
    return found


def send(processes: list[int], which: signal.Signals) -> None:
    for one in processes:
        with suppress(ProcessLookupError):
            os.kill(one, which)


def test_a_release_stuck_in_pending_is_freed(bundle: Path) -> None:
    """Killed while helm is at work: the release stays pending, as after a lost connection."""
    run_testbed("down")
    with running(bundle) as process:
        for event in events(process):
            if event["event"] == "step-started" and event["step"] == "cilium":
                break
        pending = ("get", "secret", "-n", "kube-system", "-l", "owner=helm,status=pending-install", "-o", "name")
        helm = stopped(process)
        while not kubectl(*pending, check=False):
            send(helm, signal.SIGCONT)
            time.sleep(0.1)  # helm goes on in small steps, so that the moment is not missed
            assert process.poll() is None
            helm = stopped(process)
        process.kill()
        send(helm, signal.SIGKILL)
    done = install(bundle, "--no-merge")
    assert done.rc == 0, done.err


def test_two_runs_at_once(bundle: Path) -> None:
    with running(bundle, "--set", "cilium.values={debug: {enabled: true}}") as process:
        for event in events(process):
            if event["event"] == "step-started":
                done = install(bundle, "--no-merge")
                assert done.rc == 5
                assert "E-RUN-001" in done.err
                break
        for _ in events(process):
            pass
        assert process.wait(120) == 0
    assert (STATE / "installed.json").stat().st_mode & 0o777 == 0o600
