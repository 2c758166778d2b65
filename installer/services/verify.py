"""Proves the network of a cluster with three small pods: what must pass passes, and what must be cut is cut.

A policy that nobody enforces looks just like one that allows everything, so the proof needs both: the intruder reaches
the backend before the policy and does not after it, while the frontend always does. Whatever happens, also on Ctrl-C,
the namespace is deleted again.
"""

from __future__ import annotations

import asyncio
import copy
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from installer.domain.errors import BeeyardError, DeadlineError
from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.flow_filter import FilterSet, FlowFilter
from installer.domain.verification import Check, Outcome, Report
from installer.ports.cluster import CONFIG_MAPS, NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS, SERVICES, Kube, Object
from installer.ports.flows import FlowRequest
from installer.ports.hubble import Hubbles
from installer.services.relay import open_relay
from installer.services.watching import watched

LABELS = "app.kubernetes.io/managed-by=beeyard,beeyard.dev/purpose=verify"
PREFIX = "beeyard-verify-"
DEFAULT_IMAGE = "docker.io/rancher/mirrored-library-busybox:1.37.0"
POLICY_TIMEOUT = 10.0
"""Seconds that a new policy may take until every agent enforces it."""
ABANDONED = 300.0
"""Age in seconds at which another proof's namespace was left behind by a killed program, whoever that was."""
HOLDER = "beeyard.dev/process"
"""Annotation that names the process which proves in a namespace."""
CONNECT = 2
"""Seconds that a connection may take."""

OnCheck = Callable[[Check], None]
Attempt = Callable[[], Awaitable[tuple[bool, str]]]


@dataclass(frozen=True, slots=True)
class Fixtures:
    """The manifests of the proof.

    Attributes:
        workloads: pods and service.
        policy: L3/L4 policy.
        policy_l7: the same with an HTTP rule.
    """

    workloads: tuple[Object, ...]
    policy: Object
    policy_l7: Object


