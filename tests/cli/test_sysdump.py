"""``beeyard sysdump``: canaries planted everywhere are found nowhere, and nothing that fails ends it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.support.apiserver import READER_TOKEN, ApiServer
from tests.support.cluster import BEEYARD, beeyard

CANARIES = {
    "secret": "canary-in-a-secret-4711",
    "secret with spaces": "canary in a secret with spaces",
    "short": "c4n4ry",
    "variable": "canary-in-a-variable-4712",
    "config map": "canary-in-a-config-map-4713",
    "url": "canary-in-a-url-4714",
    "bearer": "canaryInABearerToken4715",
    "proxy": "canary-of-the-proxy-4716",
    "pem": "MIGkAgEBBDCanaryInAPrivateKey4717",
}


def forms(value: str) -> tuple[str, ...]:
    return value, base64.b64encode(value.encode()).decode()


@pytest.fixture(scope="module")
def planted(api: ApiServer) -> Iterator[ApiServer]:
    """A cluster with secrets where they belong, and where they do not."""
    encoded = {
        key: base64.b64encode(CANARIES[key].encode()).decode() for key in ("secret", "secret with spaces", "short")
    }
    data = {key.replace(" ", "-"): value for key, value in encoded.items()}
    pem = f"-----BEGIN EC PRIVATE KEY-----\n{CANARIES['pem']}\n-----END EC PRIVATE KEY-----\n"
    place = "/api/v1/namespaces/demo"
    api.call("POST", f"{place}/secrets", {"metadata": {"name": "planted"}, "data": data})
    api.call(
        "POST",
        f"{place}/configmaps",
        {"metadata": {"name": "planted"}, "data": {"settings": f"x: {CANARIES['config map']}"}},
    )
    variables = [
        {"name": "DB_PASSWORD", "value": CANARIES["variable"]},
        {"name": "DB", "value": f"postgres://me:{CANARIES['url']}@db/x"},
        {"name": "PLAIN", "value": "kept"},
    ]
    container = {"name": "c", "image": "c", "env": variables, "args": [f"--key={CANARIES['secret']}"]}
    api.call("POST", f"{place}/pods", {"metadata": {"name": "planted"}, "spec": {"containers": [container]}})
    words = f"Authorization: Bearer {CANARIES['bearer']} {encoded['secret']} {CANARIES['secret with spaces']} {pem}"
    for number, text in enumerate((words, CANARIES["short"], f"password={CANARIES['variable']}")):
        api.call(
            "POST",
            f"{place}/events",
            {
                "metadata": {"name": f"planted.{number}", "namespace": "demo"},
                "involvedObject": {"kind": "Pod", "namespace": "demo", "name": "planted"},
                "type": "Warning",
                "reason": "Planted",
                "message": f"{text} <script>alert(1)</script>",
            },
        )
    yield api
    for kind in ("secrets/planted", "configmaps/planted", "pods/planted?gracePeriodSeconds=0"):
        api.call("DELETE", f"{place}/{kind}")


def unpacked(path: Path) -> dict[str, str]:
    """Return the archive's files by path, its folder left out."""
    raw = path.read_bytes()
    if path.name.endswith(".zst"):
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    else:
        plain = gzip.decompress(raw)
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        found = {}
        for member in tar.getmembers():
            assert member.isreg()
            assert member.mode == 0o600
            content = tar.extractfile(member)
            assert content is not None
            found[member.name.partition("/")[2]] = content.read().decode()
        return found


def dumped(path: Path, *arguments: str, **env: str) -> dict[str, str]:
    done = beeyard("sysdump", "-o", str(path), *arguments, env=env)
    assert done.rc == 0, done.err
    assert done.out.strip() == str(path)
    return unpacked(path)


@pytest.fixture(scope="module")
def dump(planted: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """An archive of the planted cluster, made with a proxy that has a password."""
    path = tmp_path_factory.mktemp("dump") / "case.tar.zst"
    proxy = f"http://me:{CANARIES['proxy']}@127.0.0.1:9"
    given = ("--kubeconfig", str(planted.kubeconfig()))
    return path, dumped(path, *given, HTTPS_PROXY=proxy, NO_PROXY="127.0.0.1")


def test_no_canary_gets_in(dump: tuple[Path, dict[str, str]]) -> None:
    path, files = dump
    for name, canary in CANARIES.items():
        for form in forms(canary):
            leaks = [file for file, text in files.items() if form in text]
            assert not leaks, f"the {name} is in {leaks}"
    assert READER_TOKEN not in "".join(files.values())
    assert "cluster/secrets.json" not in files
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pods = {one["metadata"]["name"]: one for one in json.loads(files["cluster/pods.json"])}
    kept = {one["name"]: one["value"] for one in pods["planted"]["spec"]["containers"][0]["env"]}
    assert kept == {"DB_PASSWORD": "***", "DB": "postgres://me:***@db/x", "PLAIN": "kept"}


def test_the_index_leads_to_every_file(planted: ApiServer, dump: tuple[Path, dict[str, str]]) -> None:
    files = dict(dump[1])
    index = files.pop("index.html")
    listed = {one["path"] for one in json.loads(files["index.json"])["files"] if one["bytes"]}
    assert listed == set(files) - {"index.json"}
    for path in listed:
        assert f'href="{path}"' in index
    assert "<script" not in index
    assert planted.server in index
    assert {"doctor.json", "host/facts.json", "cluster/events.json", "cluster/nodes.json"} <= listed


def test_what_may_not_be_read_is_told_and_ends_nothing(planted: ApiServer, tmp_path: Path) -> None:
    path = tmp_path / "case.tar.zst"
    done = beeyard("sysdump", "-o", str(path), "--json", "--kubeconfig", str(planted.user("nobody-special")))
    told: dict[str, Any] = done.json()
    assert done.rc == 0
    assert told["path"] == str(path)
    assert told["files"] > 10
    assert any("not allowed" in one["error"] for one in told["notCollected"])
    assert "not allowed" in unpacked(path)["index.html"]


def test_an_api_that_hangs_ends_nothing(planted: ApiServer, tmp_path: Path) -> None:
    planted.pause_api()
    try:
        files = dumped(tmp_path / "case.tar.gz", "--kubeconfig", str(planted.kubeconfig()))
    finally:
        planted.resume_api()
    assert "out of reach" in files["index.html"]
    assert "host/uname.txt" in files
    assert not [path for path in files if path.startswith("cluster/")]


@pytest.mark.root
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=16k tmpfs {tmp_path} && cd {tmp_path}"
    script = f'{mount} && "$0" sysdump --no-cluster; rc=$?; ls -A; exit $rc'
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(BEEYARD)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "E-DUMP-004" in done.stderr
    assert done.stdout == ""
