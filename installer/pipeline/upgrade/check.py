"""Step ``preflight`` of an upgrade: the cluster is sound, and nothing of it would break."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from installer.domain.errors import BeeyardError
from installer.domain.overview import CertificateStatus
from installer.domain.plan import Change
from installer.domain.status_rules.certificates import judge_certificate, read_secrets
from installer.domain.upgrade.checks import Found, Verdict, judge
from installer.domain.upgrade.deprecated import DeprecatedUse, read_metrics
from installer.domain.upgrade.migration import Done
from installer.domain.upgrade.path import Part
from installer.pipeline.run import Run
from installer.pipeline.steps.cilium import NAMESPACE
from installer.pipeline.upgrade.context import Upgrade
from installer.pipeline.upgrade.values import prepare
from installer.ports.cluster import NODES, SECRETS

_UNPACKED = 3
"""How much larger than its file k3s is on the disk: the file, its copy, what it unpacks."""


@dataclass(slots=True)
class UpgradeCheckStep:
    """Looks at nodes, releases, disk, certificates, deprecated APIs and the values."""

    upgrade: Upgrade
    id: str = "preflight"
    title: str = "Check the cluster"
    background: bool = False
    _verdict: Verdict | None = None

    async def gather(self, run: Run) -> None:
        """Look once, before anything changes, and work out what is to be after every hop."""
        if self._verdict is None:
            self._verdict = Verdict() if self.upgrade.resumes else judge(await self._look(run), self.upgrade.hops)
            self._verdict.refuse()
            await prepare(run, self.upgrade)

    async def check(self, run: Run) -> list[Change]:
        """Keep warnings for the plan."""
        assert self._verdict is not None
        for warning in self._verdict.warnings:
            run.warn(warning)
        for hop in self.upgrade.hops:
            for note in self.upgrade.prepared[hop.id].notes if hop.part is Part.CILIUM else ():
                verb = "default" if note.done is Done.CHANGED else "values"
                run.warn(f"Cilium {hop.target}, {verb}: {note}")
        return []

    async def apply(self, run: Run) -> None:
        """Nothing to change."""

    async def verify(self, run: Run) -> str:
        """Say how it went."""
        return f"{len(run.warnings)} notes" if run.warnings else "nothing stands in the way"

    async def undo(self, run: Run) -> None:
        """Nothing to take back."""

    async def _look(self, run: Run) -> Found:
        kube, helm = await run.kube(), await run.helm()
        nodes, releases, certificates, deprecated, free = await asyncio.gather(
            kube.list(NODES), helm.releases(), self._certificates(run), _deprecated(run), _free(run)
        )
        return Found(
            nodes=nodes,
            releases={f"{one.namespace}/{one.name}": one.status for one in releases},
            external_datastore=str(run.spec.k3s.config.get("datastore-endpoint", "")) and "datastore-endpoint",
            free_bytes=free,
            needed_bytes=await asyncio.to_thread(self._needed, run),
            certificates=certificates,
            deprecated=deprecated,
        )

    async def _certificates(self, run: Run) -> list[CertificateStatus]:
        kube = await run.kube()
        own = await kube.certificates()
        secrets = read_secrets(await kube.list(SECRETS, namespace=NAMESPACE, fields="type=kubernetes.io/tls"))
        return [judge_certificate(name, one, run.tools.now()) for name, one in {**own, **secrets}.items()]

    def _needed(self, run: Run) -> int:
        """Return what the upgrade takes of the disk: new k3s, copies of the datastore, images."""
        data_dir = Path(run.spec.k3s.data_dir)
        binary = Path(run.spec.k3s.bin_dir) / "k3s"
        hops = sum(hop.part is Part.K3S for hop in self.upgrade.hops)
        size = binary.stat().st_size if binary.exists() else 0
        archives = sum(path.stat().st_size for path in run.bundle.images) if run.bundle else 0
        return hops * (_UNPACKED * size + 2 * self.upgrade.datastore.size(data_dir)) + 2 * archives


async def _free(run: Run) -> int:
    facts = await run.tools.probe.gather()
    found = next((one for one in facts.filesystems if one.path == run.spec.k3s.data_dir), None)
    return found.free_bytes if found else -1


async def _deprecated(run: Run) -> list[DeprecatedUse]:
    """Ask the API server which deprecated APIs were used since its start; no answer stops nothing."""
    command = [str(Path(run.spec.k3s.bin_dir) / "k3s"), "kubectl", "get", "--raw", "/metrics"]
    try:
        answer = await run.tools.processes.run([*command, "--kubeconfig", str(run.kubeconfig)], timeout=30)
    except BeeyardError as error:
        run.log(f"the use of deprecated APIs is not known: {error.what}", "debug")
        return []
    return await asyncio.to_thread(read_metrics, answer.out)
