"""Faults of a rollout on a running cluster end the wait early with their evidence; mending them heals it at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Finished, install

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(900)]


def broken_install(bundle: Path, values: dict[str, Any], *arguments: str) -> Finished:
    flow = json.dumps(values)  # JSON is YAML
    options = ["--no-merge", "--skip-verify", "-o", "json", *arguments]
    return install(bundle, "--set", f"cilium.values={flow}", *options, timeout=400)


def failure(done: Finished) -> dict[str, Any]:
    (event,) = (event for event in done.events() if event["event"] == "step-failed")
    found: dict[str, Any] = event["error"]
    return found


@pytest.fixture(autouse=True)
def healed(cluster: Path, bundle: Path) -> Iterator[None]:
    """After each fault the next run without it must make the cluster ready."""
    yield
    done = install(bundle, "--no-merge", "--skip-verify", timeout=400)
    assert done.rc == 0, done.err


def test_an_image_that_cannot_be_pulled_is_named(bundle: Path) -> None:
    done = broken_install(bundle, {"hubble": {"relay": {"image": {"override": "localhost:1/hubble-relay:none"}}}})
    error = failure(done)
    assert error["code"] == "E-POD-003"
    assert "localhost:1/hubble-relay:none" in error["what"]
    assert "localhost" in error["why"]
    first = next(
        event["at"] for event in done.events() if "ErrImagePull" in json.dumps(event) or "E-POD-003" in str(event)
    )
    last = next(event["at"] for event in done.events() if event["event"] == "step-failed")
    print(f"image named {last - first:.1f} s after it was first seen")


@pytest.mark.parametrize("part", ["agent", "operator", "relay"])
def test_a_part_that_crashes_is_named(bundle: Path, part: str) -> None:
    done = broken_install(bundle, {"testbed": {"fail": {part: "crash"}}}, "--timeout", "240")
    error = failure(done)
    assert error["code"] == "E-POD-004"
    assert error["why"]
