"""One explanation of a drop, joined of what the kernel, Hubble and the policies say."""

from __future__ import annotations

from collections import OrderedDict

from installer.domain.flows.explain import explain, is_refused
from installer.domain.flows.flow import Flow
from installer.domain.flows.printing import text
from installer.domain.policy.advice import Advice
from installer.domain.policy.model import Peer, Traffic
from installer.domain.policy.world import World
from installer.domain.tap.compare import Key, key_of
from installer.domain.tap.reasons import explain_kernel_drop

_KEPT = 5000
_BY_PROGRAMS = ("TC_INGRESS", "TC_EGRESS", "XDP", "BPF_CGROUP_EGRESS")
_PROTOCOLS = ("TCP", "UDP", "SCTP")


class Doctor:
    """Knows what Hubble dropped lately and which policies there are, as far as it was told."""

    def __init__(self) -> None:
        self._dropped: OrderedDict[Key, Flow] = OrderedDict()
        self._peers: dict[str, Peer] = {}
        self._advice: Advice | None = None
        self._hears_hubble = False

    def learn_world(self, world: World) -> None:
        """Take the cluster's pods and policies."""
        self._advice = Advice(world)
        self._peers = {address: pod.peer for pod in world.pods for address in pod.addresses}

    def learn_flow(self, flow: Flow) -> None:
        """Take a flow of Hubble."""
        self._hears_hubble = True
        key = key_of(flow) if is_refused(flow) else None
        if key is None:
            return
        self._dropped[key] = flow
        self._dropped.move_to_end(key)
        if len(self._dropped) > _KEPT:
            self._dropped.popitem(last=False)

    def heard(self, flow: Flow) -> bool:
        """Tell whether Hubble told a drop of the same connection."""
        return self.told_by_hubble(flow) is not None

    def told_by_hubble(self, flow: Flow) -> Flow | None:
        """Return Hubble's own drop of the same connection."""
        key = key_of(flow)
        return self._dropped.get(key) if key is not None else None

    def denied(self, flow: Flow) -> bool:
        """Tell whether the policies deny the connection, so that a change of them would allow it."""
        traffic = self._traffic(flow)
        if traffic is None or self._advice is None:
            return False
        return (self.heard(flow) or flow.drop_reason_desc in _BY_PROGRAMS) and self._advice.on(traffic).refuses

    def explain(self, flow: Flow) -> list[str]:
        """Return lines on why a flow of the tap was dropped; none for one that was not."""
        reason = flow.drop_reason_desc
        if not is_refused(flow):
            return []
        lines = explain_kernel_drop(reason) if isinstance(reason, str) else explain(flow)
        told = self.told_by_hubble(flow)
        if told is not None:
            lines = [lines[0], *(f"hubble: {line}" for line in explain(told))]
        elif reason in _BY_PROGRAMS:
            lines.append(self._unheard())
        return [*lines, *self._policies(flow, by_program=told is not None or reason in _BY_PROGRAMS)]

    def _unheard(self) -> str:
        if not self._hears_hubble:
            return "hubble: not heard; whether the program is Cilium's is not known"
        return "hubble: tells no such drop; the program may be another's: bpftool net show names it"

    def _policies(self, flow: Flow, *, by_program: bool) -> list[str]:
        """Return what the policies say of the connection, and the changes that would allow it."""
        traffic = self._traffic(flow)
        if traffic is None or self._advice is None:
            return []
        word = self._advice.on(traffic)
        if not word.refuses:
            return [f"policies: {word.why}: look elsewhere than in policies"]
        if not by_program:
            return [f"policies: {word.why}, too"]
        return [f"policies: {word.why}", *(f"fix: {one}" for one in word.fixes)]

    def _traffic(self, flow: Flow) -> Traffic | None:
        protocol, port = text.protocol(flow), text.ports(flow)[1]
        if flow.ip is None or protocol not in _PROTOCOLS:
            return None
        source, dest = self._peers.get(flow.ip.source), self._peers.get(flow.ip.destination)
        if source is None or dest is None:
            return None
        return Traffic(source, dest, port, "TCP" if protocol == "TCP" else "UDP" if protocol == "UDP" else "SCTP")
