"""After runs on a real cluster, nothing secret stands where it does not belong, and what is secret is its owner's.

Searched: beeyard's logs, journals, state, what it printed (lines and events), its support archive, and, while it works,
the arguments and environments of its processes.
"""

from __future__ import annotations

import base64
import io
import json
import re
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
import zstandard

from tests.e2e.conftest import KUBECONFIG
from tests.support.cluster import BEEYARD, STATE, beeyard, install, objects

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

LOGS = Path("/var/log/beeyard")
K3S = Path("/etc/rancher/k3s/k3s.yaml")
SERVER = Path("/var/lib/rancher/k3s/server")
PROXY_PASSWORD = "canary-of-the-proxy-4811"
REGISTRY_PASSWORD = "canary-of-the-registry-4812"
PROXIES = {
    "HTTPS_PROXY": f"http://me:{PROXY_PASSWORD}@127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost,10.0.0.0/8,203.0.113.0/24",
}


class Watcher:
    """Reads arguments and environments of beeyard's processes and their children while they live."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    arguments = (folder / "cmdline").read_bytes()
                    if self._is_ours(folder, arguments):
                        self.seen[f"cmdline {folder.name}"] = arguments
                        self.seen[f"environ {folder.name}"] = (folder / "environ").read_bytes()
                except OSError:  # it has ended
                    continue

    def _is_ours(self, folder: Path, arguments: bytes) -> bool:
        parent = re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.MULTILINE)
        return str(BEEYARD).encode() in arguments or (
            parent is not None and f"cmdline {parent[1]}" in self.seen and b"k3s" not in arguments
        )


@pytest.fixture(scope="module")
def secrets(cluster: Path) -> dict[str, str]:
    """What is secret on this host and in this cluster."""
    found = {"token": (SERVER / "token").read_text().strip()}
    found["password of the token"] = found["token"].rpartition(":")[2]
    for name, path in (("k3s.yaml", K3S), ("kubeconfig", KUBECONFIG)):
        for user in yaml.safe_load(path.read_text())["users"]:
            if key := user["user"].get("client-key-data"):
                found[f"key of {name}"] = key
                found[f"plain key of {name}"] = base64.b64decode(key).decode().splitlines()[1]
    for one in objects("secrets", "-A")["items"]:
        if one["type"] == "helm.sh/release.v1":
            continue
        for key in ("token", "tls.key", "ca.key"):
            if value := (one.get("data") or {}).get(key):
                name = f"{key} of {one['metadata']['name']}"
                found[name] = value
                found[f"plain {name}"] = max(base64.b64decode(value).decode().splitlines(), key=len)
    assert len(found) > 6
    return found


@pytest.fixture(scope="module")
def texts(
    cluster: Path, bundle: Path, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Everything that beeyard writes and shows: a run that changes things, one that fails, and what looks at it."""
    folder = tmp_path_factory.mktemp("secrets")
    login = {"127.0.0.1:9": {"auth": {"username": "u", "password": REGISTRY_PASSWORD}}}
    registries = {"mirrors": {"x.example": {"endpoint": ["https://127.0.0.1:9"]}}, "configs": login}
    wanted = {"apiVersion": "beeyard/v1alpha1", "kind": "Cluster", "spec": {"k3s": {"registries": registries}}}
    file = folder / "beeyard.yaml"
    file.write_text(yaml.safe_dump(wanted))
    given = ["--no-merge", "--skip-verify", "-f", str(file)]
    dump = folder / "case.tar.zst"
    told: dict[str, str] = {}
    with Watcher() as watcher:
        for name, words in (
            ("run", [*given, "-o", "json"]),
            ("failed run", [*given, "--timeout", "20", "--set", 'cilium.values={"k8sServiceHost": "127.0.0.9"}']),
            ("healing run", given),
        ):
            done = install(bundle, *words, env=PROXIES, timeout=400)
            told[f"stdout of {name}"], told[f"stderr of {name}"] = done.out, done.err
        for words in (["status"], ["status", "-o", "json"], ["doctor"], ["doctor", "-o", "json"], ["config", "show"]):
            done = beeyard(*words, env=PROXIES)
            told[f"stdout of {words}"], told[f"stderr of {words}"] = done.out, done.err
        assert beeyard("sysdump", "-o", str(dump), env=PROXIES).rc == 0
    told |= {f"sysdump {name}": text for name, text in unpacked(dump)}
    for place in (LOGS, STATE / "runs"):
        told |= {str(path): path.read_text(errors="replace") for path in place.rglob("*") if is_told(path)}
    assert any(name.startswith("cmdline") for name in watcher.seen)
    return told | {name: content.decode(errors="replace") for name, content in watcher.seen.items()}


