from __future__ import annotations

import pytest

from installer.domain.errors import UsageError
from installer.domain.flows import times
from installer.domain.flows.agent_event import (
    AgentAnswer,
    AgentEvent,
    DebugAnswer,
    DebugEvent,
    EndpointRegeneration,
    EndpointUpdate,
    IPCacheUpdate,
    PolicyUpdate,
    ServiceAddress,
    ServiceDelete,
    ServiceUpsert,
    TimeNotification,
    UnknownNotification,
)
from installer.domain.flows.flow import Endpoint
from installer.domain.flows.printing.choice import event_printer
from installer.domain.flows.printing.events import agent_details
from installer.domain.flows.printing.options import PrintOptions

TIME = "2026-11-20T10:00:01.123457Z"
POLICY = AgentEvent("POLICY_UPDATED", policy_update=PolicyUpdate(("k8s:a=b", "k8s:c"), "7", "2"))
CREATED = AgentEvent("ENDPOINT_CREATED", endpoint_update=EndpointUpdate("7", namespace="ns", pod_name="p"))
AGENT = [AgentAnswer(POLICY, "node-a", TIME), AgentAnswer(CREATED, "node-b", TIME)]
DEBUG = [
    DebugAnswer(
        DebugEvent("DBG_CT_LOOKUP4_1", Endpoint(id=7, namespace="ns", pod_name="p"), 31, message="src=1 dst=2", cpu=3),
        "node-a",
        TIME,
    ),
    DebugAnswer(DebugEvent(source=Endpoint(id=1, labels=("reserved:host",))), "node-b", TIME),
]

COMPACT = """\
Nov 20 10:00:01.123 [node-a]: POLICY_UPDATED (labels: [k8s:a=b,k8s:c], revision: 7, count: 2)
Nov 20 10:00:01.123 [node-b]: ENDPOINT_CREATED (id: 7, namespace: ns, pod name: p)
"""
DICT = """\
  TIMESTAMP: Nov 20 10:00:01.123
       TYPE: POLICY_UPDATED
    DETAILS: labels: [k8s:a=b,k8s:c], revision: 7, count: 2
------------
  TIMESTAMP: Nov 20 10:00:01.123
       TYPE: ENDPOINT_CREATED
    DETAILS: id: 7, namespace: ns, pod name: p
"""
TABLE = """\
TIMESTAMP             NODE     TYPE               DETAILS
Nov 20 10:00:01.123   node-a   POLICY_UPDATED     labels: [k8s:a=b,k8s:c], revision: 7, count: 2
Nov 20 10:00:01.123   node-b   ENDPOINT_CREATED   id: 7, namespace: ns, pod name: p
"""
JSON = (
    '{"agent_event":{"type":"POLICY_UPDATED","policy_update":{"labels":["k8s:a=b","k8s:c"],"revision":"7",'
    '"rule_count":"2"}},"node_name":"node-a","time":"2026-11-20T10:00:01.123457Z"}\n'
)
DEBUG_COMPACT = """\
Nov 20 10:00:01.123: ns/p (ID: 7) DBG_CT_LOOKUP4_1 MARK: 0x1f CPU: 03 (src=1 dst=2)
Nov 20 10:00:01.123: reserved:host (ID: 1) DBG_EVENT_UNKNOWN MARK: N/A CPU: N/A ()
"""
DEBUG_DICT = """\
  TIMESTAMP: Nov 20 10:00:01.123
       NODE: node-a
       TYPE: DBG_CT_LOOKUP4_1
       FROM: ns/p (ID: 7)
       MARK: 0x1f
        CPU: 03
    MESSAGE: src=1 dst=2
"""
DEBUG_TABLE = """\
TIMESTAMP             FROM                       TYPE                CPU/MARK   MESSAGE
Nov 20 10:00:01.123   ns/p (ID: 7)               DBG_CT_LOOKUP4_1    03 0x1f    src=1 dst=2
Nov 20 10:00:01.123   reserved:host (ID: 1)      DBG_EVENT_UNKNOWN   N/A N/A    
"""


