"""Hubble as the user wants to reach it: by an address, from inside the cluster, or by a port-forward."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from installer.domain.errors import ConnectError, UsageError
from installer.ports.hubble import PLAIN, Access, Tls
from installer.wiring.cluster import LazyHubbles, LazyKubes

if TYPE_CHECKING:
    from installer.ports.cluster import Kube
    from installer.ports.hubble import Hubble
    from installer.services.flows import FeedOptions, FlowFeed


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """Which Hubble is meant.

    Attributes:
        server: ``host:port``, ``tls://host:port`` or ``unix:///path``; empty: Relay of the cluster.
        access: TLS and password.
        kubeconfig: path, for the port-forward.
        context: its context.
        namespace: namespace of Relay.
        in_cluster: dial Relay's Service before a port is forwarded.
    """

    server: str = ""
    access: Access = PLAIN
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str = "kube-system"
    in_cluster: bool = field(default_factory=lambda: bool(os.environ.get("KUBERNETES_SERVICE_HOST")))

    def open(self) -> AbstractAsyncContextManager[Hubble]:
        """Connect, anew with every call: a port-forward finds Relay's present pod.

        Raises:
            BeeyardError: ``E-HUBBLE-*`` and ``E-KUBE-*``, as ``services.relay`` says.
        """
        return LazyHubbles().open(self.server, self.access) if self.server else self._of_the_cluster()

    @asynccontextmanager
    async def _of_the_cluster(self) -> AsyncIterator[Hubble]:
        from installer.services.relay import open_relay, open_service

        kube: Kube | None = None
        try:
            kube = await LazyKubes().open(self.kubeconfig, self.context)
        except ConnectError as error:
            if not (self.in_cluster and error.code == "E-KUBE-002"):
                raise
        try:
            if self.in_cluster or kube is None:
                way = open_service(kube, LazyHubbles(), self.namespace, self.access)
            else:
                way = open_relay(kube, LazyHubbles(), self.namespace, self.access)
            async with way as hubble:
                yield hubble
        finally:
            if kube is not None:
                await kube.close()

    def feed(self, options: FeedOptions | None = None) -> FlowFeed:
        """Return a feed of flows from it."""
        from installer.services.flows import FeedOptions, FlowFeed

        return FlowFeed(self.open, options or FeedOptions())


def feed_of(kube: Kube, namespace: str = "kube-system", options: FeedOptions | None = None) -> FlowFeed:
    """Return a feed of flows from Relay of a cluster that is connected already."""
    from installer.services.flows import FeedOptions, FlowFeed
    from installer.services.relay import open_relay

    return FlowFeed(lambda: open_relay(kube, LazyHubbles(), namespace), options or FeedOptions())


def read_tls(
    *, ca_files: tuple[str, ...], certificate_file: str, key_file: str, server_name: str, any_certificate: bool
) -> Tls:
    """Read TLS options from their files.

    Raises:
        UsageError: ``E-HUBBLE-016`` a file cannot be read, or one of certificate and key is missing.
    """
    if bool(certificate_file) != bool(key_file):
        raise UsageError(
            "A client certificate and its key go together",
            why=f"Only {certificate_file or key_file} is given.",
            fix="Give both --tls-client-cert-file and --tls-client-key-file.",
            code="E-HUBBLE-016",
        )
    ca = b"".join(_read(path) + b"\n" for path in ca_files)
    certificate, key = (_read(path) if path else b"" for path in (certificate_file, key_file))
    return Tls(ca, certificate, key, server_name, any_certificate)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read", why=error.strerror or str(error), fix="Give a PEM file.", code="E-HUBBLE-016"
        ) from error
