"""A bundle made from mirrors and a registry on loopback installs where there is no network at all.

The install runs in a world of its own (``scripts/testbed world --cut-off``): loopback, and a link that ends nowhere,
because k3s wants an address. Before it, the same bundle with a byte changed is refused there and leaves no trace.
"""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import mirror
from tests.support.cluster import BEEYARD, ROOT, beeyard
from tests.support.registry import running

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

WORLD = "e2e-bundle"
PLACES = (3, 1_000_003, 20_000_011, -1, -40)
"""Where a byte is changed: the compressor's header, the data, the seal."""

SCRIPT = """
cd {root}
ip link add cut0 type veth peer name cut1
ip link set cut0 up; ip link set cut1 up
ip address add 203.0.113.254/24 dev cut0
ip route add default via 203.0.113.1 dev cut0
trace() {{ find /etc/rancher /var/lib/rancher /etc/cni /opt/cni /usr/local/bin/k3s -type f 2>/dev/null; ip -br link; }}
plan() {{ {beeyard} install --dry-run --allow-unsupported --no-merge --bundle {out}/bundle.tar.zst -o json; }}
trace > {out}/before
for bundle in {out}/changed-*; do
    {beeyard} install --yes --allow-unsupported --no-merge --bundle $bundle -o json > $bundle.told 2>/dev/null
    echo $? > $bundle.rc
    rm $bundle
done
trace > {out}/after
{beeyard} install --yes --allow-unsupported --no-merge --bundle {out}/bundle.tar.zst > {out}/install 2>&1
echo $? > {out}/rc
k3s kubectl get pods -A -o json > {out}/pods
k3s ctr -n k8s.io images ls -q > {out}/images
plan > {out}/again 2>/dev/null
mv {out}/bundle.tar.zst {out}/moved.tar.zst
plan > {out}/without 2>/dev/null
"""


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        pass


@dataclass(frozen=True, slots=True)
class CutOff:
    """What was found in a world without a network.

    Attributes:
        out: folder with what was written there.
        digests: digests of the images that were bundled, by name.
    """

    out: Path
    digests: dict[str, str]

    def text(self, name: str) -> str:
        """Return a file."""
        return (self.out / name).read_text()


def by_digest(digests: dict[str, str]) -> dict[str, Any]:
    """Return Helm values that name every image by its digest, as the real chart does."""

    def use(name: str, key: str = "digest") -> dict[str, Any]:
        digest = next(digest for ref, digest in digests.items() if ref.startswith(f"quay.io/cilium/{name}:"))
        return {key: digest, "useDigest": True}

    return {
        "image": use("cilium"),
        "operator": {"image": use("operator-generic", "genericDigest")},
        "envoy": {"image": use("cilium-envoy")},
        "hubble": {
            "relay": {"image": use("hubble-relay")},
            "ui": {"backend": {"image": use("hubble-ui-backend")}, "frontend": {"image": use("hubble-ui")}},
        },
    }


def make(bundle: Path, folder: Path) -> dict[str, str]:
    """Make ``bundle.tar.zst`` from loopback; return the digests of the images."""
    mirror.fill(folder / "mirror", bundle)
    handler = partial(QuietHandler, directory=str(folder / "mirror"))
    with running(folder / "registry") as registry, ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            digests = registry.load(bundle / "images/cilium-images.tar")
            values = folder / "digests.yaml"
            values.write_text(yaml.safe_dump(by_digest(digests)))
            sources = mirror.sources(f"http://127.0.0.1:{server.server_port}")
            more = ["--mirror", f"quay.io=http://{registry.host}", "--values", str(values), "--k3s", "stable"]
            out = ["--cache", str(folder / "cache"), "-o", str(folder / "out/bundle.tar.zst")]
            done = beeyard("bundle", "create", "--allow-unsupported", *sources, *more, *out)
            assert done.rc == 0, done.err
        finally:
            server.shutdown()
            thread.join()
    return digests


@pytest.fixture(scope="module")
def cut_off(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> CutOff:
    """The bundle installed without a network, after bundles with a changed byte were tried."""
    folder = tmp_path_factory.mktemp("bundle")
    out = folder / "out"
    out.mkdir()
    digests = make(bundle, folder)
    data = bytearray((out / "bundle.tar.zst").read_bytes())
    for place in PLACES:
        data[place] ^= 0x10
        (out / f"changed-{place % len(data)}").write_bytes(data)
        data[place] ^= 0x10
    script = SCRIPT.format(root=ROOT, beeyard=BEEYARD, out=out)
    command = [
        str(ROOT / "scripts/testbed"),
        "world",
        WORLD,
        "--cut-off",
        "--share",
        str(out),
        "--",
        "bash",
        "-c",
        script,
    ]
    subprocess.run(command, check=False, timeout=500)
    return CutOff(out, digests)


def test_a_changed_byte_is_refused_before_anything_on_the_host_changes(cut_off: CutOff) -> None:
    codes = [path.read_text().strip() for path in sorted(cut_off.out.glob("changed-*.rc"))]
    assert codes == ["5"] * len(PLACES)
    for path in cut_off.out.glob("changed-*.told"):
        last = json.loads(path.read_text().splitlines()[-1])
        assert last["error"]["code"].startswith("E-BUNDLE-"), last
    assert cut_off.text("before") == cut_off.text("after")


def test_it_installs_and_is_proven_with_the_network_cut_off(cut_off: CutOff) -> None:
    assert cut_off.text("rc").strip() == "0", cut_off.text("install")
    assert "10 passed" in cut_off.text("install")
    for name in ("again", "without"):  # the second time the bundle is gone
        plan = json.loads(cut_off.text(name).splitlines()[-1])["plan"]
        assert plan["changes"] == 0, plan


def test_images_are_found_by_the_digests_that_the_chart_names(cut_off: CutOff) -> None:
    pods = json.loads(cut_off.text("pods"))["items"]
    running = {
        container["image"]
        for pod in pods
        for container in pod["spec"]["containers"]
        if pod["metadata"]["namespace"] == "kube-system" and "cilium" in container["image"]
    }
    assert running == {f"{name}@{digest}" for name, digest in cut_off.digests.items()}
    stored = cut_off.text("images").split()
    for name, digest in cut_off.digests.items():
        assert name in stored
        assert f"{name.rpartition(':')[0]}@{digest}" in stored
