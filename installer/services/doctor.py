"""Looking at a host and its cluster for what is wrong: one cause first, with its evidence and its fix.

Nothing is changed. What cannot be read (no root, no cluster, an API that hangs) is told and ends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.domain.diagnosis import Cause, Diagnosis, Part, diagnose
from installer.domain.diagnosis.texts import check_causes, error_evidence, host_evidence
from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.preflight import Finding, HostFacts, Level
from installer.ports.cluster import Kube
from installer.services.evidence_cluster import ClusterEvidence, read_cluster
from installer.services.evidence_host import Gathered, HostTexts, read_host

CONNECT_SECONDS = 10.0
HOST_SECONDS = 30.0
_NOT_A_FAULT = ("E-PRE-001",)
"""Checks that speak of this command, not of the host."""

Connect = Callable[[], Awaitable[Kube]]
LookAtHost = Callable[[], Awaitable[tuple[HostFacts, Sequence[Finding]]]]
"""Returns the host's facts and what the checks of preflight say of it now."""


_HANGS = ConnectError(
    "the Kubernetes API does not answer in time",
    fix="See whether k3s is overloaded or its data store hangs: journalctl -u k3s -n 100 (or /var/log/k3s.log)",
    code="E-KUBE-001",
)


@dataclass(slots=True)
class Checkup:
    """What the doctor found.

    Attributes:
        diagnosis: causes and what follows from them.
        notes: warnings of the host's checks.
        looked: what was looked at, in words.
        unread: what could not be read, with the reason.
        cluster: URL of the cluster, empty where none was reached.
        facts: the host as it is, None where it could not be looked at.
    """

    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    notes: tuple[Finding, ...] = ()
    looked: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    cluster: str = ""
    facts: HostFacts | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing wrong was found."""
        return self.diagnosis.cause is None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "ok": self.ok,
            **self.diagnosis.to_dict(),
            "warnings": [one.to_dict() for one in self.notes],
            "cluster": self.cluster,
            "looked": list(self.looked),
            "unread": list(self.unread),
        }


@dataclass(frozen=True, slots=True)
class Doctor:
    """Looks at a host and its cluster.

    Attributes:
        look: looks at the host.
        texts: reads the host's logs.
        connect: opens the cluster; None leaves it out.
        namespace: Cilium's namespace.
        absent: codes of errors that mean that there is no cluster to look at.
        unreached: filled with why the cluster was not reached.
    """

    look: LookAtHost
    texts: HostTexts
    connect: Connect | None = None
    namespace: str = "kube-system"
    absent: tuple[str, ...] = ("E-KUBE-002",)
    unreached: list[Cause] = field(default_factory=list)

    async def examine(self) -> Checkup:
        """Look at everything that can be looked at."""
        found = Gathered()
        (facts, findings), cluster = await asyncio.gather(self._host(found), self._cluster(found))
        found.join(await read_host(self.texts, facts))
        here = facts is not None and facts.k3s.present
        lines = [*found.lines, *(host_evidence(facts) if facts else ())]
        ready, known = (cluster.ready, cluster.known) if cluster else (frozenset(), [])
        checks = [one for one in findings if here and one.code not in _NOT_A_FAULT]
        checked: list[Cause] = list(check_causes(checks))
        return Checkup(
            diagnosis=diagnose(lines, ready=ready, known=[*known, *self.unreached, *checked]),
            notes=tuple(one for one in checks if one.level is Level.WARNING),
            looked=tuple(dict.fromkeys(found.looked)),
            unread=tuple(dict.fromkeys(found.unread)),
            cluster=cluster.server if cluster else "",
            facts=facts,
        )

    async def _host(self, found: Gathered) -> tuple[HostFacts | None, Sequence[Finding]]:
        try:
            async with asyncio.timeout(HOST_SECONDS):
                facts, findings = await self.look()
        except TimeoutError:
            found.unread.append(f"this host: no answer within {HOST_SECONDS:g} s")
        except (BeeyardError, OSError) as error:
            found.unread.append(f"this host: {error.what if isinstance(error, BeeyardError) else error}")
        else:
            found.looked.append("this host, against the checks of preflight")
            found.unread += [f"{name}: {reason}" for name, reason in sorted(facts.unknown.items())]
            return facts, findings
        return None, ()

    async def _cluster(self, found: Gathered) -> ClusterEvidence | None:
        if self.connect is None:
            return None
        kube: Kube | None = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                kube = await self.connect()
            told = await read_cluster(kube, namespace=self.namespace)
        except TimeoutError:
            self._no_cluster(found, _HANGS)
        except BeeyardError as error:
            self._no_cluster(found, error)
        else:
            told.server = kube.server
            told.looked.insert(0, f"{told.nodes} nodes and {told.pods} pods of {kube.server}")
            found.join(told)
            return told
        finally:
            if kube is not None:
                await kube.close()
        return None

    def _no_cluster(self, found: Gathered, error: BeeyardError) -> None:
        """Tell why there is no cluster to look at; a fault of its own unless there is none."""
        found.unread.append(f"the cluster: {error.what}" + (f" ({error.why.splitlines()[0]})" if error.why else ""))
        if error.code not in self.absent:
            found.lines += error_evidence(error)
            self.unreached.append(
                Cause(error.code, Part.K3S, error.what, error.fix, evidence=error.why, where="the API")
            )
