"""Looking at a host before anything is installed: what stands in the way, and what its kernel can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from installer.domain import preflight
from installer.domain.kernel.judgement import Row
from installer.domain.kernel.proof import KernelProof
from installer.domain.preflight import Finding, Level
from installer.domain.preflight.kernel import kernel_rows
from installer.domain.preflight.wanted import wanted_by
from installer.domain.setup.judgement import Look
from installer.domain.spec import ClusterSpec
from installer.pipeline.chart_values import merged_user_values

LookAt = Callable[[ClusterSpec], Awaitable[Look]]


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found on a host.

    Attributes:
        findings: errors first.
        rows: a row for each feature of the kernel.
        proof: what the rows rest on, None where the kernel was not tried.
    """

    findings: list[Finding]
    rows: list[Row]
    proof: KernelProof | None

    @property
    def ok(self) -> bool:
        """Whether an install may begin."""
        return not any(finding.level is Level.ERROR for finding in self.findings)

    def to_dict(self, *, kernel: bool) -> dict[str, Any]:
        """Return the JSON form, with the kernel's features where asked for."""
        told: dict[str, Any] = {"ok": self.ok, "findings": [finding.to_dict() for finding in self.findings]}
        if kernel and self.proof is not None:
            proof = self.proof
            told["kernel"] = {
                "release": proof.release,
                "config": proof.config_source,
                "modulesLoaded": list(proof.loaded),
                "trouble": proof.trouble,
                "seconds": round(proof.seconds, 3),
                "features": [row.to_dict() for row in self.rows],
            }
        return told


async def examine(look: LookAt, spec: ClusterSpec, *, allow_unsupported: bool = False) -> Examination:
    """Look at the host and judge it for a cluster; nothing is changed, and root is not needed.

    Args:
        look: looks at the host.
        spec: the cluster to be.
        allow_unsupported: as for an install.

    Raises:
        UsageError: ``E-CILIUM-013`` a file of Helm values cannot be read.
    """
    values = merged_user_values(spec)
    found = await look(spec)
    wanted = wanted_by(
        spec,
        ours=found.ours,
        k3s_version=spec.k3s.version or found.k3s_version,
        allow_unsupported=allow_unsupported,
        values=values,
    )
    return Examination(preflight.check(found.facts, wanted), kernel_rows(found.facts, wanted), found.facts.kernel_proof)
