"""``beeyard bundle`` as a command, on small sources on loopback: release files, a chart repository, a real registry."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.adapters.web.faulty_server import serving, stall
from tests.support.bundle_sources import CHART, K3S, PAUSE, TAG, BundleSources, fill
from tests.support.cluster import BEEYARD, Finished, beeyard
from tests.support.registry import PASSWORD, USER, Options, running

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BundleSources]:
    folder = tmp_path_factory.mktemp("sources")
    with running(folder / "registry") as registry, serving() as site:
        yield fill(site, registry, folder)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Downloads that tests share."""
    return tmp_path_factory.mktemp("cache")


def create(sources: BundleSources, *arguments: str, env: dict[str, str] | None = None) -> Finished:
    return beeyard("bundle", "create", *sources.arguments, *arguments, env=env)


@pytest.fixture(scope="module")
def bundle(sources: BundleSources, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for both architectures."""
    out = tmp_path_factory.mktemp("out") / "both.tar.zst"
    done = create(sources, "--arch", "arm64,amd64", "--cache", str(cache), "-o", str(out))
    assert done.rc == 0, done.err
    assert done.out.strip() == str(out)
    assert hashlib.sha256(out.read_bytes()).hexdigest() in done.err
    return out


def inspect(path: Path) -> dict[str, Any]:
    done = beeyard("bundle", "inspect", str(path), "-o", "json")
    assert done.rc == 0, done.err
    found: dict[str, Any] = done.json()
    return found


def test_both_architectures_with_everything_by_digest(sources: BundleSources, bundle: Path) -> None:
    found = inspect(bundle)
    assert found["arches"] == ["amd64", "arm64"]
    assert found["created"] == "2026-03-04T05:06:07Z"  # of the newest image
    assert [one["version"] for one in found["k3s"]] == [K3S, K3S]
    assert found["cilium"]["version"] == CHART
    assert {one["arch"] for one in found["helm"]} == {"amd64", "arm64"}
    refs = {(one["arch"], ref) for one in found["images"] for ref in one["refs"]}
    for arch in ("amd64", "arm64"):
        assert (arch, PAUSE) in refs
        assert (arch, f"quay.io/cilium/cilium:{TAG}@{sources.agent}") in refs
        assert (arch, f"quay.io/cilium/operator-generic:{TAG}") in refs
        assert (arch, f"quay.io/cilium/hubble-relay:{TAG}") in refs
    assert found["sealed"]
    assert found["unproven"] == []


@pytest.fixture(scope="module")
def small(sources: BundleSources, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for one architecture, without Hubble Relay, with a time of its own."""
    folder = tmp_path_factory.mktemp("small")
    spec, out = folder / "beeyard.yaml", folder / "small.tar.zst"
    spec.write_text("apiVersion: beeyard/v1alpha1\nkind: Cluster\nspec: {hubble: {relay: false, ui: false}}\n")
    arguments = ("-f", str(spec), "--arch", "arm64", "--cache", str(cache), "-o", str(out))
    done = create(sources, *arguments, env={"SOURCE_DATE_EPOCH": "1790000000"})
    assert done.rc == 0, done.err
    return out


def test_the_features_decide_which_images_come_along(small: Path) -> None:
    found = inspect(small)
    assert found["created"] == "2026-09-21T14:13:20Z"
    refs = [ref for one in found["images"] for ref in one["refs"]]
    assert [ref for ref in refs if "cilium/cilium" in ref]
    assert not [ref for ref in refs if "hubble-relay" in ref]


def test_values_files_and_images_of_ones_own_come_along_told_as_events(
    sources: BundleSources, cache: Path, tmp_path: Path
) -> None:
    values, template, out = tmp_path / "my values.yaml", tmp_path / "config.toml.tmpl", tmp_path / "own.tar.zst"
    values.write_text(f"hubble: {{relay: {{image: {{repository: quay.io/more/relay, tag: {TAG}}}}}}}\n")
    template.write_text("# mine\n")
    dest = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl"
    for name in ("more/relay", "more/app"):
        sources.registry.image(name, TAG, data=name.encode())
    more = ["--values", str(values), "--add", f"{template}:{dest}:0600", "--image", f"quay.io/more/app:{TAG}"]
    done = create(sources, "--arch", "amd64", "--cache", str(cache), *more, "-o", str(out), "-o", "json")
    assert done.rc == 0, done.err
    events = done.events()
    assert [one["step"] for one in events if one["event"] == "step-done"] == ["resolve", "fetch", "images", "write"]
    last = events[-1]
    assert (last["event"], last["path"], last["size"]) == ("bundle-made", str(out), out.stat().st_size)
    assert last["facts"]["arches"] == ["amd64"]
    found = inspect(out)
    assert [one["file"] for one in found["values"]] == ["values/01-my-values.yaml"]
    assert [(one["dest"], one["mode"]) for one in found["files"]] == [(dest, "0600")]
    refs = [ref for one in found["images"] for ref in one["refs"]]
    assert f"quay.io/more/relay:{TAG}" in refs
    assert f"quay.io/more/app:{TAG}" in refs


@pytest.mark.parametrize("dest", ["/etc/passwd", "/var/lib/rancher/../x", "relative", "/var/lib/beeyard"])
def test_a_file_for_another_place_is_not_bundled(sources: BundleSources, tmp_path: Path, dest: str) -> None:
    (tmp_path / "x").write_text("x")
    done = create(sources, "--add", f"{tmp_path / 'x'}:{dest}")
    assert done.rc == 2
    assert "E-BUNDLE-014" in done.err


def test_images_one_by_one_from_k3s_list(sources: BundleSources, cache: Path, tmp_path: Path) -> None:
    sources.registry.image("rancher/mirrored-pause", "3.6", data=b"pause")
    out = tmp_path / "listed.tar.zst"
    more = ["--set", "downloads.images=registry", "--mirror", f"docker.io=http://{sources.registry.host}"]
    done = create(sources, "--arch", "amd64,arm64", "--cache", str(cache), *more, "-o", str(out))
    assert done.rc == 0, done.err
    files = [one["file"] for one in inspect(out)["images"] if one["refs"] == [PAUSE]]
    assert files == ["images/k3s-images-amd64.tar", "images/k3s-images-arm64.tar"]


def test_a_killed_run_is_gone_on_with_and_ends_in_the_same_bytes(
    sources: BundleSources, bundle: Path, tmp_path: Path
) -> None:
    site = sources.site
    path = f"/k3s/{K3S.replace('+', '%2B')}/k3s"
    site.faults[path].append(stall(2_000_000))
    out, cache = tmp_path / "killed.tar.zst", tmp_path / "cache"
    arguments = [*sources.arguments, "--arch", "amd64,arm64", "--cache", str(cache), "-o", str(out)]
    with subprocess.Popen([BEEYARD, "bundle", "create", *arguments], stderr=subprocess.DEVNULL) as process:
        try:
            while not any(part.stat().st_size for part in cache.glob("files/*/k3s.part")):
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)
    assert not out.exists()
    before = len(site.requests)
    done = create(sources, *arguments[len(sources.arguments) :])
    assert done.rc == 0, done.err
    asked = [one for one in site.requests[before:] if one.method == "GET" and one.path == path]
    assert [bool(one.headers.get("range")) for one in asked] == [True]
    assert out.read_bytes() == bundle.read_bytes()