def is_told(path: Path) -> bool:
    """Whether a file is a log or a journal: goals of runs, and copies of files to be put back, hold what they need."""
    return path.suffix in (".log", ".jsonl")


def unpacked(path: Path) -> Iterator[tuple[str, str]]:
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member)
            assert content is not None
            yield member.name, content.read().decode(errors="replace")


def test_secrets_stand_nowhere(texts: dict[str, str], secrets: dict[str, str]) -> None:
    wanted = {**secrets, "password of a registry": REGISTRY_PASSWORD}
    for name, secret in wanted.items():
        leaks = [place for place, text in texts.items() if secret in text]
        assert not leaks, f"{name} stands in {leaks}"


def test_passwords_of_proxies_stand_nowhere_but_in_the_environment_they_came_from(texts: dict[str, str]) -> None:
    leaks = [place for place, text in texts.items() if PROXY_PASSWORD in text and not place.startswith("environ")]
    assert not leaks


def test_what_is_secret_is_its_owners_alone(texts: dict[str, str]) -> None:
    files = [K3S, KUBECONFIG, SERVER / "token", STATE / "installed.json", STATE / "cluster.yaml"]
    files += [path for folder in (LOGS, STATE / "runs") for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 8
    open_files = {str(path): oct(mode(path)) for path in files if mode(path) & 0o077}
    assert not open_files


def test_unit_environments_are_its_owners_alone() -> None:
    found = [path for path in Path("/etc/systemd/system").glob("k3s*.env") if path.is_file()]
    found += [path for path in (STATE / "services").rglob("*") if path.is_file() and b"PROXY" in path.read_bytes()]
    assert not [path for path in found if mode(path) & 0o077]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202eback"


def test_words_of_the_cluster_do_not_reach_the_terminal_as_commands(cluster: Path) -> None:
    """A container that prints escapes, ends with them as its last words, and an event that holds them."""
    image = objects("-n", "kube-system", "ds", "cilium")["spec"]["template"]["spec"]["containers"][0]["image"]
    command = f"printf '%b' '{HOSTILE}\\n' | tee /dev/termination-log; exit 1"
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hostile", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "hostile", "image": image, "command": ["sh", "-c", command]}],
        },
    }
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "hostile.1", "namespace": "kube-system"},
        "involvedObject": {"kind": "Pod", "namespace": "kube-system", "name": "hostile"},
        "type": "Warning",
        "reason": "Hostile",
        "message": f"{HOSTILE} no space left on device",
    }
    kubectl_apply(manifest, event)
    try:
        for words in (
            ["status"],
            ["doctor"],
            ["hubble", "status"],
            ["observe", "--last", "50"],
            ["policy", "list", "-A"],
        ):
            done = beeyard(*words)
            text = done.out + done.err
            assert not [code for code in "\x1b\x07\x9b\u202e" if code in text], words
        assert "red" in beeyard("status").out
    finally:
        for name in ("pod/hostile", "event/hostile.1"):
            subprocess.run(["/usr/local/bin/k3s", "kubectl", "-n", "kube-system", "delete", name], check=False)


def kubectl_apply(*manifests: Mapping[str, object]) -> None:
    for one in manifests:
        argv = ["/usr/local/bin/k3s", "kubectl", "apply", "-f", "-"]
        subprocess.run(argv, input=json.dumps(one), text=True, check=True)
