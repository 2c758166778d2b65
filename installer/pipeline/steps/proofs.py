"""Steps ``preflight``, ``ready`` and ``verify``: they prove, and change nothing that lasts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from installer.domain import preflight
from installer.domain.errors import RefusedError
from installer.domain.plan import Change
from installer.domain.preflight import Finding, HostFacts, Level, Wanted
from installer.domain.preflight.wanted import gateway_release, wanted_by
from installer.domain.spec_checks import check as spec_check
from installer.pipeline.chart_values import merged_user_values
from installer.pipeline.cluster_there import cluster_facts
from installer.pipeline.run import Run


@dataclass(slots=True)
class PreflightStep:
    """Checks the specification and the host."""

    id: str = "preflight"
    title: str = "Check the host"
    background: bool = False
    _facts: HostFacts | None = None

    async def gather(self, run: Run) -> None:
        """Look at the host."""
        facts = await run.tools.probe.gather()
        if facts.k3s.pid and run.tools.files.read(run.kubeconfig) is not None:
            facts = replace(facts, cluster=await cluster_facts(run.tools.kubes, run.kubeconfig))
        self._facts = facts

    async def check(self, run: Run) -> list[Change]:
        """Refuse what cannot work; keep warnings for the plan."""
        assert self._facts is not None
        contradictions = spec_check(run.spec)
        if contradictions:
            raise RefusedError(
                "the specification contradicts itself" if len(contradictions) > 1 else str(contradictions[0]),
                why="\n".join(map(str, contradictions)) if len(contradictions) > 1 else "",
                fix="Change these values.",
                code="E-CONFIG-002",
            )
        findings = preflight.check(self._facts, wanted(run))
        errors = [finding for finding in findings if finding.level is Level.ERROR]
        if errors:
            raise refusal(errors)
        for finding in findings:
            if finding.level is Level.WARNING:
                run.warn(f"{finding.what}. {finding.way}")
        return []

    async def apply(self, run: Run) -> None:
        """Nothing to change."""

    async def verify(self, run: Run) -> str:
        """Say how it went."""
        return f"{len(run.warnings)} warnings" if run.warnings else "nothing stands in the way"

    async def undo(self, run: Run) -> None:
        """Nothing to take back."""


@dataclass(slots=True)
class ReadyStep:
    """Waits until everything is ready, judged by ourselves."""

    id: str = "ready"
    title: str = "Wait until everything is ready"
    background: bool = False

    async def gather(self, run: Run) -> None:
        """Nothing to read before."""

    async def check(self, run: Run) -> list[Change]:
        """Nothing to change."""
        del run
        return []

    async def apply(self, run: Run) -> None:
        """Nothing to change."""

    async def verify(self, run: Run) -> str:
        """Wait."""
        return await run.tools.wait_ready(run, run.options.ready_timeout)

    async def undo(self, run: Run) -> None:
        """Nothing to take back."""


@dataclass(slots=True)
class VerifyStep:
    """Proves the network with real connections, once for every state of the installation."""

    id: str = "verify"
    title: str = "Prove the network"
    background: bool = False
    _note: str = ""

    async def gather(self, run: Run) -> None:
        """Nothing to read before."""

    async def check(self, run: Run) -> list[Change]:
        """Prove it unless the very same state was proven before."""
        if not run.options.verify or run.installed.verified == _state(run):
            return []
        return [Change("proof", "run", "network", "three small pods, removed again")]

    async def apply(self, run: Run) -> None:
        """Prove it."""
        self._note = await run.tools.prove(run)
        run.installed.verified = _state(run)
        run.save()

    async def verify(self, run: Run) -> str:
        """Say what was proven."""
        if self._note:
            return self._note
        return "proven before for this very state" if run.options.verify else "left out"

    async def undo(self, run: Run) -> None:
        """Nothing to take back."""


def wanted(run: Run) -> Wanted:
    """Return what preflight compares the host with."""
    return wanted_by(
        run.spec,
        ours=bool(run.installed.service),
        k3s_version=_known_version(run),
        allow_unsupported=run.options.allow_unsupported,
        values=merged_user_values(run.spec),
        gateway_api=gateway_release(run.table, run.spec),
    )


def _known_version(run: Run) -> str:
    """Return the k3s release to be, as far as it is known before anything is fetched."""
    if run.spec.downloads.bundle and run.bundle_path.exists():
        return run.tools.sources.read_bundle(run.bundle_path).k3s_version
    return run.spec.k3s.version or run.installed.k3s_version


def refusal(errors: list[Finding]) -> RefusedError:
    """Return one error for all findings that stop a run."""
    first = errors[0]
    if len(errors) == 1:
        return RefusedError(first.what, why=first.evidence, fix=first.way, code=first.code)
    return RefusedError(
        f"{len(errors)} things on this host stand in the way",
        why="\n".join(f"{item.code} {item.what}: {item.evidence}. {item.way}" for item in errors),
        fix="Mend them in any order and run again; nothing was changed.",
        code=first.code,
        details={"findings": [item.to_dict() for item in errors]},
    )


def _state(run: Run) -> str:
    state = [run.k3s_version, run.chart_version, run.values, run.installed.k3s_config]
    return hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode()).hexdigest()