def test_an_image_that_is_nowhere(sources: BundleSources, cache: Path) -> None:
    name = f"{sources.registry.host}/more/nothing:v1"
    done = create(sources, "--image", name, "--arch", "amd64", "--cache", str(cache), "-o", "json")
    assert done.rc == 1
    assert done.events()[-1]["error"]["code"] == "E-REG-002"


@pytest.mark.parametrize(
    ("arguments", "rc"),
    [
        (["-o", "bundle.zip"], 2),
        (["-o", "a.tar.zst", "-o", "b.tar.zst"], 2),
        (["--arch", "armv7"], 5),
        (["--mirror", "quay.io"], 2),
        (["--authfile", "/nonexistent"], 2),
    ],
)
def test_wrong_arguments(sources: BundleSources, arguments: list[str], rc: int) -> None:
    assert create(sources, *arguments).rc == rc


def test_a_time_that_is_none(sources: BundleSources) -> None:
    done = create(sources, env={"SOURCE_DATE_EPOCH": "soon"})
    assert (done.rc, "SOURCE_DATE_EPOCH" in done.err) == (2, True)


def test_verify_tells_good_from_changed(bundle: Path, tmp_path: Path) -> None:
    done = beeyard("bundle", "verify", str(bundle))
    assert done.rc == 0, done.err
    assert "good" in done.out
    told = beeyard("bundle", "verify", str(bundle), "-o", "json").json()
    assert (told["verified"], told["sealed"]) == (True, True)
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.tar.zst").write_bytes(data)
    done = beeyard("bundle", "verify", str(tmp_path / "changed.tar.zst"), "-o", "json")
    assert done.rc == 5
    assert done.json()["error"]["code"] == "E-BUNDLE-012"


def test_inspect_for_people(bundle: Path) -> None:
    done = beeyard("bundle", "inspect", str(bundle))
    assert done.rc == 0, done.err
    for word in ("amd64, arm64", K3S, CHART, "quay.io/cilium/cilium", "sbom.spdx.json", "sealed"):
        assert word in done.out


def test_the_sbom_lists_what_is_there(sources: BundleSources, bundle: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-x", "--zstd", "-f", bundle, "-C", tmp_path], check=True)
    sbom = json.loads((tmp_path / "sbom.spdx.json").read_bytes())
    for file in sbom["files"]:
        data = (tmp_path / file["fileName"]).read_bytes()
        sums = {one["algorithm"]: one["checksumValue"] for one in file["checksums"]}
        assert sums["SHA256"] == hashlib.sha256(data).hexdigest()
        assert sums["SHA1"] == hashlib.sha1(data, usedforsecurity=False).hexdigest()
    listed = {file["fileName"].removeprefix("./") for file in sbom["files"]}
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there - listed == {"bundle.json", "sbom.spdx.json"}
    names = {(one["name"], one.get("comment", "")) for one in sbom["packages"]}
    assert {("quay.io/cilium/cilium", "for amd64"), ("quay.io/cilium/cilium", "for arm64")} <= names
    with tarfile.open(tmp_path / "images/cilium-images-arm64.tar") as tar:
        assert f"blobs/sha256/{sources.agent.removeprefix('sha256:')}" in tar.getnames()


def login(folder: Path, host: str) -> dict[str, str]:
    import base64

    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(folder)}


