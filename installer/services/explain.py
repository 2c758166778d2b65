"""Why a run failed: the error, the cluster and the host, read together before anything is taken back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from installer.domain.diagnosis import Diagnosis, diagnose
from installer.domain.diagnosis.texts import error_evidence, host_evidence
from installer.domain.errors import BeeyardError
from installer.domain.preflight.facts import HostFacts
from installer.pipeline.run import Run
from installer.services import proofs
from installer.services.evidence_cluster import ClusterEvidence, read_cluster
from installer.services.evidence_host import HostTexts, read_host

SECONDS = 12.0
"""Seconds that the failure of a run may take longer for its explanation."""

_CLEAR = (
    *("E-PRE-", "E-CLI-", "E-RUN-", "E-SPEC-", "E-CONFIG-", "E-BUNDLE-", "E-WEB-", "E-FETCH-"),
    *("E-CHART-", "E-KUBECONFIG-", "E-STATE-", "E-STORE-"),
)
"""Errors that say all there is to say: the cluster has nothing to do with them."""


async def explain(run: Run, error: BeeyardError) -> Diagnosis | None:
    """Look for the cause of an error that ended a run.

    Returns:
        What was found; None where the error says all there is to say, or nothing more was found.
    """
    if error.code.startswith(_CLEAR):
        return None
    lines = list(error_evidence(error, run.current))
    cluster = ClusterEvidence()
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            texts = HostTexts(run.tools.processes, run.tools.services, Path(run.spec.k3s.data_dir))
            facts, found = await asyncio.gather(_facts(run), _cluster(run))
            cluster = found or cluster
            lines += [*cluster.lines, *(host_evidence(facts) if facts else ()), *(await read_host(texts, facts)).lines]
    found_causes = diagnose(lines, ready=cluster.ready, known=cluster.known)
    return found_causes if found_causes.cause is not None else None


async def _facts(run: Run) -> HostFacts | None:
    try:
        return await run.tools.probe.gather()
    except (BeeyardError, OSError):
        return None


async def _cluster(run: Run) -> ClusterEvidence | None:
    try:
        return await read_cluster(await run.kube(), expected=proofs.expected(run))
    except (BeeyardError, TimeoutError):
        return None
