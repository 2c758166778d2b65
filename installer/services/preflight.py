"""Looking at a host before anything is installed: what stands in the way, and what its kernel can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from installer.domain import preflight
from installer.domain.kernel.judgement import Row
from installer.domain.kernel.proof import KernelProof
from installer.domain.preflight import Finding, HostFacts, Level, Wanted
from installer.domain.preflight.fixes import Fix, fixes
from installer.domain.preflight.kernel import kernel_rows
from installer.domain.preflight.surroundings import Source
from installer.domain.preflight.wanted import gateway_release, wanted_by
from installer.domain.releases import Releases
from installer.domain.setup.judgement import Look
from installer.domain.setup.reading import registry_of
from installer.domain.spec import ClusterSpec
from installer.pipeline.chart_values import merged_user_values

LookAt = Callable[[ClusterSpec], Awaitable[Look]]
Knock = Callable[[ClusterSpec, dict[str, str]], Awaitable[tuple[Source, ...]]]


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found on a host.

    Attributes:
        facts: the host as it is.
        wanted: what it was compared with.
        findings: errors first.
        rows: a row for each feature of the kernel.
        proof: what the rows rest on, None where the kernel was not tried.
    """

    facts: HostFacts
    wanted: Wanted
    findings: list[Finding]
    rows: list[Row]
    proof: KernelProof | None

    @property
    def ok(self) -> bool:
        """Whether an install may begin."""
        return not any(finding.level is Level.ERROR for finding in self.findings)

    @property
    def fixes(self) -> list[Fix]:
        """What can be mended safely."""
        return fixes(self.findings, self.facts, self.wanted)

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


async def examine(
    look: LookAt,
    spec: ClusterSpec,
    *,
    table: Releases | None = None,
    knock: Knock | None = None,
    allow_unsupported: bool = False,
) -> Examination:
    """Look at the host and judge it for a cluster; nothing is changed, and root is not needed.

    Args:
        look: looks at the host.
        spec: the cluster to be.
        table: what is known of Cilium's releases.
        knock: asks the sources whether they are there; None leaves them alone.
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
        gateway_api=gateway_release(table, spec) if table else "",
    )
    facts = found.facts
    if knock is not None and not spec.downloads.bundle:
        facts = replace(facts, sources=await knock(spec, sources_of(spec)))
    return Examination(facts, wanted, preflight.check(facts, wanted), kernel_rows(facts, wanted), facts.kernel_proof)


def sources_of(spec: ClusterSpec) -> dict[str, str]:
    """Return what an install would fetch from: URL by name."""
    downloads = spec.downloads
    found = {"k3s": downloads.k3s}
    if spec.k3s.version is None:
        found["k3s channels"] = downloads.channels
    if not downloads.chart.file:
        found["Cilium chart"] = downloads.chart.repository
    if not downloads.helm.binary:
        found["helm"] = downloads.helm.url
    if spec.cilium.gateway_api:
        found["Gateway API"] = downloads.gateway_api
    if mirror := registry_of(spec.k3s.registries):
        found["image registry"] = f"{mirror.rstrip('/')}/v2/"
    elif not spec.k3s.registries:
        found["Cilium images"] = "https://quay.io/v2/"
    return found
