"""The first step of an install: what refuses, what warns, and that a fix can be applied."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from installer.adapters.host.files import LocalFiles
from installer.domain.errors import RefusedError
from installer.domain.installed import Installed
from installer.domain.preflight import Address, HostFacts, Link
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Options, Run
from installer.pipeline.steps.proofs import PreflightStep
from tests.support.setup import TABLE, VPS


async def warnings(facts: HostFacts) -> list[str]:
    """Run the step on a host and return the plan's warnings."""

    async def gather() -> HostFacts:
        return facts

    tools: Any = SimpleNamespace(probe=SimpleNamespace(gather=gather), files=LocalFiles())
    run = Run(ClusterSpec(), Options(state_dir=Path("/none")), tools, cast(Any, None), Installed(), TABLE)
    step = PreflightStep()
    await step.gather(run)
    assert await step.check(run) == []
    return run.warnings


async def test_the_plan_says_what_preflight_could_fix() -> None:
    (one,) = await warnings(dataclasses.replace(VPS, inotify_instances=128))
    assert one.startswith("low inotify limits")
    assert one.endswith("(sudo beeyard preflight --fix does it)")


async def test_the_refusal_says_it_too() -> None:
    with pytest.raises(RefusedError) as caught:
        await warnings(dataclasses.replace(VPS, links=(*VPS.links, Link("cni0", "bridge"))))
    assert caught.value.fix == "ip link delete cni0 (sudo beeyard preflight --fix does it)"
    both = dataclasses.replace(
        VPS,
        links=(*VPS.links, Link("cni0", "bridge")),
        addresses=(*VPS.addresses, Address("10.42.0.1/24", "eth1")),
    )
    with pytest.raises(RefusedError) as caught:
        await warnings(both)
    assert "preflight --fix does it" in caught.value.why
    assert [one["fixable"] for one in caught.value.details["findings"]] == [True, False]
