from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from installer.adapters.store.assets import asset
from installer.adapters.store.runlog import FileRunLog
from installer.domain.errors import BeeyardError
from installer.domain.redact import Redactor


def make(folder: Path, fallback: Path) -> FileRunLog:
    redactor = Redactor(["hush-hush"])
    return FileRunLog("run", redactor, folder=folder, fallback=fallback, clock=lambda: 1_795_000_000.25)


def test_lines_are_stamped_masked_and_private(tmp_path: Path) -> None:
    log = make(tmp_path / "log", tmp_path)
    log.write("started, token: abc\nit is hush-hush\n")
    log.close()
    log.write("too late")
    assert log.path == tmp_path / "log" / "run.log"
    assert log.path.read_text() == (
        "2026-11-18T11:06:40.250Z started, token: ***\n2026-11-18T11:06:40.250Z it is ***\n"
    )
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]52;c;ZXZpbA==\x1b\\x", "x"),
        ("a\rb\x00\x08\x9b31m", "ab31m"),
        ("a\u202eb\u2066c", "abc"),
        ("käse\ttab", "käse\ttab"),
        ("\ud800", "?"),
    ],
)
def test_control_codes_never_reach_the_file(tmp_path: Path, text: str, clean: str) -> None:
    log = make(tmp_path, tmp_path)
    log.write(text)
    log.close()
    assert log.path.read_text().rstrip("\n").partition(" ")[2] == clean


def test_where_the_folder_cannot_be_written_it_goes_to_the_state(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = make(tmp_path / "file", tmp_path / "state")
    log.write("x")
    log.close()
    assert log.path == tmp_path / "state" / "run.log"
    assert log.path.read_text().endswith(" x\n")


def test_where_neither_can_be_written_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BeeyardError) as caught:
        make(tmp_path / "file", tmp_path / "file" / "deeper")
    assert caught.value.code == "E-RUN-002"


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "run.log").symlink_to("victim")
    log = make(tmp_path, tmp_path / "state")
    log.write("x")
    log.close()
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.root
def test_a_full_disk_loses_lines_and_stops_nothing(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        log = make(tmp_path, tmp_path)
        for _ in range(200):
            log.write("x" * 1000)
        log.close()
        assert os.statvfs(tmp_path).f_bfree == 0
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_assets_of_the_checkout() -> None:
    assert asset("charts").is_dir()
    with pytest.raises(BeeyardError) as caught:
        asset("charts/no-such-file")
    assert caught.value.code == "E-STORE-001"


@pytest.mark.parametrize("relative", ["", "pyproject.toml", "charts/../pyproject.toml", "/etc/passwd"])
def test_what_is_no_asset(relative: str) -> None:
    with pytest.raises(ValueError, match="not an asset"):
        asset(relative)


def test_assets_of_a_wheel(tmp_path: Path) -> None:
    """The package as a wheel lays it out, with its own copy of the assets."""
    package = Path(__file__).parents[3] / "installer"
    for name in ("__init__.py", "domain", "adapters"):
        (tmp_path / "installer").mkdir(exist_ok=True)
        (tmp_path / "installer" / name).symlink_to(package / name)
    wanted = tmp_path / "installer" / "_assets" / "manifests" / "x.yaml"
    wanted.parent.mkdir(parents=True)
    wanted.write_text("")
    code = "from installer.adapters.store.assets import asset; print(asset('manifests/x.yaml'))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(wanted)
