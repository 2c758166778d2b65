"""Helm's private homes: gone with their process, and nobody else's are touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

from installer.adapters.helm.home import make_home


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    left = tmp_path / f"beeyard-helm-{gone.pid}-abc"
    (left / "cache").mkdir(parents=True)
    kept = [tmp_path / "beeyard-helm-mine", tmp_path / "other"]
    for path in kept:
        path.mkdir()
    link = tmp_path / f"beeyard-helm-{gone.pid}-link"
    link.symlink_to(kept[1])
    first, second = make_home(tmp_path), make_home(tmp_path)
    assert set(tmp_path.iterdir()) == {*kept, link, first, second}
    assert first.stat().st_mode & 0o777 == 0o700
