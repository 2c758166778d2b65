"""Installing from the network: every source served by a mirror on loopback, with checksums as upstream has them."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Finished, beeyard, run_testbed
from tests.support.mirror import ARCHIVE, VERSION, fill, sources

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


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
    common = ["install", "--allow-unsupported", "--no-merge"]
    return beeyard(*common, *sources(url), *arguments)


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
