"""Image archives: whole, small, and the same bytes from the same content."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

from tests.testbed import oci


def _tree(root: Path, *, when: int) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_text("#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    (root / "bin" / "alias").symlink_to("tool")
    os.link(root / "bin" / "tool", root / "bin" / "twin")
    os.utime(root / "bin" / "tool", (when, when))
    return root


def _image(layer: Path, *refs: str) -> oci.Image:
    return oci.Image(list(refs), [layer], ["/bin/tool"], cmd=["-v"], env={"A": "1"})


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    archives = []
    for name, when in (("a", 1_000), ("b", 2_000_000)):
        layer = oci.tree_layer(_tree(tmp_path / name, when=when), tmp_path / f"{name}-layer.tar")
        oci.write_archive(tmp_path / f"{name}.tar", [_image(layer, "example.org/x:1")])
        archives.append((tmp_path / f"{name}.tar").read_bytes())
    assert archives[0] == archives[1]


def test_a_layer_keeps_modes_links_and_the_content_of_hard_links(tmp_path: Path) -> None:
    layer = oci.tree_layer(_tree(tmp_path / "tree", when=0), tmp_path / "layer.tar")
    with tarfile.open(layer) as tar:
        members = {member.name: member for member in tar.getmembers()}
        assert sorted(members) == ["bin", "bin/alias", "bin/tool", "bin/twin"]
        assert members["bin/tool"].mode & 0o777 == 0o755
        assert members["bin/alias"].linkname == "tool"
        for name in ("bin/tool", "bin/twin"):
            content = tar.extractfile(members[name])
            assert content is not None
            assert content.read() == b"#!/bin/sh\n"


def test_shared_layers_are_stored_once_and_every_blob_is_what_its_name_says(tmp_path: Path) -> None:
    layer = oci.tree_layer(_tree(tmp_path / "tree", when=0), tmp_path / "layer.tar")
    images = [_image(layer, "example.org/x:1", "example.org/y:2"), oci.Image(["example.org/z:3"], [layer], ["/other"])]
    digests = oci.write_archive(tmp_path / "out.tar", images)
    with tarfile.open(tmp_path / "out.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert digests["example.org/x:1"] == digests["example.org/y:2"] != digests["example.org/z:3"]
    assert sum(name.startswith("blobs/") for name in names) == 2 + 2 + 1, "manifests, configs and one layer"


def test_the_index_names_each_reference_for_containerd(tmp_path: Path) -> None:
    layer = oci.tree_layer(_tree(tmp_path / "tree", when=0), tmp_path / "layer.tar")
    digests = oci.write_archive(tmp_path / "out.tar", [_image(layer, "example.org:5000/x:1", "example.org/y")])
    with tarfile.open(tmp_path / "out.tar") as tar:

        def read(name: str) -> bytes:
            content = tar.extractfile(name)
            assert content is not None
            return content.read()

        index = json.loads(read("index.json"))
        for name in tar.getnames():
            if name.startswith("blobs/"):
                assert hashlib.sha256(read(name)).hexdigest() == name.rpartition("/")[2]
    named = {entry["annotations"]["io.containerd.image.name"]: entry for entry in index["manifests"]}
    assert {ref: entry["digest"] for ref, entry in named.items()} == digests
    assert named["example.org:5000/x:1"]["annotations"]["org.opencontainers.image.ref.name"] == "1"
    assert named["example.org/y"]["annotations"]["org.opencontainers.image.ref.name"] == "latest"
