"""Explaining why a run failed: with what can be read, in time, and only where there is something to explain."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from installer.adapters.host.processes import LocalProcesses
from installer.adapters.kube.opener import Kubeconfigs
from installer.domain.diagnosis import diagnose
from installer.domain.diagnosis.texts import error_evidence
from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.preflight import HostFacts
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Run
from installer.ports.host import ServiceState
from installer.services import explain as explaining
from installer.services.explain import explain


class Service:
    """A service manager whose k3s has a log."""

    def __init__(self, *lines: str):
        self.lines = lines

    async def state(self, name: str) -> ServiceState:
        return ServiceState(installed=name == "k3s", enabled=True, active=False)

    async def logs(self, name: str, lines: int = 50) -> list[str]:
        return list(self.lines)


class Probe:
    """Knows nothing of the host."""

    async def gather(self) -> HostFacts:
        raise BeeyardError("cannot look", code="E-X-1")


class Hanging(Probe):
    """Never answers."""

    async def gather(self) -> HostFacts:
        await asyncio.Event().wait()
        raise AssertionError


def run_with(*log: str, probe: Probe | None = None) -> Run:
    async def kube() -> Any:
        raise ConnectError("the API is out of reach", code="E-KUBE-001")

    tools = SimpleNamespace(processes=LocalProcesses(), services=Service(*log), probe=probe or Probe())
    return cast(Run, SimpleNamespace(tools=tools, spec=ClusterSpec(), kube=kube, current="k3s"))


CRASH = 'level=fatal msg="failed to find memory cgroup (v2)"'


async def test_the_log_of_k3s_tells_why_the_api_never_came() -> None:
    error = BeeyardError("the API did not come up within 120 s", code="E-K3S-021")
    found = await explain(run_with("Starting k3s v1.36.4+k3s1", CRASH), error)
    assert found is not None
    assert found.cause is not None
    assert (found.cause.code, found.cause.where) == ("E-DIA-030", "log of k3s")


async def test_what_an_earlier_start_said_is_past() -> None:
    error = BeeyardError("the API did not come up", code="E-K3S-021")
    assert await explain(run_with(CRASH, "Starting k3s v1.36.4+k3s1", "fine"), error) is None


@pytest.mark.parametrize("code", ["E-PRE-001", "E-CLI-002", "E-BUNDLE-005", "E-WEB-001", "E-KUBECONFIG-005"])
async def test_errors_that_say_it_all_are_left_alone(code: str) -> None:
    assert await explain(run_with(CRASH), BeeyardError("no", code=code)) is None


async def test_a_host_that_hangs_costs_the_explanation_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "SECONDS", 0.05)
    why = "another operation (install/upgrade/rollback) is in progress"
    found = await explain(run_with(probe=Hanging()), BeeyardError("helm failed", why=why, code="E-HELM-011"))
    assert found is not None
    assert found.cause is not None
    assert found.cause.code == "E-DIA-027"


async def test_mode_28_no_kubeconfig(tmp_path: Path) -> None:
    opener = Kubeconfigs(env={"HOME": str(tmp_path)}, k3s=tmp_path / "absent.yaml")
    with pytest.raises(ConnectError) as caught:
        await opener.open()
    cause = diagnose(error_evidence(caught.value)).cause
    assert cause is not None
    assert (cause.code, cause.mode) == ("E-DIA-028", 28)
