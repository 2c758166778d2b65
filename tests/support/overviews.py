"""Overviews made from the recordings: as they were, broken, hostile, large."""

from __future__ import annotations

import asyncio
import copy
import datetime
import json
from collections.abc import AsyncGenerator
from dataclasses import fields, replace
from typing import Any

import yaml

from installer.domain.overview import Overview, Unread
from installer.domain.readiness_rules import Facts, expected_from, judge
from installer.domain.releases import Releases, parse_releases
from installer.domain.status import AgentStatus, HelmStatus, RelayStatus, Status
from installer.domain.status_rules.agents import read_agent
from installer.domain.status_rules.assemble import Readings, assemble
from installer.domain.status_rules.versions import read_versions, version_hints
from installer.domain.x509 import Certificate
from tests.support.recordings import FOLDER, Object, changed, healthy, items, load

NOW = datetime.datetime(2026, 11, 23, 8, 40, tzinfo=datetime.UTC).timestamp()
HOSTILE = "\x1b[31mred\x1b[0m [/bold][red]x[/] \u202eevil\u202c " + "long" * 2500


def releases() -> Releases:
    return parse_releases(yaml.safe_load((FOLDER.parents[2] / "charts/cilium/releases.yaml").read_text()))


def agent() -> AgentStatus:
    return read_agent("cilium-txdzb", "vm", load("cilium-dbg-status"), load("cilium-dbg-endpoints"))


def certificate(name: str, days: int) -> Certificate:
    end = datetime.datetime.fromtimestamp(NOW, datetime.UTC) + datetime.timedelta(days=days, hours=1)
    return Certificate(name, "k3s-server-ca", end, end)


def of_demo(kind: str) -> list[Object]:
    return [item for item in items("demo") if item["kind"] == kind]


def today(facts: Facts) -> Facts:
    """Return the facts with the versions that are current while this is written."""
    texts = {name: json.dumps(getattr(facts, name)) for name in (field.name for field in fields(facts))}
    swaps = {"v1.16.1": "v1.20.0", "v1.21.3+k3s1": "v1.36.4+k3s1"}
    for old, new in swaps.items():
        texts = {name: text.replace(old, new) for name, text in texts.items()}
    return Facts(**{name: tuple(json.loads(text)) for name, text in texts.items()})


def of_today(overview: Overview) -> Overview:
    """Return an overview with current versions, as pictures for people have them."""
    status = status_of(overview)
    made = status_of(Overview(assemble(readings(today(healthy()), kubernetes="v1.36.4+k3s1"))))
    helm = replace(status.helm, chart="1.20.0") if status.helm is not None else None
    versions = read_versions(made.workloads, made.kubernetes, helm, made.nodes)
    hints = version_hints(versions, releases())
    return Overview(replace(status, versions=versions, hints=tuple(hints), kubernetes=made.kubernetes, helm=helm))


def readings(facts: Facts | None = None, **changes: Any) -> Readings:
    facts = facts or healthy()
    expected = expected_from(facts)
    since = dict.fromkeys((finding for finding in judge(facts, expected).since), -1e6)
    usual: dict[str, Any] = {
        "server": "https://127.0.0.1:6443",
        "context": "beeyard",
        "namespace": "kube-system",
        "facts": facts,
        "expected": expected,
        "snapshot": judge(facts, expected, since=since).snapshot,
        "now": NOW,
        "kubernetes": "v1.21.3+k3s1",
        "pods": [*facts.pods, *of_demo("Pod")],
        "endpoints": of_demo("CiliumEndpoint"),
        "cilium_policies": of_demo("CiliumNetworkPolicy"),
        "events": facts.events,
        "agents": [agent()],
        "config_map": load("cilium-config"),
        "helm": HelmStatus("cilium", "1.16.1", 1, "deployed"),
        "relay": RelayStatus(connected=1, flows=4095, max_flows=4095, rate=9.1, version="1.16.1"),
        "certificates": {
            "API server": certificate("k3s", 362),
            "client certificate": certificate("system:admin", 362),
            "secret/hubble-server-certs": certificate("*.default.hubble-grpc.cilium.io", 1092),
        },
        "releases": releases(),
    }
    return Readings(**{**usual, **changes})


def calm() -> Overview:
    """Return the recorded cluster, where all is well."""
    return Overview(assemble(readings()))


