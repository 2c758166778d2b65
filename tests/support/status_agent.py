"""What the recorded agent answers to the commands that status runs in it."""

from __future__ import annotations

import json

from tests.support.recordings import load


def agent(argv: list[str]) -> tuple[int, str, str]:
    """Answer as the agent of Cilium 1.15 and later does."""
    if argv == ["cilium-dbg", "status", "-o", "json"]:
        return 0, json.dumps(load("cilium-dbg-status")), ""
    if argv == ["cilium-dbg", "endpoint", "list", "-o", "json"]:
        return 0, json.dumps(load("cilium-dbg-endpoints")), ""
    return 1, "", f"unknown command {argv}"
