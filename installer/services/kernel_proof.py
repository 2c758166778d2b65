"""What this host's kernel can do for its cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from installer.domain.kernel.judgement import Row
from installer.domain.kernel.proof import KernelProof
from installer.domain.spec import ClusterSpec
from installer.services.preflight import examine
from installer.services.setup import SetupService

ProveKernel = Callable[[ClusterSpec | None], Awaitable["KernelReport"]]
"""Tries the kernel in a process of its own, for a cluster; None: the one of this host."""


@dataclass(frozen=True, slots=True)
class KernelReport:
    """What came of it.

    Attributes:
        rows: a row for each feature.
        proof: what the rows rest on.
        wanted: whose settings say what is needed, for people.
    """

    rows: list[Row]
    proof: KernelProof
    wanted: str


async def prove_kernel(setup: SetupService, spec: ClusterSpec | None = None) -> KernelReport:
    """Try the kernel for a cluster: one that is being set up, else that of this host, else one with the defaults.

    Raises:
        BeeyardError: the host cannot be looked at.
    """
    wanted = "the cluster that is being set up"
    if spec is None:
        beginning = await asyncio.to_thread(setup.begin)
        spec = beginning.form.read().spec
        wanted = "the cluster of this host" if beginning.form.origin else "a cluster with the usual settings"
    found = await examine(setup.look, spec)
    return KernelReport(found.rows, found.proof or KernelProof(), wanted)
