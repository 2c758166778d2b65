"""Causes of what a status shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from installer.domain.diagnosis import Diagnosis, Evidence, Source, diagnose
from installer.domain.diagnosis.objects import (
    object_evidence,
    problem_causes,
    problem_evidence,
    ready_parts,
    replica_evidence,
)
from installer.domain.overview import CertificateStatus
from installer.domain.readiness_rules.evidence import clean
from installer.domain.readiness_rules.facts import RELAY

if TYPE_CHECKING:
    from installer.domain.status_rules.assemble import Readings


def diagnose_status(read: Readings, certificates: Iterable[CertificateStatus]) -> Diagnosis:
    """Look for the causes in what was read; logs beyond the last words of crashed containers are not."""
    problems = read.snapshot.problems
    evidence = (
        *_words(read),
        *_expired(certificates),
        *object_evidence(read.pods or read.facts.pods, read.facts.nodes, read.events, read.config_map),
        *replica_evidence(read.facts.deployments, read.facts.nodes),
        *problem_evidence(problems),
    )
    return diagnose(evidence, ready=ready_parts(read.snapshot), known=problem_causes(problems))


def _words(read: Readings) -> Iterator[Evidence]:
    """Yield what agents, Relay and Helm say."""
    for agent in read.agents:
        subject = f"{agent.namespace}/{agent.pod}"
        for name, message in agent.failing.items():
            yield Evidence(Source.PROBLEM, f"controller {name} of {subject}", message, subject)
        for part in agent.parts:
            if part.state in ("Failure", "Warning") and part.text:
                yield Evidence(Source.PROBLEM, f"{part.name} of {subject}", part.text, subject)
    if read.relay is not None and read.relay.error:
        yield Evidence(Source.PROBLEM, "Relay's answer", clean(read.relay.error), f"{read.namespace}/{RELAY}")
    if read.helm is not None:
        text = f"release {read.helm.name} is {read.helm.status} (revision {read.helm.revision})"
        yield Evidence(Source.HELM, f"Helm release {clean(read.helm.name)}", clean(text))


def _expired(certificates: Iterable[CertificateStatus]) -> Iterator[Evidence]:
    for one in certificates:
        if one.days < 0:
            yield Evidence(Source.CONDITION, one.name, f"certificate {one.name} expired on {one.expires[:10]}")
