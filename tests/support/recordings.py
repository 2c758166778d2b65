"""Objects recorded from a healthy single-node cluster (k3s 1.21, Cilium 1.16, no CoreDNS, Relay on)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from installer.domain.readiness_rules import Facts

FOLDER = Path(__file__).parent.parent / "fixtures" / "api"
Object = dict[str, Any]


@cache
def _text(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text()


def load(name: str) -> Any:
    """Return a fresh copy of a recording."""
    return json.loads(_text(name))


def items(name: str) -> tuple[Object, ...]:
    found: list[Object] = load(name)["items"]
    return tuple(found)


def healthy() -> Facts:
    return Facts(
        nodes=items("nodes"),
        pods=items("kube-system-pods"),
        daemonsets=items("kube-system-daemonsets"),
        deployments=items("kube-system-deployments"),
        events=items("kube-system-events"),
        ciliumnodes=items("ciliumnodes"),
    )


def changed(facts: Facts, kind: str, prefix: str, change: Callable[[Object], None]) -> Facts:
    """Return facts with one object changed: the first of ``kind`` whose name starts with ``prefix``."""
    objects = [copy.deepcopy(dict(item)) for item in getattr(facts, kind)]
    change(next(item for item in objects if item["metadata"]["name"].startswith(prefix)))
    return replace(facts, **{kind: tuple(objects)})
