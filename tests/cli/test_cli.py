"""The command line: formats, streams, exit codes, and errors that name their fix."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.cluster import BEEYARD, Finished, beeyard


def test_version() -> None:
    done = beeyard("--version")
    assert (done.rc, done.err) == (0, "")
    assert done.out.startswith("beeyard ")


def test_an_unknown_command_names_the_nearest() -> None:
    done = beeyard("instal")
    assert done.rc == 2
    assert "Did you mean 'install'" in done.err
    assert done.out == ""


def test_a_new_file_is_valid_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "beeyard.yaml"
    assert beeyard("config", "init", str(path)).rc == 0
    done = beeyard("config", "validate", "-f", str(path))
    assert done.rc == 0, done.err
    shown = beeyard("config", "show", "-f", str(path), "-o", "json").json()
    assert all(row["origin"] == "default" for row in shown if row["path"].startswith("spec."))


def test_a_new_file_uncommented_is_valid_too(tmp_path: Path) -> None:
    lines = beeyard("config", "init", "-").out.splitlines()
    settings = [
        line.replace("# ", "", 1) if line.strip().startswith("# ") and not line.rstrip().endswith(".") else line
        for line in lines
    ]
    text = "\n".join(line for line in settings if not line.strip().startswith("#"))
    path = tmp_path / "beeyard.yaml"
    path.write_text(text)
    assert yaml.safe_load(text)["spec"]["hubble"]["relay"] is True
    assert beeyard("config", "validate", "-f", str(path)).rc == 0


def test_init_does_not_replace_a_file(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("mine")
    done = beeyard("config", "init", str(path))
    assert done.rc == 2
    assert path.read_text() == "mine"


def test_schema_is_json_schema() -> None:
    schema = beeyard("config", "schema").json()
    assert schema["$defs"]["K3sSpec"]["properties"]["clusterCIDR"]["default"] == "10.42.0.0/16"
    assert schema["$defs"]["K3sSpec"]["additionalProperties"] is False


def test_show_tells_the_origin_of_every_value(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("spec: {hubble: {ui: false}}")
    rows = {
        row["path"]: row
        for row in beeyard(
            "config",
            "show",
            "-f",
            str(path),
            "--set",
            "k3s.channel=latest",
            "-o",
            "json",
            env={"BEEYARD_NODES_EXPECTED": "3"},
        ).json()
    }
    assert rows["spec.hubble.ui"] == {"path": "spec.hubble.ui", "value": False, "origin": str(path)}
    assert rows["spec.nodes.expected"]["origin"] == "$BEEYARD_NODES_EXPECTED"
    assert rows["spec.k3s.channel"]["origin"] == "--set k3s.channel"
    assert rows["spec.k3s.dataDir"]["origin"] == "default"


@pytest.mark.parametrize("minor", ["1.18", "1.19", "1.20"])
def test_values_of_every_minor(minor: str) -> None:
    values = yaml.safe_load(beeyard("config", "values", "--cilium", minor).out)
    assert (values["k8sServiceHost"], values["k8sServicePort"]) == ("127.0.0.1", 6444)
    assert values["operator"]["replicas"] == 1
    assert values["ipam"]["mode"] == "kubernetes"
    assert "cni" not in values


def test_the_api_port_follows_k3s() -> None:
    values = yaml.safe_load(beeyard("config", "values", "--set", "k3s.httpsListenPort=7443").out)
    assert values["k8sServicePort"] == 7444


def test_features_and_own_values_show_in_the_values() -> None:
    sets = ["--set", "cilium.encryption=wireguard", "--set", "cilium.gatewayAPI=true", "--set", "hubble.metrics=[dns]"]
    own = ["--set", "cilium.values={debug: {enabled: true}}"]
    values = yaml.safe_load(beeyard("config", "values", *sets, *own).out)
    assert values["encryption"]["type"] == "wireguard"
    assert values["gatewayAPI"]["enabled"] is True
    assert values["hubble"]["metrics"]["enabled"] == ["dns"]
    assert values["debug"]["enabled"] is True


def stdin(text: str, *arguments: str) -> Finished:
    done = subprocess.run([BEEYARD, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def test_a_specification_from_stdin() -> None:
    done = stdin("spec: {k3s: {chanel: latest}}", "config", "validate", "-f", "-")
    assert done.rc == 2
    assert "stdin:1:14" in done.err
    assert "did you mean 'channel'" in done.err


def test_a_missing_file_is_named() -> None:
    done = beeyard("config", "validate", "-f", "/nowhere/b.yaml")
    assert done.rc == 2
    assert "/nowhere/b.yaml" in done.err


@pytest.mark.parametrize("command", [("config", "show", "-f", "/absent.yaml"), ("policy", "validate", "/absent.yaml")])
def test_a_missing_file_has_its_cause_in_words(command: tuple[str, ...]) -> None:
    done = beeyard(*command)
    assert (done.rc, done.out) == (2, "")
    assert "\n  No such file or directory\n" in done.err


def test_contradictions_exit_2_and_are_data() -> None:
    done = beeyard("config", "validate", "--set", "hubble.relay=false", "-o", "json")
    assert done.rc == 2
    assert done.json()["problems"][0]["path"] == "spec.hubble.ui"


@pytest.mark.parametrize("command", [("policy", "list"), ("policy", "lint", "x.yaml"), ("status",)])
def test_errors_are_json_where_that_was_asked_for(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "x.yaml").write_text("[]")
    done = subprocess.run(
        [BEEYARD, *command, "-o", "json", "--kubeconfig", "/absent"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "E-KUBE-002"
    assert "Error E-KUBE-002" in done.stderr


def test_an_error_before_an_install_is_an_event() -> None:
    done = beeyard("install", "-o", "json")
    (event,) = done.events()
    assert (done.rc, event["event"], event["error"]["code"]) == (2, "error", "E-CLI-001")


def test_json_cannot_ask() -> None:
    assert "E-CLI-001" in beeyard("install", "-o", "json").err


def test_a_cluster_out_of_reach(tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "contexts": [context],
        "current-context": "c",
    }
    config.write_text(yaml.safe_dump({**content, "users": [{"name": "u", "user": {"token": "t"}}]}))
    for command in ("status", "verify"):
        done = beeyard(command, "--kubeconfig", str(config), "-o", "json")
        assert done.rc == 3, done.err
        assert done.json()["error"]["code"] == "E-KUBE-001"
        assert "Fix: " in done.err


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{BEEYARD} config schema | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.root
def test_without_root_install_refuses(tmp_path: Path) -> None:
    """As an unprivileged user, by an import path that this user can read."""
    code = (
        "import os, sys, installer.cli.commands.install, installer.wiring.install\n"
        "from installer.cli.main import run, version\n"
        "version(); os.setgid(65534); os.setuid(65534); sys.exit(run(['install', '--yes', '-o', 'json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 5, done.stderr
    error = json.loads(done.stdout.splitlines()[-1])["error"]
    assert error["code"] == "E-PRE-001"
    assert "sudo" in error["fix"]
