"""Builds and runs what collects a support archive."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installer.adapters.store.runlog import LOGS
from installer.adapters.store.sysdump import check_target, write_archive
from installer.domain.errors import BeeyardError
from installer.domain.redact import Redactor
from installer.domain.sysdump.entry import Entry
from installer.services.doctor import Checkup
from installer.services.evidence_host import HostTexts
from installer.services.sysdump import Collection, Collector, data_text, finish
from installer.services.sysdump_cluster import ClusterSource
from installer.services.sysdump_host import host_collectors, learn_host_secrets
from installer.wiring.doctor import connect, doctor, host_texts
from installer.wiring.install import STATE

DOCTOR_SECONDS = 90.0
CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        path: where the archive goes.
        kubeconfig: its path, None for the usual.
        context: its context, None for the usual.
        namespace: Cilium's namespace.
        cluster: whether to ask the cluster.
    """

    path: Path
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str = "kube-system"
    cluster: bool = True


async def sysdump(wish: Wish, say: Callable[[str], None]) -> dict[str, Any]:
    """Collect and write the archive; return where it is, its size, and what is in it.

    Raises:
        UsageError: ``E-DUMP-001`` to ``-003``.
        BeeyardError: ``E-DUMP-004`` it cannot be written.
    """
    path = check_target(wish.path)
    redactor = Redactor()
    collection = Collection(redactor)
    async with host_texts(redactor) as texts:
        learn_host_secrets(redactor, texts.data_dir, dict(os.environ))
        async with _cluster(wish, redactor, collection) as source:
            say("The doctor looks at host and cluster ...")
            checkup = await _checkup(wish, collection, cluster=source is not None)
            say("Collecting ...")
            await collection.run(_collectors(texts, source))
    entries = finish(collection, checkup, time.time(), _facts(checkup))
    size = await asyncio.to_thread(write_archive, path, entries, when=time.time())
    missing = [{"path": one.path, "error": one.error} for one in collection.entries if one.error]
    return {"path": str(path), "bytes": size, "files": sum(bool(one.data) for one in entries), "notCollected": missing}


class _cluster:  # noqa: N801 - used as a context manager only
    """The cluster while it is asked; None where it is not to be asked or not there, which is told."""

    def __init__(self, wish: Wish, redactor: Redactor, collection: Collection):
        self._wish = wish
        self._redactor = redactor
        self._collection = collection
        self._source: ClusterSource | None = None

    async def __aenter__(self) -> ClusterSource | None:
        if not self._wish.cluster:
            return None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                kube = await connect(self._wish.kubeconfig, self._wish.context)()
                self._source = ClusterSource(kube, self._wish.namespace)
                trouble = await self._source.prepare(self._redactor)
        except TimeoutError:
            self._tell("cluster", f"its API does not answer within {CONNECT_SECONDS:g} s")
        except BeeyardError as error:
            self._tell("cluster", f"{error.what}: {error.why}".rstrip(": "))
        else:
            if trouble:
                self._tell("secrets of the cluster", trouble)
            return self._source
        return None

    def _tell(self, path: str, error: str) -> None:
        self._collection.add(Entry(path, path, error=error))

    async def __aexit__(self, *_: object) -> None:
        if self._source is not None:
            await self._source.kube.close()


def _collectors(texts: HostTexts, source: ClusterSource | None) -> list[Collector]:
    return [*host_collectors(texts, STATE, LOGS), *(source.collectors() if source else ())]


async def _checkup(wish: Wish, collection: Collection, *, cluster: bool) -> Checkup | None:
    try:
        async with (
            asyncio.timeout(DOCTOR_SECONDS),
            doctor(wish.kubeconfig, wish.context, wish.namespace, cluster=cluster) as one,
        ):
            found = await one.examine()
    except (BeeyardError, TimeoutError) as error:
        collection.add(Entry("doctor.json", "beeyard doctor", error=str(error) or "no end in time"))
        return None
    collection.add(Entry("doctor.json", "beeyard doctor", data_text(found.to_dict()).encode()))
    if found.facts is not None:
        collection.add(
            Entry("host/facts.json", "this host as beeyard sees it", data_text(found.facts.to_dict()).encode())
        )
    return found


def _facts(checkup: Checkup | None) -> list[tuple[str, str]]:
    if checkup is None or checkup.facts is None:
        return []
    facts = checkup.facts
    return [
        ("host", f"{facts.hostname}, {facts.os_id} {facts.os_version}, {facts.arch}"),
        ("kernel", facts.kernel),
        ("k3s", " ".join(filter(None, (facts.k3s.version, facts.k3s.service, facts.k3s.binary))) or "none here"),
        ("cluster", checkup.cluster or "not reached"),
        ("run by", "root" if facts.uid == 0 else f"uid {facts.uid}: much of the host could not be read"),
    ]
