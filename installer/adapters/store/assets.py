"""Files that come with the program: charts/, manifests/, bpf/."""

from __future__ import annotations

from pathlib import Path

import installer
from installer.domain.errors import BeeyardError

FOLDERS = ("charts", "manifests", "bpf")

_PACKAGE = Path(installer.__file__).parent


def asset(relative: str) -> Path:
    """Return the path of an asset, such as ``charts/cilium/releases.yaml``: from the wheel, or from the checkout.

    Raises:
        BeeyardError: ``E-STORE-001`` the installation lacks it.
    """
    parts = Path(relative).parts
    if not parts or parts[0] not in FOLDERS or ".." in parts:
        raise ValueError(f"not an asset: {relative}")
    for root in (_PACKAGE / "_assets", _PACKAGE.parent):
        if (path := root / relative).exists():
            return path
    raise BeeyardError(
        f"beeyard's own file {relative} is missing",
        why=f"it is neither in {_PACKAGE / '_assets'} nor in {_PACKAGE.parent}",
        fix="install beeyard again",
        code="E-STORE-001",
    )
