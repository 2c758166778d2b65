"""What an overview of a cluster shows beyond the state of its parts: namespaces, certificates, versions, events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installer.domain.status import Status


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read.

    Attributes:
        part: what, in a person's words, such as ``Helm release``.
        code: the error's code.
        what: what happened, such as ``not allowed to list secrets in kube-system``.
        why: the server's words.
        fix: what to do.
        verb: verb that RBAC refuses, empty where RBAC is not the cause.
        resource: resource that it is refused on.
        namespace: namespace of the request, empty for the whole cluster.
    """

    part: str
    code: str
    what: str
    why: str = ""
    fix: str = ""
    verb: str = ""
    resource: str = ""
    namespace: str = ""

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.part}: {self.what}"


@dataclass(frozen=True, slots=True)
class UnmanagedPod:
    """A running pod on the pod network that Cilium has no endpoint for.

    Attributes:
        namespace: its namespace.
        name: its name.
        node: its node.
        started: when it started, as the API writes times.
    """

    namespace: str
    name: str
    node: str = ""
    started: str = ""


@dataclass(frozen=True, slots=True)
class PolicyFault:
    """A policy that Cilium does not accept.

    Attributes:
        kind: ``CiliumNetworkPolicy`` or ``CiliumClusterwideNetworkPolicy``.
        namespace: its namespace, empty for the whole cluster.
        name: its name.
        message: Cilium's words.
    """

    kind: str
    namespace: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class NamespaceStatus:
    """Pods and policies of a namespace.

    Attributes:
        name: its name.
        pods: pods that Cilium should manage (running or pending, not on the host's network).
        managed: those of them that it manages.
        cilium_policies: CiliumNetworkPolicies.
        network_policies: Kubernetes' own NetworkPolicies.
        ingress: managed pods whose incoming traffic is held to policies.
        egress: managed pods whose outgoing traffic is held to policies.
        audit: managed pods that only report what policies would drop.
        unknown: managed pods of which nobody told.
    """

    name: str
    pods: int = 0
    managed: int = 0
    cilium_policies: int = 0
    network_policies: int = 0
    ingress: int = 0
    egress: int = 0
    audit: int = 0
    unknown: int = 0

    @property
    def policies(self) -> int:
        """Policies of both kinds."""
        return self.cilium_policies + self.network_policies

    @property
    def enforcement(self) -> str:
        """The state of enforcement in words, such as ``ingress 2/3, egress 1/3``."""
        if self.managed and self.unknown == self.managed:
            return "not known"
        counts = {"ingress": self.ingress, "egress": self.egress, "audit only": self.audit}
        words = [f"{way} {count}/{self.managed}" for way, count in counts.items() if count]
        return ", ".join(words) or ("none" if self.managed else "-")


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """A certificate and how long it lasts.

    Attributes:
        name: what it is, such as ``API server`` or ``secret/hubble-server-certs``.
        subject: its common name.
        expires: end of its validity, RFC 3339.
        days: whole days left, negative when it has expired.
    """

    name: str
    subject: str
    expires: str
    days: int


@dataclass(frozen=True, slots=True)
class WarningEvent:
    """Warning events about one thing for one reason, as one.

    Attributes:
        last: when it was last seen, RFC 3339.
        count: how often.
        kind: kind of the object concerned.
        namespace: its namespace.
        name: its name.
        reason: machine word, such as ``FailedScheduling``.
        message: the newest words.
    """

    last: str
    count: int
    kind: str
    namespace: str
    name: str
    reason: str
    message: str

    @property
    def subject(self) -> str:
        """The object concerned, such as ``demo/Pod/web-1``."""
        return "/".join(filter(None, (self.namespace, self.kind, self.name)))


@dataclass(frozen=True, slots=True)
class Overview:
    """The live picture of a cluster.

    Attributes:
        status: all that is known, None before the first parts were read.
        lost: why what is shown may be old (the API is out of reach), empty when it is current.
        pending: parts that are still being read for the first time.
    """

    status: Status | None = None
    lost: str = ""
    pending: tuple[str, ...] = field(default=())


Versions = Mapping[str, str]
"""Versions by the name of what has them."""
