"""The two proofs at the end of a run: everything is ready, and the network does what it must."""

from __future__ import annotations

from collections.abc import Callable

from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.events import ReadinessChanged
from installer.domain.readiness import Snapshot
from installer.domain.readiness_rules import Expected, expected_cilium
from installer.domain.verification import Check, Outcome
from installer.pipeline.run import Run
from installer.pipeline.steps.cilium import NAMESPACE
from installer.ports.cluster import Kube
from installer.ports.hubble import Hubbles
from installer.services.backoff import restart_backing_off
from installer.services.readiness import Probe, wait_ready
from installer.services.relay import relay_probe
from installer.services.verify import OnCheck, Proof

MakeProof = Callable[[Kube, Hubbles, str, str, OnCheck], Proof]


def expected(run: Run) -> Expected:
    """Return what must be ready for a specification."""
    spec = run.spec
    return expected_cilium(
        nodes=spec.nodes.expected,
        envoy=spec.cilium.l7_proxy and spec.cilium.envoy == "daemonset",
        relay=spec.hubble.enabled and spec.hubble.relay,
        ui=spec.hubble.enabled and spec.hubble.ui,
    )


async def wait(run: Run, hubbles: Hubbles, timeout: float) -> str:
    """Wait until all is ready, telling every change.

    Raises:
        BeeyardError: what waiting does not solve.
        DeadlineError: ``E-READY-001``.
    """

    def told(snapshot: Snapshot) -> None:
        run.emit(ReadinessChanged(run.tools.now(), snapshot))

    kube = await run.kube()
    try:
        for pod in await restart_backing_off(kube, expected(run)):
            run.log(f"{pod} waited out a back-off of an earlier failure; it is made anew")
    except ConnectError as error:
        run.log(f"{error.what}; waiting for it to return", "warning")
    relay = run.spec.hubble.enabled and run.spec.hubble.relay
    probes: list[Probe] = [relay_probe(kube, hubbles, NAMESPACE)] if relay else []
    snapshot = await wait_ready(kube, expected(run), timeout=timeout, on_change=told, probes=probes)
    pods = sum(component.ready for component in snapshot.components if component.kind != "Node")
    return f"{len(snapshot.components)} components ready, {pods} pods"


async def prove(run: Run, hubbles: Hubbles, make_proof: MakeProof) -> str:
    """Prove the network and tell every check.

    Raises:
        BeeyardError: ``E-VERIFY-002`` a check failed.
    """

    def told(check: Check) -> None:
        level = "warning" if check.outcome is Outcome.FAILED else "info"
        run.log(f"{check.outcome} {check.id}: {check.detail}", level, step="verify")

    proof = make_proof(await run.kube(), hubbles, NAMESPACE, "", told)
    report = await proof.run()
    if not report.ok:
        failed = [check for check in report.checks if check.outcome is Outcome.FAILED]
        raise BeeyardError(
            "the network does not work as it must",
            why="\n".join(f"{check.title}: {check.detail}" for check in failed),
            fix=failed[0].fix,
            code="E-VERIFY-002",
            details={"report": report.to_dict()},
        )
    return report.summary
