"""What an agent tells of itself: agent events (policies, endpoints, addresses) and debug events of its datapath.

The structs are the JSON form of ``flow.AgentEvent`` and ``flow.DebugEvent``, like those of ``domain.flows.flow``:
enums as names, 64-bit numbers as decimal strings, times as RFC 3339 in UTC, defaults left out. Only agents serve them,
not Relay.
"""

from __future__ import annotations

from installer.domain.flows.flow import Endpoint, Enum, Wire


class UnknownNotification(Wire, frozen=True):
    """A notification that the agent itself could not name."""

    type: str = ""
    notification: str = ""


class TimeNotification(Wire, frozen=True):
    """When the agent started."""

    time: str = ""


class PolicyUpdate(Wire, frozen=True):
    """Rules were added or removed; ``revision`` and ``rule_count`` are decimal strings."""

    labels: tuple[str, ...] = ()
    revision: str | int = ""
    rule_count: str | int = ""


class EndpointRegeneration(Wire, frozen=True):
    """An endpoint's datapath was built anew; ``id`` is a decimal string, ``error`` empty on success."""

    id: str | int = ""
    labels: tuple[str, ...] = ()
    error: str = ""


class EndpointUpdate(Wire, frozen=True):
    """An endpoint was created or deleted; ``id`` is a decimal string."""

    id: str | int = ""
    labels: tuple[str, ...] = ()
    error: str = ""
    pod_name: str = ""
    namespace: str = ""


class IPCacheUpdate(Wire, frozen=True):
    """An address got or lost its identity; ``old_identity`` None: it had none."""

    cidr: str = ""
    identity: int = 0
    old_identity: int | None = None
    host_ip: str = ""
    old_host_ip: str = ""
    encrypt_key: int = 0
    namespace: str = ""
    pod_name: str = ""


class ServiceAddress(Wire, frozen=True):
    """Address of a service's front end or back end."""

    ip: str = ""
    port: int = 0


class ServiceUpsert(Wire, frozen=True):
    """A service was added or changed (deprecated upstream)."""

    id: int = 0
    frontend_address: ServiceAddress | None = None
    backend_addresses: tuple[ServiceAddress, ...] = ()
    type: str = ""
    traffic_policy: str = ""
    name: str = ""
    namespace: str = ""
    ext_traffic_policy: str = ""
    int_traffic_policy: str = ""


class ServiceDelete(Wire, frozen=True):
    """A service was removed (deprecated upstream)."""

    id: int = 0


class AgentEvent(Wire, frozen=True):
    """One agent event: its type, such as ``POLICY_UPDATED``, and the one notification that goes with it."""

    type: Enum = ""
    unknown: UnknownNotification | None = None
    agent_start: TimeNotification | None = None
    policy_update: PolicyUpdate | None = None
    endpoint_regenerate: EndpointRegeneration | None = None
    endpoint_update: EndpointUpdate | None = None
    ipcache_update: IPCacheUpdate | None = None
    service_upsert: ServiceUpsert | None = None
    service_delete: ServiceDelete | None = None


class DebugEvent(Wire, frozen=True):
    """One debug event of the datapath, such as ``DBG_CT_LOOKUP4_1``; None: the event has no such number."""

    type: Enum = ""
    source: Endpoint | None = None
    hash: int | None = None
    arg1: int | None = None
    arg2: int | None = None
    arg3: int | None = None
    message: str = ""
    cpu: int | None = None


class AgentAnswer(Wire, frozen=True):
    """One ``GetAgentEventsResponse``."""

    agent_event: AgentEvent | None = None
    node_name: str = ""
    time: str = ""


class DebugAnswer(Wire, frozen=True):
    """One ``GetDebugEventsResponse``."""

    debug_event: DebugEvent | None = None
    node_name: str = ""
    time: str = ""
