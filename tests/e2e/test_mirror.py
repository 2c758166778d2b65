"""Installing from the network: every source served by a mirror on loopback, with checksums as upstream has them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cluster import Finished, beeyard, run_testbed

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

VERSION = "v1.20.2+k3s1"
ARCHIVE = "k3s-airgap-images-amd64.tar"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fill(root: Path, bundle: Path) -> None:
    """Lay out k3s' release files, the channel server's answer, a chart repository and helm's archive."""
    release = root / "k3s" / VERSION
    release.mkdir(parents=True)
    (release / "k3s").symlink_to(bundle / "k3s")
    (release / ARCHIVE).symlink_to(bundle / "images" / ARCHIVE)
    sums = [f"{sha256(release / name)}  {name}" for name in ("k3s", ARCHIVE)]
    (release / "sha256sum-amd64.txt").write_text("\n".join(sums) + "\n")
    channel = {"id": "stable", "type": "channel", "name": "stable", "latest": VERSION}
    (root / "v1-release").mkdir()
    (root / "v1-release/channels").write_text(json.dumps({"type": "collection", "data": [channel]}))
    chart = next((bundle / "charts").iterdir())
    entry = {"name": "cilium", "version": "1.20.99", "urls": [chart.name], "digest": sha256(chart)}
    (root / "charts").mkdir()
    (root / "charts" / chart.name).symlink_to(chart)
    (root / "charts/index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": {"cilium": [entry]}}))
    helm = root / "helm/helm-v4.1.4-linux-amd64.tar.gz"
    helm.parent.mkdir()
    with tarfile.open(helm, "w:gz", compresslevel=1) as tar:
        tar.add(bundle / "helm", "linux-amd64/helm")
    helm.with_name(helm.name + ".sha256sum").write_text(f"{sha256(helm)}  {helm.name}\n")


@pytest.fixture(scope="module")
def mirror(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The mirror's folder and URL; on a host that already holds Cilium's images, as nothing can be pulled here."""
    root = tmp_path_factory.mktemp("mirror")
    fill(root, bundle)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    run_testbed("down")
    images = Path("/var/lib/rancher/k3s/agent/images")
    images.mkdir(parents=True)
    shutil.copy(bundle / "images/cilium-images.tar", images)
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    run_testbed("down")


def install(url: str, *arguments: str) -> Finished:
    sources = {
        "downloads.k3s": f"{url}/k3s",
        "downloads.channels": url,
        "downloads.chart.repository": f"{url}/charts",
        "downloads.helm.url": f"{url}/helm",
    }
    sets = [word for path, value in sources.items() for word in ("--set", f"{path}={value}")]
    common = ["install", "--allow-unsupported", "--no-merge", "--set", "cilium.version=1.20.99"]
    return beeyard(*common, *sets, *arguments)


def test_the_plan_names_what_is_downloaded(mirror: tuple[Path, str]) -> None:
    done = install(mirror[1], "--dry-run")
    assert done.rc == 0, done.err
    for name in ("/k3s ", ARCHIVE, "cilium-1.20.99.tgz", "helm-v4.1.4-linux-amd64.tar.gz"):
        assert name in done.out + " "
    assert "to download" in done.out
    assert not Path("/usr/local/bin/k3s").exists()


def test_a_wrong_checksum_ends_the_run_before_k3s_is_there(mirror: tuple[Path, str]) -> None:
    sums = mirror[0] / "k3s" / VERSION / "sha256sum-amd64.txt"
    right = sums.read_text()
    sums.write_text(f"{'0' * 64}  k3s\n" + right.split("\n", 1)[1])
    try:
        done = install(mirror[1], "--yes")
    finally:
        sums.write_text(right)
    assert done.rc == 1, done.err
    assert "E-WEB-004" in done.err
    assert not Path("/usr/local/bin/k3s").exists()


def test_installed_from_the_network_then_again_without_it(mirror: tuple[Path, str]) -> None:
    done = install(mirror[1], "--yes")
    assert done.rc == 0, done.err
    assert "images are imported" in done.err
    assert "10 passed" in done.err
    listed = ["/usr/local/bin/k3s", "ctr", "-n", "k8s.io", "images", "ls", "-q"]
    assert "mirrored-coredns" in subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    again = install("http://127.0.0.1:9", "--yes")
    assert again.rc == 0, again.err
    assert "Nothing to change" in again.err


def test_another_version_is_not_an_install(mirror: tuple[Path, str]) -> None:
    done = install(mirror[1], "--yes", "--set", "k3s.version=v1.20.3+k3s1")
    assert done.rc == 5
    assert "E-FETCH-003" in done.err
