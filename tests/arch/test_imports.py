"""What the command loads, and whose the package ``installer`` is."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import installer

HEAVY = ("textual", "kubernetes", "grpc", "httpx", "pyhelm3", "pydantic", "yaml", "rich", "ruamel", "aiohttp")


def loaded(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after running code."""
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
from installer.cli.main import main
try:
    main({arguments!r})
except SystemExit as stop:
    assert not stop.code, stop.code
"""
    assert not loaded(code) & set(HEAVY)


@pytest.mark.parametrize("command", ["install", "status", "verify", "hubble", "config", "tui"])
def test_the_help_of_a_command_loads_no_client(command: str) -> None:
    code = f"from installer.cli.main import run\nassert run([{command!r}, '--help']) == 0"
    assert not loaded(code) & {"textual", "kubernetes", "grpc", "httpx", "pyhelm3", "aiohttp"}


def test_wiring_loads_no_client_before_it_is_used() -> None:
    code = "import installer.wiring.install, installer.wiring.cluster"
    assert not loaded(code) & {"textual", "kubernetes", "grpc", "pyhelm3", "aiohttp"}


def test_the_cockpit_loads_no_client_before_its_first_picture(tmp_path: Path) -> None:
    code = f"""
import os
os.environ["XDG_STATE_HOME"] = {str(tmp_path)!r}
import installer.tui.main
from installer.wiring.cockpit import cockpit_services, open_log
cockpit_services(log_file=open_log())
"""
    assert not loaded(code) & {"kubernetes", "grpc", "httpx", "pyhelm3", "aiohttp", "pydantic", "yaml", "ruamel"}


def test_the_package_is_ours() -> None:
    """PyPI has a library whose import name is ``installer`` too; the two must never share an environment."""
    assert Path(installer.__file__).parent == Path(__file__).parents[2] / "installer"
    assert distribution("beeyard").version == installer.__version__
    with pytest.raises(PackageNotFoundError):
        distribution("installer")
