"""The contexts that a user can choose from."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ContextInfo:
    """A context of a kubeconfig.

    Attributes:
        name: its name.
        server: URL of its API, empty where its cluster entry is missing.
        user: name of its user entry.
        namespace: its default namespace, may be empty.
        source: the file or files it comes from.
        current: whether it is the one that is used when none is named; that may change while it stays the same context.
    """

    name: str
    server: str = ""
    user: str = ""
    namespace: str = ""
    source: str = ""
    current: bool = field(default=False, compare=False)
