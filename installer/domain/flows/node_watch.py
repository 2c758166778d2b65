"""Nodes that go away and come back, found by asking again and again."""

from __future__ import annotations

from collections.abc import Mapping

from installer.domain.flows.feed import NodesChanged

CONNECTED = "NODE_CONNECTED"


class NodeWatch:
    """Compares the states of the nodes with those of the time before."""

    def __init__(self) -> None:
        self._before: dict[str, bool] | None = None

    def changed(self, states: Mapping[str, str]) -> NodesChanged | None:
        """Take the states by node and tell what changed; the first time only what is not connected."""
        now = {name: state == CONNECTED for name, state in states.items()}
        before = now.keys() if self._before is None else {name for name, up in self._before.items() if up}
        up = {name for name, connected in now.items() if connected}
        lost = tuple(sorted(before - up))
        back = tuple(sorted(up - before)) if self._before is not None else ()
        self._before = now
        return NodesChanged(lost, back, len(up), len(now)) if lost or back else None
