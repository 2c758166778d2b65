"""What beeyard installed on this host, as kept in ``/var/lib/beeyard/installed.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from installer.domain.errors import BeeyardError

FORMAT = 1


@dataclass(slots=True)
class Installed:
    """The record of what is ours.

    Attributes:
        k3s_version: release of the binary that we put in place, empty when there is none of ours.
        k3s_sha256: its checksum.
        k3s_config: keys of ``config.yaml`` that we wrote.
        files: path to sha256 of every file that we wrote.
        service: name of the service that we made.
        images_due: k3s' own images are to be imported yet; a killed run leaves that to the next.
        proxy: proxy variables given to the service.
        kubeconfig: path and context that were merged for the user.
        bundle: digest of the bundle that was installed.
        chart_version: chart of the Helm release as we left it.
        digests: whether images are named by digest.
        upgrade_compatibility: Cilium minor that the cluster began with, empty until its first upgrade; the chart keeps
            settings that cannot change under running pods as they were in it.
        verified: digest of the state that the network proof held for.
    """

    k3s_version: str = ""
    k3s_sha256: str = ""
    k3s_config: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    service: str = ""
    images_due: bool = False
    proxy: dict[str, str] = field(default_factory=dict)
    kubeconfig: dict[str, str] = field(default_factory=dict)
    bundle: str = ""
    chart_version: str = ""
    digests: bool = True
    upgrade_compatibility: str = ""
    verified: str = ""

    def dump(self) -> bytes:
        """Return the file's content."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n").encode()


def load(data: bytes | None, name: str) -> Installed:
    """Read the record; an absent file is an empty record.

    Raises:
        BeeyardError: ``E-STATE-001`` it cannot be understood.
    """
    if data is None:
        return Installed()
    try:
        raw = json.loads(data)
        if raw["format"] != FORMAT:
            raise ValueError(f"format {raw['format']}, this program knows {FORMAT}")
        known = {item.name for item in fields(Installed)}
        return Installed(**{key: value for key, value in raw.items() if key in known})
    except (ValueError, KeyError, TypeError) as error:
        raise BeeyardError(
            f"{name} cannot be read",
            why=str(error),
            fix=f"Move {name} away and run again: what is on the host is then looked at afresh.",
            code="E-STATE-001",
        ) from error
