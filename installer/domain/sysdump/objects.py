"""Objects of a cluster without what is secret in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from installer.domain.redact import MASK

_NOISE = ("managedFields",)
_COPIES = ("kubectl.kubernetes.io/last-applied-configuration",)
_OPEN = ("cilium-config", "coredns", "coredns-custom", "hubble-relay-config", "hubble-ui-nginx", "cilium-envoy-config")
"""ConfigMaps whose values matter for a support case; of others, only the sizes are kept."""

_SECRET_NAME = re.compile(r"(?i)pass(word|wd|phrase)?|token|secret|private[_-]?key|credential|api[_-]?key|auth")


def sanitize(item: Mapping[str, Any], plural: str) -> dict[str, Any]:
    """Return an object as it goes into the archive.

    Args:
        item: the object as the API returns it.
        plural: its kind, such as ``configmaps``.
    """
    found = dict(item)
    metadata = {key: value for key, value in (item.get("metadata") or {}).items() if key not in _NOISE}
    if notes := metadata.get("annotations"):
        metadata["annotations"] = {key: value for key, value in notes.items() if key not in _COPIES}
    found["metadata"] = metadata
    if plural == "configmaps" and metadata.get("name") not in _OPEN:
        for key in ("data", "binaryData"):
            if values := found.get(key):
                found[key] = {name: f"({len(str(value))} characters)" for name, value in values.items()}
    masked: dict[str, Any] = _without_secret_variables(found)
    return masked


def _without_secret_variables(value: Any) -> Any:
    """Mask values of variables (``{name, value}``) whose name says that they are secret."""
    if isinstance(value, Mapping):
        secret = isinstance(value.get("value"), str) and _SECRET_NAME.search(str(value.get("name", "")))
        return {
            key: MASK if secret and key == "value" else _without_secret_variables(one) for key, one in value.items()
        }
    return [_without_secret_variables(one) for one in value] if isinstance(value, list) else value