@dataclass(slots=True)
class Proof:
    """One proof on one cluster.

    Attributes:
        kube: the cluster.
        hubbles: opens Relay.
        fixtures: manifests.
        now: monotonic clock, seconds.
        wall: UNIX time, seconds.
        holder: name of this process, for others that find the namespace later.
        is_gone: whether the process of a name has ended.
        image: image of the pods; empty takes the cluster's own busybox.
        on_check: told of every check as it ends.
        timeout: seconds until the pods must be ready.
    """

    kube: Kube
    hubbles: Hubbles
    fixtures: Fixtures
    now: Callable[[], float]
    wall: Callable[[], float]
    holder: str
    is_gone: Callable[[str], bool]
    image: str = ""
    on_check: OnCheck = lambda _: None
    timeout: float = 60.0
    cilium_namespace: str = "kube-system"
    report: Report = field(default_factory=Report)
    _namespace: str = ""
    _since: float = 0.0
    _settings: dict[str, str] = field(default_factory=dict)

    async def run(self) -> Report:
        """Carry out the proof.

        Raises:
            BeeyardError: ``E-VERIFY-001`` the pods did not start.
        """
        started = self.now()
        await self._remove_leftovers()
        config = await self.kube.get(CONFIG_MAPS, "cilium-config", namespace=self.cilium_namespace)
        self._settings = dict((config or {}).get("data") or {})
        async with self._workloads() as pods:
            backend = str(pods["backend"]["status"]["podIP"])
            service = await self.kube.get(SERVICES, "backend", namespace=self._namespace)
            address = str((service or {}).get("spec", {}).get("clusterIP", ""))
            await asyncio.gather(
                self._check("pod-to-pod", "a pod reaches a pod", lambda: self._http("frontend", backend)),
                self._check("service", "a pod reaches a service", lambda: self._http("frontend", address)),
                self._check("dns", "a pod resolves a service's name", lambda: self._dns("frontend", address)),
                self._check("api", "a pod reaches the Kubernetes API", lambda: self._api("frontend")),
                self._check(
                    "before-policy",
                    "without a policy the intruder reaches the backend",
                    lambda: self._http("intruder", backend),
                ),
            )
            self._cross_node(pods)
            await self._policies(backend)
        self.report.seconds = self.now() - started
        return self.report

    async def _policies(self, backend: str) -> None:
        if self._outcome("before-policy") is not Outcome.PASSED or self._outcome("pod-to-pod") is not Outcome.PASSED:
            for name, title in (
                ("policy-denies", "a policy cuts the intruder off"),
                ("policy-allows", "it lets the frontend pass"),
            ):
                self._add(Check(name, title, Outcome.UNCHECKED, "pods do not reach each other even without a policy"))
            return
        self._since = self.wall()
        await self.kube.apply(self._placed(self.fixtures.policy))
        denied = await self._check(
            "policy-denies",
            "a policy cuts the intruder off",
            lambda: self._until_denied("intruder", backend),
            fix="Look at `beeyard status`: policies are not enforced on the backend's node.",
        )
        await self._check("policy-allows", "it lets the frontend pass", lambda: self._http("frontend", backend))
        await asyncio.gather(self._hubble(denied), self._l7(backend, denied))

    async def _l7(self, backend: str, denied: bool) -> None:
        titles = (("l7-get", "an HTTP rule lets GET pass"), ("l7-post", "it answers POST with 403"))
        reason = "" if denied else "policies are not enforced"
        if self._settings.get("enable-l7-proxy", "true") == "false":
            reason = "the L7 proxy is off"
        if reason:
            for name, title in titles:
                self._add(Check(name, title, Outcome.UNCHECKED, reason))
            return
        await self.kube.apply(self._placed(self.fixtures.policy_l7))
        await self._check(
            titles[1][0],
            titles[1][1],
            lambda: self._until_forbidden("frontend", backend),
            fix="Look at the cilium-envoy pods: HTTP rules are not enforced.",
        )
        await self._check(titles[0][0], titles[0][1], lambda: self._http("frontend", backend))

    async def _hubble(self, denied: bool) -> None:
        title = "Hubble shows the denied flow as dropped"
        reason = "" if denied else "nothing was denied"
        if self._settings.get("enable-hubble", "false") != "true":
            reason = "Hubble is off"
        relays = await self.kube.list(PODS, namespace=self.cilium_namespace, labels="k8s-app=hubble-relay")
        running = [pod for pod in relays if pod.get("status", {}).get("phase") == "Running"]
        if not reason and not running:
            reason = "Hubble Relay does not run"
        if reason:
            self._add(Check("hubble", title, Outcome.UNCHECKED, reason))
            return
        await self._check("hubble", title, self._dropped_flow, fix="Look at `beeyard status`, line hubble-relay.")

    async def _dropped_flow(self) -> tuple[bool, str]:
        wanted = FlowFilter(
            source_pod=(f"{self._namespace}/intruder",),
            destination_pod=(f"{self._namespace}/backend",),
            verdict=("DROPPED",),
        )
        request = FlowRequest(FilterSet((wanted,)), number=20, since=self._since - 1)
        deadline = self.now() + POLICY_TIMEOUT
        async with open_relay(self.kube, self.hubbles, self.cilium_namespace) as hubble:
            while self.now() < deadline:
                if flow := await _first_flow(hubble.batches(request)):
                    return True, f"intruder -> backend DROPPED {flow.drop_reason_desc}".strip()
                await asyncio.sleep(0.3)
        return False, f"no dropped flow from the intruder within {POLICY_TIMEOUT:.0f} s"

    async def _until_denied(self, pod: str, host: str) -> tuple[bool, str]:
        deadline = self.now() + POLICY_TIMEOUT
        while True:
            reached, detail = await self._http(pod, host)
            if not reached:
                return True, "cut off: " + (detail or "no connection")
            if self.now() > deadline:
                return (
                    False,
                    f"policies are not enforced: the intruder still gets {detail!r} after {POLICY_TIMEOUT:.0f} s",
                )

    async def _until_forbidden(self, pod: str, host: str) -> tuple[bool, str]:
        deadline = self.now() + POLICY_TIMEOUT
        while True:
            _, detail = await self._http(pod, host, method="POST")
            if " 403" in detail:
                return True, detail
            if self.now() > deadline:
                return False, f"POST still gets {detail!r} after {POLICY_TIMEOUT:.0f} s"

    async def _http(self, pod: str, host: str, *, method: str = "GET") -> tuple[bool, str]:
        """Send one request by hand; the input stays open a second, because proxies drop half-closed connections."""
        target = f"[{host}]" if ":" in host else host
        body = "Content-Length: 0\\r\\n" if method == "POST" else ""
        request = f"{method} / HTTP/1.1\\r\\nHost: {target}\\r\\nConnection: close\\r\\n{body}\\r\\n"
        script = f"(printf '{request}'; sleep 1) | nc -w {CONNECT} {host} 80"
        result = await self._exec(pod, script)
        line = result[1].splitlines()[0].strip() if result[1].strip() else ""
        if line.startswith("HTTP/"):
            return " 200" in line, line
        return False, f"no answer within {CONNECT} s"

    async def _dns(self, pod: str, address: str) -> tuple[bool, str]:
        domain = self._settings.get("cluster-domain", "") or "cluster.local"
        name = f"backend.{self._namespace}.svc.{domain}."
        rc, out = await self._exec(pod, f"nslookup {name}")
        found = address in out.replace("\n", " ").split()
        return rc == 0 and found, f"{name} is {address}" if found else (out.strip().splitlines() or ["no answer"])[-1]

    async def _api(self, pod: str) -> tuple[bool, str]:
        service = await self.kube.get(SERVICES, "kubernetes", namespace="default")
        host = str((service or {}).get("spec", {}).get("clusterIP", ""))
        rc, out = await self._exec(pod, f"nc -w {CONNECT} {host} 443 </dev/null")
        return rc == 0, f"connected to {host}:443" if rc == 0 else out.strip() or "no connection"

    async def _exec(self, pod: str, script: str) -> tuple[int, str]:
        try:
            result = await self.kube.exec(pod, self._namespace, ["sh", "-c", script], timeout=CONNECT + 6)
        except DeadlineError:
            return 1, ""
        return result.rc, result.out or result.err

    def _cross_node(self, pods: dict[str, Object]) -> None:
        nodes = {name: pod["spec"].get("nodeName", "") for name, pod in pods.items()}
        apart = nodes["frontend"] != nodes["backend"]
        title = "pods of different nodes reach each other"
        if not apart:
            self._add(Check("cross-node", title, Outcome.UNCHECKED, "server and client run on the same node"))
        else:
            first = self._outcome("pod-to-pod") or Outcome.UNCHECKED
            self._add(Check("cross-node", title, first, f"{nodes['frontend']} -> {nodes['backend']}"))

    async def _check(self, name: str, title: str, attempt: Attempt, *, fix: str = "") -> bool:
        began = self.now()
        try:
            passed, detail = await attempt()
        except BeeyardError as error:
            passed, detail, fix = False, f"{error.what}: {error.why}".rstrip(": "), error.fix or fix
        outcome = Outcome.PASSED if passed else Outcome.FAILED
        fix = "" if passed else fix or "Look at `beeyard status` for the agent of that node."
        self._add(Check(name, title, outcome, detail, fix, self.now() - began))
        return passed

    def _add(self, check: Check) -> None:
        self.report.checks.append(check)
        self.on_check(check)

    def _outcome(self, name: str) -> Outcome | None:
        return next((check.outcome for check in self.report.checks if check.id == name), None)

    @asynccontextmanager
    async def _workloads(self) -> AsyncIterator[dict[str, Object]]:
        self._namespace = PREFIX + secrets.token_hex(3)
        image = self.image or await self._busybox()
        labels = dict(part.split("=") for part in LABELS.split(","))
        meta = {"name": self._namespace, "labels": labels, "annotations": {HOLDER: self.holder}}
        try:
            await self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
            await self._service_account()
            await asyncio.gather(*(self.kube.create(self._placed(obj, image)) for obj in self.fixtures.workloads))
            yield await self._ready_pods(image)
        finally:
            await asyncio.shield(self._tear_down(self._namespace))

    async def _service_account(self) -> None:
        """Pods are refused until the controller has made the namespace's default ServiceAccount."""
        sources = [(SERVICE_ACCOUNTS, self._namespace)]
        async with asyncio.timeout(self.timeout), watched(self.kube, sources) as events:
            async for event in events:
                if event.object or event.objects:
                    return

    async def _ready_pods(self, image: str) -> dict[str, Object]:
        pods: dict[str, Object] = {}
        names = {obj["metadata"]["name"] for obj in self.fixtures.workloads if obj["kind"] == "Pod"}
        try:
            async with asyncio.timeout(self.timeout), watched(self.kube, [(PODS, self._namespace)]) as events:
                async for event in events:
                    for pod in (*event.objects, *((event.object,) if event.object else ())):
                        pods[pod["metadata"]["name"]] = pod
                    if names <= {name for name, pod in pods.items() if _is_ready(pod)}:
                        return pods
        except TimeoutError:
            pass
        missing = {name: _waiting(pods.get(name)) for name in sorted(names) if not _is_ready(pods.get(name))}
        raise BeeyardError(
            f"the pods of the network proof did not start within {self.timeout:.0f} s",
            why="\n".join(f"{name}: {why}" for name, why in missing.items()),
            fix=f"Give an image that the nodes can run with --image (tried: {image}); see `beeyard status`.",
            code="E-VERIFY-001",
        )

    async def _busybox(self) -> str:
        """Return a busybox that the nodes hold already, so that nothing is pulled."""
        held: list[set[str]] = []
        for node in await self.kube.list(NODES):
            names = [name for image in node.get("status", {}).get("images") or [] for name in image.get("names") or []]
            held.append({name for name in names if "busybox" in name and "@" not in name})
        common = set.intersection(*held) if held else set()
        return max(common) if common else DEFAULT_IMAGE

    def _placed(self, obj: Object, image: str = "") -> Object:
        placed: dict[str, Any] = copy.deepcopy(obj)
        placed["metadata"]["namespace"] = self._namespace
        for container in placed["spec"].get("containers", []) if placed["kind"] == "Pod" else []:
            container["image"] = image
        return placed

    async def _remove_leftovers(self) -> None:
        for namespace in await self.kube.list(NAMESPACES, labels=LABELS):
            meta = namespace["metadata"]
            old = self.wall() - datetime.fromisoformat(meta["creationTimestamp"]).timestamp() > ABANDONED
            left = old or self.is_gone((meta.get("annotations") or {}).get(HOLDER, ""))
            if left and namespace.get("status", {}).get("phase") != "Terminating":
                await self._tear_down(meta["name"])

    async def _tear_down(self, namespace: str) -> None:
        await self.kube.delete(NAMESPACES, namespace, grace=0)


def _is_ready(pod: Object | None) -> bool:
    conditions = (pod or {}).get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _waiting(pod: Object | None) -> str:
    """Return why a pod is not ready, in the API's own words."""
    if pod is None:
        return "not created"
    status = pod.get("status", {})
    for container in status.get("containerStatuses") or []:
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason', '')}: {waiting.get('message', '')}".strip(": ")
    for condition in status.get("conditions") or []:
        if condition["status"] != "True" and condition.get("message"):
            return str(condition["message"])
    return str(status.get("phase", "unknown"))


async def _first_flow(batches: AsyncGenerator[Sequence[Answer], None]) -> Flow | None:
    async with aclosing(batches):
        async for batch in batches:
            for answer in batch:
                if answer.flow:
                    return answer.flow
    return None
