"""The form in which a specification is kept on the host."""

from __future__ import annotations

import yaml

from installer.domain.spec import API_VERSION, KIND, ClusterDocument, ClusterSpec


def dump(spec: ClusterSpec) -> bytes:
    """Return a specification as the text of a ``beeyard.yaml``; what has its default is left out."""
    document = ClusterDocument.model_validate({"spec": spec}).model_dump(by_alias=True, exclude_defaults=True)
    return yaml.safe_dump({"apiVersion": API_VERSION, "kind": KIND, **document}, sort_keys=False).encode()
