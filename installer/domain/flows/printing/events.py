"""Agent events and debug events in hubble's formats.

One deviation: hubble 1.19 forgets the line end after the separator of ``dict`` here; we print it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from installer.domain.flows import names
from installer.domain.flows.agent_event import (
    AgentAnswer,
    AgentEvent,
    DebugAnswer,
    DebugEvent,
    EndpointUpdate,
    IPCacheUpdate,
    ServiceAddress,
    ServiceUpsert,
)
from installer.domain.flows.flow import Endpoint
from installer.domain.flows.printing.dict_form import SEPARATOR
from installer.domain.flows.printing.escape import clean
from installer.domain.flows.printing.json_form import json_line
from installer.domain.flows.printing.options import PrintOptions
from installer.domain.flows.printing.table import aligned
from installer.domain.flows.printing.text import with_port

_NOT_THERE = "N/A"
EventAnswer = AgentAnswer | DebugAnswer


class EventPrinter:
    """Prints events in one of the formats ``compact``, ``dict``, ``table``, ``json``."""

    def __init__(self, options: PrintOptions, form: str) -> None:
        self._options = options
        self._form = form
        self._rows: list[tuple[str, ...]] = []
        self._first = True

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def write(self, answer: EventAnswer) -> str:
        """Return what is printed for an event; empty where it comes with ``end``."""
        event = answer.agent_event if isinstance(answer, AgentAnswer) else answer.debug_event
        if event is None:
            return ""
        if self._form == "json":
            return json_line(event if self._options.legacy_json else answer, terminal=self._options.terminal)
        line = self._cells(answer)
        return {"compact": self._compact, "dict": self._dict, "table": self._table}[self._form](answer, line)

    def end(self) -> str:
        """Return the table."""
        return "".join(aligned(self._rows)) if self._rows else ""

    def _cells(self, answer: EventAnswer) -> dict[str, str]:
        if isinstance(answer, AgentAnswer):
            event = answer.agent_event or AgentEvent()
            return {"TYPE": agent_type(event), "DETAILS": agent_details(event, self._options.time)}
        debug = answer.debug_event or DebugEvent()
        return {
            "TYPE": debug_type(debug),
            "FROM": endpoint_short(debug.source),
            "MARK": _NOT_THERE if debug.hash is None else hex(debug.hash),
            "CPU": _NOT_THERE if debug.cpu is None else f"{debug.cpu:02d}",
            "MESSAGE": debug.message,
        }

    def _compact(self, answer: EventAnswer, cells: dict[str, str]) -> str:
        node = f" [{answer.node_name}]" if self._options.node_names else ""
        if isinstance(answer, AgentAnswer):
            said = f"{cells['TYPE']} ({cells['DETAILS']})"
        else:
            said = "{FROM} {TYPE} MARK: {MARK} CPU: {CPU} ({MESSAGE})".format_map(cells)
        return clean(f"{self._options.time(answer.time)}{node}: {said}") + "\n"

    def _dict(self, answer: EventAnswer, cells: dict[str, str]) -> str:
        first, self._first = self._first, False
        node = {"NODE": answer.node_name} if self._options.node_names else {}
        rows = {"TIMESTAMP": self._options.time(answer.time), **node, **cells}
        lines = "".join(f"{key:>11}: {clean(value)}\n" for key, value in rows.items())
        return lines if first else SEPARATOR + lines

    def _table(self, answer: EventAnswer, cells: dict[str, str]) -> str:
        if isinstance(answer, DebugAnswer):
            both = f"{cells['CPU']} {cells['MARK']}"
            cells = {
                "FROM": cells["FROM"],
                "": "",
                "TYPE": cells["TYPE"],
                "CPU/MARK": both,
                "MESSAGE": cells["MESSAGE"],
            }
        node = {"NODE": answer.node_name} if self._options.node_names else {}
        row = {"TIMESTAMP": self._options.time(answer.time), **node, **cells}
        if not self._rows:
            self._rows.append(tuple(row))
        self._rows.append(tuple(map(clean, row.values())))
        return ""


def agent_type(event: AgentEvent) -> str:
    """Return the type, such as ``POLICY_UPDATED``."""
    return names.name_of(event.type, names.AGENT_EVENT)


def debug_type(event: DebugEvent) -> str:
    """Return the type, such as ``DBG_CT_LOOKUP4_1``."""
    return names.name_of(event.type, {0: "DBG_EVENT_UNKNOWN"})


def endpoint_short(endpoint: Endpoint | None) -> str:
    """Return ``ns/pod (ID: 7)``, ``reserved:host (ID: 1)`` or ``ID: 7``."""
    if endpoint is None:
        return _NOT_THERE
    number = f"ID: {endpoint.id}"
    if endpoint.namespace and endpoint.pod_name:
        return f"{endpoint.namespace}/{endpoint.pod_name} ({number})"
    labels = endpoint.labels
    return f"{labels[0]} ({number})" if len(labels) == 1 and labels[0].startswith("reserved:") else number


def agent_details(event: AgentEvent, time: Callable[[str], str]) -> str:
    """Return what an agent event tells, as hubble puts it; ``UNKNOWN`` without the notification that its type needs.

    Args:
        event: the event.
        time: prints a time of the wire.
    """
    details = _DETAILS.get(agent_type(event))
    return (details(event, time) if details else "") or "UNKNOWN"


def _unknown(event: AgentEvent, time: Callable[[str], str]) -> str:
    del time
    told = event.unknown
    return f"type: {told.type}, notification: {told.notification}" if told else ""


def _started(event: AgentEvent, time: Callable[[str], str]) -> str:
    return f"start time: {time(event.agent_start.time)}" if event.agent_start else ""


def _policy(event: AgentEvent, time: Callable[[str], str]) -> str:
    del time
    told = event.policy_update
    if told is None:
        return ""
    return f"labels: [{','.join(told.labels)}], revision: {told.revision or 0}, count: {told.rule_count or 0}"


def _regenerated(event: AgentEvent, time: Callable[[str], str]) -> str:
    del time
    told = event.endpoint_regenerate
    if told is None:
        return ""
    return f"id: {told.id or 0}, labels: [{','.join(told.labels)}]" + _listed((("error", told.error),))


def _endpoint(event: AgentEvent, time: Callable[[str], str]) -> str:
    del time
    told: EndpointUpdate | None = event.endpoint_update
    if told is None:
        return ""
    return f"id: {told.id or 0}" + _listed((("namespace", told.namespace), ("pod name", told.pod_name)))


def _ipcache(event: AgentEvent, time: Callable[[str], str]) -> str:
    del time
    told: IPCacheUpdate | None = event.ipcache_update
    if told is None:
        return ""
    old = "" if told.old_identity is None else f", old identity: {told.old_identity}"
    hosts = _listed((("host ip", told.host_ip), ("old host ip", told.old_host_ip)))
    return f"cidr: {told.cidr}, identity: {told.identity}{old}{hosts}, encrypt key: {told.encrypt_key}"


def _service(event: AgentEvent, time: Callable[[str], str]) -> str:
    del time
    told: ServiceUpsert | None = event.service_upsert
    if told is None:
        return ""
    backends = ",".join(map(_address, told.backend_addresses))
    return f"id: {told.id}" + _listed(
        (
            ("frontend", "" if told.frontend_address is None else _address(told.frontend_address)),
            ("backends", f"[{backends}]" if backends else ""),
            ("type", told.type),
            ("traffic policy", told.traffic_policy),
            ("namespace", told.namespace),
            ("name", told.name),
        )
    )


def _deleted(event: AgentEvent, time: Callable[[str], str]) -> str:
    del time
    return f"id: {event.service_delete.id}" if event.service_delete else ""


def _listed(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(f", {key}: {value}" for key, value in pairs if value)


def _address(address: ServiceAddress) -> str:
    return with_port(address.ip, str(address.port))


_DETAILS: dict[str, Callable[[AgentEvent, Callable[[str], str]], str]] = {
    "AGENT_EVENT_UNKNOWN": _unknown,
    "AGENT_STARTED": _started,
    "POLICY_UPDATED": _policy,
    "POLICY_DELETED": _policy,
    "ENDPOINT_REGENERATE_SUCCESS": _regenerated,
    "ENDPOINT_REGENERATE_FAILURE": _regenerated,
    "ENDPOINT_CREATED": _endpoint,
    "ENDPOINT_DELETED": _endpoint,
    "IPCACHE_UPSERTED": _ipcache,
    "IPCACHE_DELETED": _ipcache,
    "SERVICE_UPSERTED": _service,
    "SERVICE_DELETED": _deleted,
}