def printed(form: str, *answers: AgentAnswer | DebugAnswer, node_names: bool = False) -> str:
    made = event_printer(form, PrintOptions(node_names=node_names))
    return made.begin() + "".join(map(made.write, answers)) + made.end()


def test_agent_events() -> None:
    assert printed("compact", *AGENT, node_names=True) == COMPACT
    assert printed("dict", *AGENT) == DICT
    assert printed("table", *AGENT, node_names=True) == TABLE
    assert printed("jsonpb", AGENT[0]) == JSON


def test_debug_events() -> None:
    assert printed("compact", *DEBUG) == DEBUG_COMPACT
    assert printed("dict", DEBUG[0], node_names=True) == DEBUG_DICT
    assert printed("tab", *DEBUG) == DEBUG_TABLE


def test_nothing_prints_nothing() -> None:
    for form in ("compact", "dict", "table", "json"):
        assert printed(form, AgentAnswer(), DebugAnswer()) == ""


@pytest.mark.parametrize(
    ("event", "details"),
    [
        (AgentEvent(unknown=UnknownNotification("7", "{}")), "type: 7, notification: {}"),
        (AgentEvent("AGENT_STARTED", agent_start=TimeNotification(TIME)), "start time: Nov 20 10:00:01.123"),
        (AgentEvent("POLICY_DELETED", policy_update=PolicyUpdate()), "labels: [], revision: 0, count: 0"),
        (
            AgentEvent("ENDPOINT_REGENERATE_FAILURE", endpoint_regenerate=EndpointRegeneration("7", ("a",), "boom")),
            "id: 7, labels: [a], error: boom",
        ),
        (AgentEvent("ENDPOINT_DELETED", endpoint_update=EndpointUpdate("7")), "id: 7"),
        (
            AgentEvent("IPCACHE_UPSERTED", ipcache_update=IPCacheUpdate("10.0.0.1/32", 4, 3, "10.1.0.1", "10.1.0.2")),
            "cidr: 10.0.0.1/32, identity: 4, old identity: 3, host ip: 10.1.0.1, old host ip: 10.1.0.2, encrypt key: 0",
        ),
        (
            AgentEvent("IPCACHE_DELETED", ipcache_update=IPCacheUpdate("10.0.0.1/32")),
            "cidr: 10.0.0.1/32, identity: 0, encrypt key: 0",
        ),
        (
            AgentEvent(
                "SERVICE_UPSERTED",
                service_upsert=ServiceUpsert(
                    5,
                    ServiceAddress("10.0.0.1", 80),
                    (ServiceAddress("fd00::1", 81), ServiceAddress("10.0.0.2", 82)),
                    "ClusterIP",
                    "Cluster",
                    "web",
                    "shop",
                ),
            ),
            "id: 5, frontend: 10.0.0.1:80, backends: [[fd00::1]:81,10.0.0.2:82], type: ClusterIP, "
            "traffic policy: Cluster, namespace: shop, name: web",
        ),
        (AgentEvent("SERVICE_DELETED", service_delete=ServiceDelete(5)), "id: 5"),
        (AgentEvent("SERVICE_DELETED"), "UNKNOWN"),
        (AgentEvent(99), "UNKNOWN"),
    ],
)
def test_details(event: AgentEvent, details: str) -> None:
    assert agent_details(event, times.formatter()) == details


def test_hostile_details() -> None:
    event = AgentAnswer(AgentEvent(unknown=UnknownNotification("\x1b[2J\n", "\x9b")), "\r", TIME)
    for form in ("compact", "dict", "table"):
        assert all(char == "\n" or char.isprintable() for char in printed(form, event, node_names=True))


def test_formats_of_flows_only() -> None:
    with pytest.raises(UsageError, match="invalid output format: wide"):
        event_printer("wide", PrintOptions())