def troubled() -> Overview:
    """Return the recorded cluster with faults of every kind."""

    def image(pod: Object) -> None:
        waiting = {
            "reason": "ImagePullBackOff",
            "message": 'Back-off pulling image "quay.io/cilium/hubble-relay:v1.16.1"',
        }
        for one in pod["status"]["containerStatuses"]:
            one.update(ready=False, state={"waiting": waiting})
        for one in pod["status"]["conditions"]:
            one["status"] = "False" if "Ready" in one["type"] else one["status"]

    def counts(deployment: Object) -> None:
        deployment["status"].update(readyReplicas=0, availableReplicas=0)

    facts = changed(changed(healthy(), "pods", "hubble-relay", image), "deployments", "hubble-relay", counts)
    failing = {"sync-policymap-497": "timed out after 30 s (failed 12 times in a row)"}
    policies = of_demo("CiliumNetworkPolicy")
    policies[0]["status"]["conditions"][0].update(status="False", message="Invalid CiliumNetworkPolicy spec: bad label")
    refused = Unread(
        "Helm release",
        "E-KUBE-003",
        "not allowed to list secrets in kube-system",
        'secrets is forbidden: User "viewer" cannot list resource "secrets"',
        "Ask for a role that may 'list' 'secrets' in namespace 'kube-system'.",
        "list",
        "secrets",
        "kube-system",
    )
    made = readings(
        facts,
        agents=[
            replace(agent(), failing=failing, endpoints_not_ready={"demo/backend-684cc96cbd-hz6pz": "regenerating"})
        ],
        cilium_policies=policies,
        pods=[*facts.pods, *of_demo("Pod"), *legacy(2)],
        certificates={"API server": certificate("k3s", 12), "client certificate": certificate("system:admin", -3)},
        relay=RelayStatus(error="Hubble Relay does not run"),
        helm=None,
        unread=[refused],
    )
    return Overview(assemble(made))


def legacy(count: int) -> list[Object]:
    """Return pods that started before Cilium did."""
    pods = []
    for number in range(count):
        pod = copy.deepcopy(of_demo("Pod")[0])
        pod["metadata"].update(name=f"legacy-{number:03}", namespace="shop")
        pods.append(pod)
    return pods


def hostile() -> Overview:
    """Return an overview whose names and messages are meant to break a terminal."""
    status = calm().status
    assert status is not None
    first = status.namespaces[0]
    return Overview(
        replace(
            status,
            nodes=(replace(status.nodes[0], name=HOSTILE),),
            namespaces=(replace(first, name=HOSTILE),),
            events=(replace(status.events[0], name=HOSTILE, message=HOSTILE),),
            versions={"Cilium agent": HOSTILE},
        )
    )


def crowd(pods: int = 500, namespaces: int = 60) -> Readings:
    """Return a cluster with many pods, endpoints and namespaces."""
    pod, endpoint = of_demo("Pod")[0], of_demo("CiliumEndpoint")[0]
    many, endpoints = [], []
    for number in range(pods):
        metadata = {"name": f"web-{number:04}", "namespace": f"team-{number % namespaces:02}"}
        many.append({**pod, "metadata": {**pod["metadata"], **metadata}})
        if number % 50:
            endpoints.append({**endpoint, "metadata": {**endpoint["metadata"], **metadata}})
    return readings(pods=many, endpoints=endpoints)


class Overviews:
    """Stands for ``CockpitServices.overview``: what is told goes to whoever follows."""

    def __init__(self, first: Overview | None = None):
        self._last = first
        self._queues: list[asyncio.Queue[Overview]] = []
        self.asked: list[bool] = []

    def tell(self, overview: Overview) -> None:
        self._last = overview
        for queue in self._queues:
            queue.put_nowait(overview)

    async def __call__(self, kube: Any, ask_network: bool) -> AsyncGenerator[Overview, None]:
        self.asked.append(ask_network)
        queue: asyncio.Queue[Overview] = asyncio.Queue()
        self._queues.append(queue)
        try:
            if self._last is not None:
                yield self._last
            while True:
                yield await queue.get()
        finally:
            self._queues.remove(queue)


def status_of(overview: Overview, **changes: Any) -> Status:
    assert overview.status is not None
    return replace(overview.status, **changes)