def test_push_keeps_every_digest_and_is_pulled_as_from_a_mirror(
    sources: BundleSources, bundle: Path, tmp_path: Path
) -> None:
    with running(tmp_path / "target", Options(password=True)) as target:
        env = login(tmp_path, target.host)
        done = beeyard("bundle", "push", str(bundle), f"{target.host}/mirror", "-o", "json", env=env)
        assert done.rc == 0, done.err
        pushed = done.events()[-1]
        assert pushed["event"] == "bundle-pushed"
        assert pushed["blobs"] > 0
        kept = {one["name"]: one["digestKept"] for one in pushed["images"]}
        assert all(value for name, value in kept.items() if name.startswith("quay.io/"))
        assert target.get("mirror/cilium/cilium", TAG)[0] == sources.agent
        assert target.tags("mirror/cilium/cilium") == [TAG]
        _, pause = target.get("mirror/rancher/mirrored-pause", "3.6")  # from an archive for each architecture
        assert [one["platform"]["architecture"] for one in pause["manifests"]] == ["amd64", "arm64"]
        again = beeyard("bundle", "push", str(bundle), f"{target.host}/mirror", env=env)
        assert again.rc == 0, again.err
        assert "0 blobs sent" in again.err
        spec = yaml.safe_load(again.out.partition("(beeyard.yaml):")[2])
        assert spec["spec"]["k3s"]["registries"]["mirrors"]["quay.io"] == {
            "endpoint": [f"http://{target.host}"],
            "rewrite": {"^(.*)$": "mirror/$1"},
        }
        for text in (done.out, done.err, again.out, again.err):
            assert PASSWORD not in text
        refused = beeyard("bundle", "push", str(bundle), f"{target.host}/mirror", env={"DOCKER_CONFIG": "/nonexistent"})
        assert refused.rc == 1
        assert "E-REG-003" in refused.err
        # The mirror's own snippet makes the next bundle, with the same digests.
        path = tmp_path / "beeyard.yaml"
        path.write_text(yaml.safe_dump({"apiVersion": "beeyard/v1alpha1", "kind": "Cluster", **spec}))
        arguments = [*sources.arguments[: sources.arguments.index("--mirror")], "-f", str(path), "--arch", "amd64"]
        out = tmp_path / "next.tar.zst"
        made = beeyard("bundle", "create", *arguments, "--cache", str(tmp_path / "c"), "-o", str(out), env=env)
        assert made.rc == 0, made.err
        refs = [ref for one in inspect(out)["images"] for ref in one["refs"]]
        assert f"quay.io/cilium/cilium:{TAG}@{sources.agent}" in refs


def test_a_registry_that_wants_whole_indexes_gets_smaller_ones_with_a_warning(small: Path, tmp_path: Path) -> None:
    with running(tmp_path / "target") as target:
        done = beeyard("bundle", "push", str(small), target.host, "-o", "json")
        assert done.rc == 0, done.err
        events = done.events()
        assert [one for one in events if one["event"] == "log" and "another digest" in one["text"]]
        image = next(one for one in events[-1]["images"] if one["name"].startswith("quay.io/cilium/cilium"))
        assert image["digestKept"] is False
        digest, index = target.get("cilium/cilium", TAG)
        assert digest == image["digest"]
        assert [one["platform"]["architecture"] for one in index["manifests"]] == ["arm64"]


def test_a_changed_bundle_is_not_pushed(bundle: Path, tmp_path: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[-20] ^= 1
    path = tmp_path / "changed.tar.zst"
    path.write_bytes(data)
    done = beeyard("bundle", "push", str(path), "127.0.0.1:9")
    assert done.rc == 5
    assert "E-BUNDLE-012" in done.err


def test_no_password_on_any_command_line(sources: BundleSources, bundle: Path, tmp_path: Path) -> None:
    """What runs beside us sees arguments of processes; credentials come from files only."""
    with running(tmp_path / "target", Options(password=True)) as target:
        env = {**os.environ, **login(tmp_path, target.host)}
        command = [str(BEEYARD), "bundle", "push", str(bundle), target.host]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            seen = set()
            while process.poll() is None:
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        seen.add(path.read_bytes())
                    except OSError:
                        continue
            assert process.stdout is not None
            said = process.stdout.read().decode()
        assert process.returncode == 0, said
    assert seen
    assert not [line for line in seen if PASSWORD.encode() in line]
    assert PASSWORD not in said
