"""What a cluster's objects and its containers' logs say, for a diagnosis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from installer.domain.diagnosis.cause import Cause
from installer.domain.diagnosis.evidence import Evidence, Source
from installer.domain.diagnosis.objects import (
    object_evidence,
    problem_causes,
    problem_evidence,
    ready_parts,
    replica_evidence,
    writer_of,
)
from installer.domain.diagnosis.parts import Part
from installer.domain.diagnosis.texts import text_evidence
from installer.domain.errors import BeeyardError, ConnectError
from installer.domain.readiness import Snapshot
from installer.domain.readiness_rules import Expected, expected_from
from installer.domain.readiness_rules.facts import SYSTEM, Object, name_of, namespace_of
from installer.domain.readiness_rules.pods import is_ready, is_relevant
from installer.ports.cluster import CONFIG_MAPS, EVENTS, PODS, SECRETS, Kube
from installer.services.evidence_host import Gathered
from installer.services.readiness import look

T = TypeVar("T")

SECONDS = 20.0
"""Seconds for everything of a cluster."""

LOG_SECONDS = 5.0
LOG_LINES = 80
_PODS_AT_ONCE = 8
_MOST_PODS = 24
_SPEAKERS = (Source.AGENT, Source.OPERATOR, Source.RELAY, Source.DNS)


@dataclass(slots=True)
class ClusterEvidence(Gathered):
    """What a cluster told.

    Attributes:
        ready: parts that work.
        known: problems as causes, for where no rule explains them.
        snapshot: readiness, None where it could not be judged.
        nodes: number of nodes.
        pods: number of pods.
        server: the API's URL.
    """

    ready: frozenset[Part] = frozenset()
    known: list[Cause] = field(default_factory=list)
    snapshot: Snapshot | None = None
    nodes: int = 0
    pods: int = 0
    server: str = ""


async def read_cluster(kube: Kube, *, namespace: str = SYSTEM, expected: Expected | None = None) -> ClusterEvidence:
    """Read a cluster: objects, events, Helm's release, the ends of logs. What cannot be read is told in it.

    Args:
        kube: the cluster.
        namespace: Cilium's namespace.
        expected: what must be there; by default what is found, and always the agent and the operator.

    Raises:
        ConnectError: the API is out of reach.
        TimeoutError: it did not answer in time.
    """
    found = ClusterEvidence()
    async with asyncio.timeout(SECONDS):
        facts, judgement = await look(
            kube,
            [namespace, SYSTEM],
            lambda facts: expected or expected_from(facts, namespace),
            lambda resource, error: found.unread.append(f"{resource.plural}: {error.what}"),
        )
        found.snapshot, found.ready = judgement.snapshot, ready_parts(judgement.snapshot)
        problems = judgement.snapshot.problems
        found.known = list(problem_causes(problems))
        reader = _Reader(kube, found)
        pods, events, config, releases = await asyncio.gather(
            reader.read("pods of all namespaces", kube.list(PODS), []),
            reader.read("events", kube.list(EVENTS), []),
            reader.read("cilium-config", kube.get(CONFIG_MAPS, "cilium-config", namespace=namespace), None),
            reader.read("Helm releases", kube.list(SECRETS, namespace=namespace, labels="owner=helm"), []),
        )
        everything = pods or facts.pods
        found.nodes, found.pods = len(facts.nodes), len(everything)
        logs = await reader.logs(everything)
    found.lines += [
        *logs,
        *_releases(releases),
        *object_evidence(everything, facts.nodes, events or facts.events, config),
        *replica_evidence(facts.deployments, facts.nodes),
        *problem_evidence(problems),
    ]
    return found


def _releases(secrets: Sequence[Object]) -> Iterator[Evidence]:
    """Yield the state of the newest revision of each Helm release."""
    newest: dict[str, tuple[int, str]] = {}
    for one in secrets:
        labels = one["metadata"].get("labels") or {}
        name, status, version = (str(labels.get(key, "")) for key in ("name", "status", "version"))
        number = int(version) if version.isdigit() else 0
        if name and number >= newest.get(name, (0, ""))[0]:
            newest[name] = (number, status)
    for name, (number, status) in sorted(newest.items()):
        lines = [f"release {name} is {status} (revision {number})"]
        yield from text_evidence(Source.HELM, f"secret sh.helm.release.v1.{name}.v{number}", lines)


class _Reader:
    """Reads parts; what fails is told, and what the API lacks is no failure."""

    def __init__(self, kube: Kube, found: ClusterEvidence):
        self._kube = kube
        self._found = found
        self._slots = asyncio.Semaphore(_PODS_AT_ONCE)

    async def read(self, place: str, reading: Awaitable[T], otherwise: T) -> T:
        """Read a part."""
        try:
            found = await reading
        except ConnectError:
            raise
        except BeeyardError as error:
            self._found.unread.append(f"{place}: {error.what}")
            return otherwise
        self._found.looked.append(place)
        return found

    async def logs(self, pods: Sequence[Object]) -> list[Evidence]:
        """Return the ends of logs: of Cilium, Hubble and DNS, and of every container that does not run as it should."""
        chosen = sorted(filter(is_relevant, pods), key=is_ready)
        wanted = [one for pod in chosen for one in _containers(pod)][:_MOST_PODS]
        texts = await asyncio.gather(*(self._log(*one) for one in wanted))
        self._found.looked += [f"log of {one[2]}" for one in wanted]
        return [line for lines in texts for line in lines]

    async def _log(self, pod: Object, container: str, where: str, previous: bool) -> list[Evidence]:
        name, namespace = name_of(pod), namespace_of(pod)
        try:
            async with self._slots, asyncio.timeout(LOG_SECONDS):
                lines = await self._kube.logs(name, namespace, container=container, lines=LOG_LINES, previous=previous)
        except (BeeyardError, TimeoutError):  # its evidence is missed, not its absence
            return []
        return list(text_evidence(writer_of(pod, container), f"log of {where}", lines, f"{namespace}/{name}"))


def _containers(pod: Object) -> Iterator[tuple[Object, str, str, bool]]:
    """Yield containers whose log says something: pod, container, place in words, whether of its run before."""
    status = pod.get("status", {})
    subject = f"{namespace_of(pod)}/{name_of(pod)}"
    for kind, statuses in (("init ", "initContainerStatuses"), ("", "containerStatuses")):
        for state in status.get(statuses) or []:
            name = str(state.get("name", ""))
            ended = (state.get("state") or {}).get("terminated") or {}
            fine = state.get("ready") or (kind and ended.get("exitCode") == 0)
            if fine and writer_of(pod, name) not in _SPEAKERS:
                continue
            place = f"{subject} ({kind}{name})"
            waiting = "waiting" in (state.get("state") or {})
            if not fine and int(state.get("restartCount", 0)) and not ended:
                yield pod, name, f"{place}, its run before", True
            if not waiting:
                yield pod, name, place, False
