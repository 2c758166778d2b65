"""Users' credentials for registries: Docker's config.json (``auths``), and those of k3s' registries.yaml."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.domain.errors import UsageError

_HUB_NAMES = ("registry-1.docker.io", "index.docker.io", "docker.io")
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Credential:
    """Who we are to a registry. Its form for logs shows nothing.

    Attributes:
        user: user name.
        password: password.
        identity_token: refresh token for the registry's token service, instead of a password.
    """

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """Value of the Authorization header."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


def config_path(environment: Mapping[str, str]) -> Path:
    """Return where Docker's config.json is."""
    folder = environment.get("DOCKER_CONFIG")
    return Path(folder or Path(environment.get("HOME") or "/root", ".docker")) / "config.json"


def read_config(path: Path, *, required: bool = False) -> dict[str, Credential]:
    """Read the ``auths`` of a config.json by registry host; without the file there are none.

    Raises:
        UsageError: ``E-REG-007``.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST))
        auths = content.get("auths") or {}
        return {_host(name): _credential(entry) for name, entry in auths.items() if isinstance(entry, dict) and entry}
    except FileNotFoundError as error:
        if not required:
            return {}
        raise _unusable(path, "there is no such file") from error
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    except (ValueError, AttributeError, TypeError) as error:
        raise _unusable(path, f"it is not Docker's config.json ({type(error).__name__})") from None


def of_registries(registries: Mapping[str, Any] | None) -> dict[str, Credential]:
    """Return the credentials that k3s' registries.yaml holds, by registry host."""
    found = {}
    for host, settings in ((registries or {}).get("configs") or {}).items():
        auth = (settings or {}).get("auth") or {}
        entry = {**auth, "identitytoken": auth.get("identity_token") or auth.get("identityToken")}
        if any(auth.values()):
            found[_host(str(host))] = _credential(entry)
    return found


def find(credentials: Mapping[str, Credential], host: str) -> Credential | None:
    """Return the credential for a host[:port]; Docker Hub goes by several names."""
    names = _HUB_NAMES if host in _HUB_NAMES else (host,)
    return next((credentials[name] for name in names if name in credentials), None)


def _host(name: str) -> str:
    return name.rpartition("://")[2].partition("/")[0].lower()


def _credential(entry: Mapping[str, Any]) -> Credential:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("auth") from None
        user, _, password = decoded.rstrip("\0").partition(":")
    return Credential(user, password, str(entry.get("identitytoken") or ""))


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} cannot be used for the registries' credentials",
        why=why,
        fix="log in again (docker login, podman login --authfile), or name another file with --authfile",
        code="E-REG-007",
    )
