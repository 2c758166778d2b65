"""The command line of `scripts/testbed`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_REPO))

from tests.testbed import bundle, cache, down, shell, world  # noqa: E402 (the path comes first)

_USAGE = """usage: scripts/testbed COMMAND

  build             build Kubernetes, the images, the k3s stand-in and the chart (what has not changed is kept)
  bundle            build, put the bundle together, and print its path as the last line
  up [ARGUMENT…]    install beeyard's cluster from the bundle; arguments go to `beeyard install`
  down [--force]    stop the cluster and remove all its state from this host (--force: also if its k3s is a real one)
  world NAME …      a command in namespaces of its own, for a cluster beside others: `scripts/testbed world --help`
  clean             down, then delete what was built

BEEYARD_TEST_BUNDLE=PATH uses that bundle, say one with a real k3s, instead of building one.
BEEYARD_CACHE=PATH is where things are built (default ~/.cache/beeyard).
"""


def main(argv: list[str]) -> int:
    """Run one command; return its exit code."""
    commands: dict[str, Callable[[list[str]], int]] = {
        "build": _build, "bundle": _bundle, "up": _up, "down": _down, "clean": _clean, "world": world.main,
    }  # fmt: skip
    if not argv or argv[0] not in commands:
        asked = bool(argv) and argv[0] in ("help", "--help", "-h")
        print(_USAGE, end="", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        return commands[argv[0]](argv[1:])
    except shell.BuildError as error:
        shell.say(str(error))
        return 1


def _build(_: list[str]) -> int:
    for name, path in bundle.build().items():
        shell.say(f"{name} <- {path}")
    return 0


def _bundle(_: list[str]) -> int:
    print(_bundle_path())
    return 0


def _bundle_path() -> Path:
    given = os.environ.get("BEEYARD_TEST_BUNDLE")
    return Path(given).resolve() if given else bundle.assemble()


def _up(arguments: list[str]) -> int:
    argv = [str(_REPO / "scripts" / "run"), "install", "--yes", "--allow-unsupported"]
    return subprocess.run([*argv, "--bundle", str(_bundle_path()), *arguments], check=False).returncode


def _down(arguments: list[str]) -> int:
    return down.down(force="--force" in arguments)


def _clean(arguments: list[str]) -> int:
    code = _down(arguments)
    cache.delete_cache()
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
