"""The ``upgrade`` command where there is nothing to upgrade, and what it refuses before it looks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BEEYARD = Path(sys.executable).with_name("beeyard")
pytestmark = pytest.mark.root


def bare(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run beeyard with an empty state folder of its own, whatever this host has."""
    script = 'mount -t tmpfs tmpfs /var/lib && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(BEEYARD), "upgrade", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)


def test_a_host_without_a_cluster_is_refused_with_the_way_out() -> None:
    done = bare()
    assert done.returncode == 5
    assert "E-INSTALL-001" in done.stderr
    assert "Fix: Run `beeyard install` first." in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_the_refusal_is_an_event_where_json_is_asked_for() -> None:
    done = bare("--cilium", "1.20", "--yes", "-o", "json")
    assert done.returncode == 5
    assert json.loads(done.stdout)["error"]["code"] == "E-INSTALL-001"


def test_json_cannot_ask() -> None:
    done = bare("--to-latest", "-o", "json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "E-CLI-001"


def test_a_value_that_is_no_path_is_refused() -> None:
    done = bare("--cilium", "1.20", "--set", "nonsense")
    assert (done.returncode, "E-CONFIG-003" in done.stderr) == (2, True)
