"""Builds what looks for faults and what collects a support archive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from installer.adapters.host.files import LocalFiles
from installer.adapters.host.processes import LocalProcesses
from installer.adapters.host.services import detect
from installer.domain.errors import BeeyardError
from installer.domain.preflight import Finding, HostFacts
from installer.domain.redact import Redactor
from installer.domain.setup.judgement import Look
from installer.domain.spec import ClusterSpec
from installer.ports.cluster import Kube
from installer.services.doctor import Connect, Doctor
from installer.services.evidence_host import HostTexts
from installer.services.preflight import examine
from installer.wiring.cluster import LazyKubes
from installer.wiring.install import STATE, install_service
from installer.wiring.preflight import look


def current_spec() -> ClusterSpec:
    """Return what this host's cluster was brought to; the defaults where there is none, or only root may read it."""
    try:
        return install_service().current_spec(STATE)
    except (BeeyardError, yaml.YAMLError):
        return ClusterSpec()


async def _look_at_what_runs(spec: ClusterSpec) -> Look:
    """Look at this host; a k3s that is here is what is examined, whoever installed it."""
    found = await look(spec)
    return replace(found, ours=found.ours or found.facts.k3s.present)


async def host_checks() -> tuple[HostFacts, Sequence[Finding]]:
    """Look at this host and hold it against the checks of preflight."""
    found = await examine(_look_at_what_runs, current_spec(), allow_unsupported=True)
    return found.facts, found.findings


@asynccontextmanager
async def host_texts(redactor: Redactor) -> AsyncIterator[HostTexts]:
    """Return what reads this host's logs."""
    processes = LocalProcesses(redactor.mask)
    services = await detect(processes, LocalFiles())
    yield HostTexts(processes, services, Path(current_spec().k3s.data_dir))


def connect(kubeconfig: str | None, context: str | None) -> Connect:
    """Return what opens the cluster: the one named, else the usual one; this host's own comes first for root."""

    async def opened() -> Kube:
        return await LazyKubes().open(kubeconfig, context)

    return opened


@asynccontextmanager
async def doctor(
    kubeconfig: str | None, context: str | None, namespace: str, *, cluster: bool = True
) -> AsyncIterator[Doctor]:
    """Return the doctor of this host and its cluster."""
    async with host_texts(Redactor()) as texts:
        yield Doctor(host_checks, texts, connect(kubeconfig, context) if cluster else None, namespace)
