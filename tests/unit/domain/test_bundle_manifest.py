from __future__ import annotations

import json
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.bundle import (
    FORMAT,
    dump_manifest,
    parse_manifest,
)
from installer.domain.bundle_opened import OpenedBundle, arch_here, check_arch
from installer.domain.bundle_paths import DESTINATIONS, allowed_destination, inside
from installer.domain.errors import RefusedError

SHA = "0a" * 32


def manifest(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "format": 1,
        "arch": "amd64",
        "created": "2026-11-23T00:00:00Z",
        "k3s": {"version": "v1.36.4+k3s1", "file": "k3s", "sha256": SHA},
        "chart": {"name": "cilium", "version": "1.20.0", "file": "charts/cilium-1.20.0.tgz", "sha256": SHA},
    }
    return base | changes


def target(**changes: Any) -> dict[str, Any]:
    return {"file": "files/x", "sha256": SHA, "dest": "/etc/rancher/k3s/x"} | changes


def refusal(content: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        parse_manifest(content if isinstance(content, bytes) else json.dumps(content).encode())
    return caught.value


def test_the_example_of_the_design_is_read() -> None:
    parsed = parse_manifest(
        json.dumps(
            manifest(
                images=[
                    {
                        "file": "images/i.tar.zst",
                        "sha256": SHA.upper(),
                        "refs": ["docker.io/rancher/mirrored-pause:3.6"],
                    }
                ],
                helm={"version": "v4.1.4", "file": "helm", "sha256": SHA},
                values=["values/site.yaml"],
                files=[target(mode="0600")],
            )
        ).encode()
    )
    assert parsed.images[0].sha256 == SHA
    assert parsed.files[0].permissions == 0o600
    assert parsed.listed == {
        "bundle.json",
        "k3s",
        "charts/cilium-1.20.0.tgz",
        "images/i.tar.zst",
        "helm",
        "values/site.yaml",
        "files/x",
    }


def test_optional_parts_may_be_absent() -> None:
    parsed = parse_manifest(json.dumps(manifest()).encode())
    assert (parsed.helm, parsed.images, parsed.values, parsed.files) == ((), (), (), ())


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "format"),
        (manifest(format="1"), "format"),
        (manifest(format=True), "format"),
        (manifest(format=0), "format"),
        (manifest(arch="armv7"), "arch"),
        (manifest(extra=1), "extra"),
        (manifest(k3s={"version": "v1", "file": "k3s"}), "k3s.0.sha256"),
        (manifest(k3s={"version": "v1", "file": "k3s", "sha256": "ab"}), "k3s.0.sha256"),
        (manifest(k3s={"version": 1, "file": "k3s", "sha256": SHA}), "k3s.0.version"),
        (manifest(values=["k3s"]), "k3s is listed twice"),
        (manifest(values=["bundle.json"]), "bundle.json is listed twice"),
        (manifest(values=["k3s/x"]), "k3s is listed twice"),
        (manifest(files=[target(), target(file="files/y")]), "destination twice"),
    ],
)
def test_malformed_manifests_name_the_place(content: Any, named: str) -> None:
    error = refusal(content)
    assert error.code == "E-BUNDLE-002"
    assert named in error.why


def test_a_newer_format_asks_for_an_upgrade() -> None:
    error = refusal({"format": FORMAT + 1, "whatever": True})
    assert error.code == "E-BUNDLE-003"
    assert "upgrade" in error.fix


def test_another_architecture_is_refused() -> None:
    parsed = parse_manifest(json.dumps(manifest()).encode())
    check_arch(parsed, "amd64")
    check_arch(parsed, "x86_64")
    with pytest.raises(RefusedError) as caught:
        check_arch(parsed, "aarch64")
    assert caught.value.code == "E-BUNDLE-004"


BAD_PATHS = [
    "",
    "/etc/passwd",
    "../k3s",
    "a/../../k3s",
    "a//b",
    "./k3s",
    "a/",
    "a\\b",
    "a\0b",
    "a\nb",
    "..",
    "a/./b",
    "\x1b[2J",
]


@pytest.mark.parametrize("path", BAD_PATHS[1:])
@pytest.mark.parametrize("place", ["k3s", "images", "values", "files"])
def test_paths_that_leave_the_bundle(path: str, place: str) -> None:
    entry = {"file": path, "sha256": SHA}
    changed = {
        "k3s": {"version": "v1"} | entry,
        "images": [entry],
        "values": [path],
        "files": [target(file=path)],
    }
    assert refusal(manifest(**{place: changed[place]})).code == "E-BUNDLE-006"


@pytest.mark.parametrize(
    "changes",
    [
        {"dest": "/etc/passwd"},
        {"dest": "/etc/rancher"},
        {"dest": "/etc/rancher/"},
        {"dest": "/etc/rancherous/x"},
        {"dest": "/etc/rancher/../passwd"},
        {"dest": "/etc/rancher/./x"},
        {"dest": "//etc/rancher/x"},
        {"dest": "etc/rancher/x"},
        {"dest": "/var/lib/rancher/x\n"},
        {"mode": "4755"},
        {"mode": "0x1"},
        {"mode": "999"},
        {"mode": "rw"},
        {"mode": "00644"},
    ],
)
def test_files_for_the_host_go_only_where_and_how_they_may(changes: dict[str, str]) -> None:
    assert refusal(manifest(files=[target(**changes)])).code == "E-BUNDLE-007"


