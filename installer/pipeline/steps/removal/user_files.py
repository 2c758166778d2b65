"""Which files below /etc/rancher are a user's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from installer.domain.residue.inventory import Inventory, Item
from installer.domain.residue.scope import Scope

_MADE = ("/etc/rancher/k3s/k3s.yaml", "/etc/rancher/node/password")


def own_files(scope: Scope, items: Iterable[Item], before: Inventory | None) -> list[Path]:
    """Return the configuration that neither k3s nor beeyard wrote, or that was edited after beeyard wrote it."""
    found = []
    for item in items:
        name, facts = item.name, item.facts
        if not name.startswith("/etc/rancher/") or facts.get("type") != "file" or ".beeyard-" in name:
            continue
        old = before.get(*item.key) if before is not None else None
        written = scope.wrote.get(name)
        edited = written != facts.get("sha256") if written else name not in _MADE
        if edited and (old is None or old.facts != facts):
            found.append(Path(name))
    return found
