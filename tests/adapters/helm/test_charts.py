"""Chart archives and repository indexes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from installer.adapters.helm.charts import chart_sha256, find_chart, read_chart
from installer.domain.errors import BeeyardError
from tests.support.tiny_chart import tiny_chart

INDEX = """\
apiVersion: v1
entries:
  cilium:
  - {version: 1.20.0, digest: aa11, urls: [cilium-1.20.0.tgz]}
  - {version: 1.19.6, digest: "sha256:bb22", urls: [https://elsewhere.example/c.tgz]}
  - {version: 1.18.12, urls: [charts/cilium-1.18.12.tgz]}
  tetragon:
  - {version: 1.0.0, urls: [t.tgz]}
"""


def archive(path: Path, members: list[tuple[str, bytes | None, bytes]]) -> Path:
    """Write a tar of (name, link target or None, content)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, link, data in members:
            member = tarfile.TarInfo(name)
            if link is not None:
                member.type, member.linkname = tarfile.SYMTYPE, link.decode()
            member.size = 0 if link is not None else len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_a_chart_is_read_without_being_unpacked(tmp_path: Path) -> None:
    path = tiny_chart(tmp_path, {"charts/sub/Chart.yaml": "name: sub\nversion: 9.9.9\n"})
    chart = read_chart(path)
    assert (chart.metadata["name"], chart.metadata["version"]) == ("tiny", "1.2.3")
    assert chart.values["map"] == {"a": 1, "b": 2}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_chart_without_values(tmp_path: Path) -> None:
    path = archive(tmp_path / "c.tgz", [("x/Chart.yaml", None, b"name: x\nversion: 1.0\n")])
    assert read_chart(path).values == {}
    assert read_chart(path).metadata["version"] == "1.0"


def test_an_equals_sign_is_a_string(tmp_path: Path) -> None:
    assert read_chart(tiny_chart(tmp_path, {"values.yaml": "operator: =\n"})).values == {"operator": "="}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p.write_bytes(b"no archive at all"), "gzip"),
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: archive(p, [("x/values.yaml", None, b"a: 1")]), "Chart.yaml"),
        (lambda p: archive(p, [("x/Chart.yaml", None, b"name: x")]), "no version"),
        (lambda p: archive(p, [("x/Chart.yaml", None, b"- a list")]), "no mapping"),
        (lambda p: archive(p, [("x/Chart.yaml", None, b"a: [")]), "Chart.yaml"),
        (lambda p: archive(p, [("x/Chart.yaml", b"/etc/passwd", b"")]), "Chart.yaml"),
        (lambda p: archive(p, [("../Chart.yaml", None, b"name: x\nversion: 1.0.0")]), "Chart.yaml"),
        (lambda p: archive(p, [("/x/Chart.yaml", None, b"name: x\nversion: 1.0.0")]), "Chart.yaml"),
        (lambda p: archive(p, [("x/Chart.yaml", None, b" " * (9 * 1024 * 1024))]), "larger"),
        (lambda p: archive(p, [("x/Chart.yaml", None, b"name: !!python/object/apply:os.getcwd []")]), "Chart.yaml"),
    ],
)
def test_what_is_no_chart_is_refused(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    path = tmp_path / "c.tgz"
    make(path)
    with pytest.raises(BeeyardError) as caught:
        read_chart(path)
    assert caught.value.code == "E-HELM-021"
    assert says in caught.value.why


def test_a_truncated_chart_is_refused(tmp_path: Path) -> None:
    path = tiny_chart(tmp_path, {"README.md": "".join(chr(33 + number * 7 % 90) for number in range(20_000))})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BeeyardError) as caught:
        read_chart(path)
    assert caught.value.code == "E-HELM-021"


def test_a_missing_chart(tmp_path: Path) -> None:
    for call in (read_chart, chart_sha256):
        with pytest.raises(BeeyardError) as caught:
            call(tmp_path / "none.tgz")
        assert caught.value.code == "E-HELM-020"


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert chart_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_index_tells_url_and_digest() -> None:
    found = find_chart(INDEX, "v1.20.0", base="https://repo.example/charts/")
    assert found.version == "1.20.0"
    assert (found.urls, found.digest) == (("https://repo.example/charts/cilium-1.20.0.tgz",), "aa11")
    absolute = find_chart(INDEX, "1.19.6", base="https://repo.example")
    assert (absolute.urls, absolute.digest) == (("https://elsewhere.example/c.tgz",), "bb22")
    assert find_chart(INDEX, "1.18.12").digest == ""
    assert find_chart(INDEX, "1.0.0", chart="tetragon").urls == ("t.tgz",)


@pytest.mark.parametrize(("version", "chart"), [("1.20.9", "cilium"), ("1.0.0", "hubble")])
def test_a_version_that_the_index_lacks(version: str, chart: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        find_chart(INDEX, version, chart=chart)
    assert caught.value.code == "E-HELM-023"
    assert version in caught.value.what


@pytest.mark.parametrize("index", ["", "- 1", "entries: 3", "<html>not found</html>", "a: [", "entries: {cilium: 3}"])
def test_what_is_no_index(index: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        find_chart(index, "1.20.0")
    assert caught.value.code == "E-HELM-022"