pathish = st.text(st.sampled_from("ab./\\\0-"), max_size=12)


@settings(deadline=None)
@given(pathish)
def test_a_path_that_is_accepted_stays_inside(path: str) -> None:
    if inside(path):
        joined = posixpath.normpath(posixpath.join("/bundle", path))
        assert joined == f"/bundle/{path}"


@settings(deadline=None)
@given(st.sampled_from([*DESTINATIONS, "/etc", "/var/lib", "", "/"]), pathish)
def test_a_destination_that_is_accepted_is_below_a_root(root: str, rest: str) -> None:
    dest = f"{root}{rest}"
    if allowed_destination(dest):
        assert any(posixpath.normpath(dest).startswith(f"{allowed}/") for allowed in DESTINATIONS)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_arbitrary_json_is_refused_and_never_crashes(content: Any) -> None:
    refusal({"format": 1, "k3s": content, "files": content})


def newer(**changes: Any) -> dict[str, Any]:
    """A manifest of format 2 for two architectures."""
    base = manifest(
        format=2,
        arch="amd64,arm64",
        k3s=[{"version": "v1", "file": f"bin/{arch}/k3s", "sha256": SHA, "arch": arch} for arch in ("amd64", "arm64")],
        values=[{"file": "values/01-site.yaml", "sha256": SHA}],
        sbom={"file": "sbom.spdx.json", "sha256": SHA},
    )
    return base | changes


def test_two_architectures_each_with_its_own_files() -> None:
    parsed = parse_manifest(dump_manifest(newer()))
    assert parsed.arches == ("amd64", "arm64")
    assert check_arch(parsed, "aarch64") == arch_here(parsed, "aarch64") == "arm64"
    assert arch_here(parsed, "riscv64") == "amd64"
    for arch in parsed.arches:
        assert OpenedBundle(Path("/b"), parsed, arch).k3s == Path(f"/b/bin/{arch}/k3s")
    assert parsed.unproven == ()
    assert "values/01-site.yaml" in {entry.file for entry in parsed.verifiable}
    assert "sbom.spdx.json" in parsed.listed


def test_the_first_format_may_leave_values_unproven() -> None:
    parsed = parse_manifest(json.dumps(manifest(values=["values/site.yaml"])).encode())
    assert parsed.unproven == ("values/site.yaml",)
    assert parsed.listed >= {"values/site.yaml"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (newer(values=["values/site.yaml"]), "values: values/site.yaml has no sha256"),
        (newer(values=[{"file": "values/site.yaml"}]), "values: values/site.yaml has no sha256"),
        (newer(arch="arm64,amd64"), "arch"),
        (newer(k3s=newer()["k3s"][:1]), "k3s: one binary is expected for arm64"),
        (newer(k3s=[]), "k3s: one binary is expected for amd64"),
        (newer(k3s=[newer()["k3s"][0], newer()["k3s"][1] | {"version": "v2"}]), "k3s: its versions differ"),
        (newer(helm=[{"version": "v4", "file": f"h{n}", "sha256": SHA} for n in (1, 2)]), "helm: more than one binary"),
        (
            newer(images=[{"file": f"{n}/i.tar", "sha256": SHA, "arch": "arm64"} for n in (1, 2)]),
            "images: i.tar is there twice for arm64",
        ),
        (newer(files=[target(), target(file="files/y", arch="arm64")]), "destination twice"),
        (newer(sbom={"file": "sbom.spdx.json"}), "sbom.sha256"),
    ],
)
def test_what_the_newer_format_refuses(content: dict[str, Any], named: str) -> None:
    error = refusal(dump_manifest(content))
    assert error.code == "E-BUNDLE-002"
    assert named in error.why


def test_a_file_for_each_architecture_may_have_one_destination() -> None:
    both = [target(arch="amd64"), target(file="files/y", arch="arm64")]
    parsed = parse_manifest(dump_manifest(newer(files=both)))
    ((path, _),) = OpenedBundle(Path("/b"), parsed, "arm64").files
    assert path == Path("/b/files/y")


@given(place=st.integers(0, 2000), mask=st.integers(1, 255))
def test_the_newer_format_proves_every_byte_of_itself(place: int, mask: int) -> None:
    data = bytearray(dump_manifest(newer()))
    data[place % len(data)] ^= mask
    with pytest.raises(RefusedError):
        parse_manifest(bytes(data))


@pytest.mark.parametrize(
    "change", [lambda data: data + b"\n", lambda data: data.replace(b"\n", b""), lambda data: b" " + data]
)
def test_another_form_of_the_same_content_is_refused(change: Callable[[bytes], bytes]) -> None:
    assert refusal(change(dump_manifest(newer()))).code == "E-BUNDLE-012"
