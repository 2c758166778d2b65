"""Opens connections to clusters."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from installer.adapters.kube.access import K3S_KUBECONFIG, Access, find_access, without_inline_keys
from installer.adapters.kube.certificates import client_certificate
from installer.adapters.kube.client import KubeClient
from installer.adapters.kube.transport import Transport
from installer.domain.errors import BeeyardError, ConnectError

_LIBRARY = "kubernetes.aio.config"


class Kubeconfigs:
    """Implements ``ports.cluster.Kubes``.

    Attributes:
        env: environment variables to look at (``KUBECONFIG``, ``HOME`` …); those of the process by default.
        k3s: where k3s writes its kubeconfig.
    """

    def __init__(self, env: Mapping[str, str] | None = None, k3s: Path = K3S_KUBECONFIG):
        self.env = os.environ if env is None else env
        self.k3s = k3s

    async def preload(self) -> None:
        """Import the client library now, beside other work; ``open`` does it otherwise."""
        await asyncio.to_thread(importlib.import_module, _LIBRARY)

    async def open(self, kubeconfig: str | None = None, context: str | None = None) -> KubeClient:
        """Open a connection and see that the API answers.

        Raises:
            ConnectError: ``E-KUBE-001`` out of reach, ``E-KUBE-002`` no usable kubeconfig, ``E-KUBE-005`` credentials
                not accepted.
        """
        access = find_access(kubeconfig, context, self.env, self.k3s)
        await self.preload()
        client = KubeClient(await _transport(access), access.context, client_certificate(access))
        try:
            await _greet(client)
        except BaseException:
            await client.close()
            raise
        return client


async def _greet(client: KubeClient) -> None:
    try:
        await client.version()
    except BeeyardError as error:
        if error.code != "E-KUBE-003":  # someone who may not even ask the version can still use the API
            raise


async def _transport(access: Access) -> Transport:
    from kubernetes.aio.client import ApiClient

    with without_inline_keys(access) as config:
        configuration = await _configuration(access, config)
        try:
            api = ApiClient(configuration=configuration)
        except OSError as error:  # ssl.SSLError is one
            why = f"certificate or key: {error}"
            fix = "Use a kubeconfig whose certificates and key are PEM and belong together."
            raise ConnectError(
                f"kubeconfig {access.source} is not usable", why=why, fix=fix, code="E-KUBE-002"
            ) from error

    async def refresh() -> Mapping[str, str]:
        with without_inline_keys(access) as config:
            fresh: dict[str, str] = (await _configuration(access, config)).api_key
            return fresh

    return Transport(api, refresh)


async def _configuration(access: Access, config: dict[str, Any]) -> Any:
    """Return the library's configuration: server, TLS and credentials (exec plugins are run)."""
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config_from_dict

    configuration = Configuration()
    try:
        if access.config is None:
            load_incluster_config(client_configuration=configuration)
        else:
            await load_kube_config_from_dict(config, context=access.context, client_configuration=configuration)
    except (ConfigException, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        fix = "Use a kubeconfig that kubectl can use."
        raise ConnectError(
            f"kubeconfig {access.source} is not usable", why=str(error), fix=fix, code="E-KUBE-002"
        ) from error
    return configuration
