"""Lines that prove something, each with the place where it was read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """Who wrote a line."""

    INIT = "init container"
    AGENT = "agent"
    OPERATOR = "operator"
    ENVOY = "envoy"
    RELAY = "relay"
    DNS = "cluster DNS"
    POD = "pod"
    EVENT = "event"
    CONDITION = "condition"
    CONFIG = "configuration"
    K3S = "k3s"
    CONTAINERD = "containerd"
    KERNEL = "kernel"
    HELM = "helm"
    HOST = "host"
    ERROR = "error"
    PROBLEM = "problem"


LOGS = frozenset(
    {
        Source.INIT,
        Source.AGENT,
        Source.OPERATOR,
        Source.ENVOY,
        Source.RELAY,
        Source.DNS,
        Source.POD,
        Source.K3S,
        Source.CONTAINERD,
        Source.KERNEL,
    }
)
"""Sources whose lines may be of the past."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line.

    Attributes:
        source: who wrote it.
        where: where it was read, such as ``log of kube-system/cilium-x7k2p (init config)`` or a file.
        text: the line, without control codes.
        subject: object concerned, such as ``kube-system/cilium-x7k2p``; may be empty.
    """

    source: Source
    where: str
    text: str
    subject: str = ""
