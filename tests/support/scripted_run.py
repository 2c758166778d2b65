"""Runs whose events the test gives, for the cockpit's run screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.events import (
    Event,
    LogLine,
    PlanMade,
    ReadinessChanged,
    RunFinished,
    RunStarted,
    StepDone,
    StepFailed,
    StepProgress,
    StepStarted,
)
from installer.domain.plan import Change, Plan, StepPlan
from installer.domain.readiness import Component, ContainerState, PodState, Snapshot, State
from installer.domain.redact import Redactor
from installer.domain.spec import ClusterSpec
from installer.pipeline.run import Options
from installer.services.install import Unfinished

BEGAN = 1_700_000_000.0
STEPS = (
    ("preflight", "Check the host", 0),
    ("fetch", "Fetch k3s, images, helm and the chart", 4),
    ("k3s", "Install and start k3s", 6),
    ("kubeconfig", "Merge the kubeconfig", 1),
    ("cilium", "Install Cilium", 1),
    ("hubble", "Switch Hubble on", 1),
    ("ready", "Wait until everything is ready", 1),
    ("verify", "Prove the network", 1),
)
PLAN = Plan(
    tuple(
        StepPlan(step, title, tuple(Change("file", "create", f"/etc/{step}/{number}") for number in range(changes)))
        for step, title, changes in STEPS
    ),
    ("the kernel is old",),
)
REFUSED = BeeyardError(
    "kube-system/cilium-x7k2p (init config): the container crashed",
    why='level=fatal msg="unable to read config: kernel lacks CONFIG_NET_CLS_BPF"\nexit code 1, 3 restarts',
    fix="Load the module cls_bpf, or use a kernel that has it; then go on with the same command.",
    code="E-POD-004",
    details={"subject": "kube-system/cilium-x7k2p (init config)"},
)


class ScriptedInstall:
    """Stands for the service that installs: a run goes on until the test ends it.

    Attributes:
        opened: the specifications that were run.
        undone: how many runs were taken back.
        held: whether a run holds the lock.
        left: the unfinished run that is found.
    """

    def __init__(self, left: Unfinished | None = None) -> None:
        self.redactor = Redactor()
        self.opened: list[tuple[ClusterSpec, Options]] = []
        self.undone = 0
        self.held = False
        self.left = left
        self.emit: Callable[[Event], None] = lambda event: None
        self._end: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def open(self, spec: ClusterSpec, options: Options, emit: Callable[[Event], None]) -> AsyncIterator[Any]:
        assert not self.held, "two runs at once"
        self.held, self.emit = True, emit
        self.opened.append((spec, options))
        self._end = asyncio.get_running_loop().create_future()
        try:
            yield self
        finally:
            self.held = False

    def unfinished(self, environment: Mapping[str, str]) -> Unfinished | None:
        return self.left

    async def plan(self) -> Plan:
        self.emit(PlanMade(BEGAN + 0.4, PLAN))
        return PLAN

    async def execute(self, plan: Plan) -> None:
        assert self._end is not None
        self.emit(RunStarted(BEGAN + 0.5, "20260704T101500.000Z-abc123", "/var/log/beeyard/x.log"))
        await self._end

    async def undo(self) -> None:
        self.emit(LogLine(BEGAN + 95, "cilium", "info", "Install Cilium: taken back"))
        self.undone += 1

    def finish(self, *, ok: bool = True, at: float = BEGAN + 90) -> None:
        """End the run; its events were given before."""
        assert self._end is not None
        timings = dict(zip((step for step, _, _ in STEPS), (0.8, 21.0, 24.0, 0.1, 9.0, 0.3, 31.0, 12.0), strict=True))
        self.emit(RunFinished(at, "r", ok, True, at - BEGAN, timings if ok else {}))
        if ok:
            self._end.set_result(None)

    def fail(self, error: BeeyardError = REFUSED, *, step: str = "ready", at: float = BEGAN + 80) -> None:
        """Let a step fail."""
        assert self._end is not None
        self.emit(StepFailed(at, step, 20.0, error))
        self.finish(ok=False, at=at)
        self._end.set_exception(error)


def snapshot(ready: int, pods: int = 7, *, failed: int = -1) -> Snapshot:
    """Return a cluster of so many pods, the first of them ready, one of them failed."""
    names: tuple[str, ...] = (
        "cilium-x7k2p",
        "cilium-envoy-9hq4v",
        "cilium-operator-7d9c5b-lmkzq",
        "coredns-6799fb-2v8xs",
    )
    names += ("hubble-relay-5f4d-kk2wl", "hubble-ui-76d4-zpw7r", "local-path-66cf-bb7n2")
    made = []
    for number in range(pods):
        name = names[number] if number < len(names) else f"load-{number:03}-7d9c5b"
        state = State.READY if number < ready else State.FAILED if number == failed else State.PROGRESSING
        made.append(_pod(name, state, inits=6 if number == 0 else 0))
    states = [pod.state for pod in made]
    parts = [Component("node/one", "Node", State.READY, 1, 1, "ready")]
    for name, kind, number in (
        ("cilium", "DaemonSet", 0),
        ("cilium-envoy", "DaemonSet", 1),
        ("cilium-operator", "Deployment", 2),
        ("coredns", "Deployment", 3),
        ("hubble-relay", "Deployment", 4),
        ("hubble-ui", "Deployment", 5),
    ):
        good = states[number] is State.READY
        detail = "1/1 ready" if good else made[number].detail
        parts.append(Component(name, kind, states[number], 1, int(good), detail))
    return Snapshot(tuple(parts), tuple(made))


def _pod(name: str, state: State, *, inits: int) -> PodState:
    details = {State.READY: "ready", State.FAILED: "main: CrashLoopBackOff", State.PROGRESSING: "main: creating"}
    done = inits if state is not State.PROGRESSING or not inits else 2
    containers = [
        ContainerState(f"init-{number}", State.READY if number < done else State.UNKNOWN, init=True)
        for number in range(inits)
    ]
    detail = f"init {done + 1}/{inits}: mount-cgroup" if done < inits else details[state]
    main = ContainerState("main", State.UNKNOWN if done < inits else state, restarts=3 if state is State.FAILED else 0)
    return PodState(name, "kube-system", "one", state, detail, (*containers, main))


def first_half() -> list[Event]:
    """Return the events of a run until its downloads are half done."""
    return [
        StepStarted(BEGAN + 1, "preflight", "Check the host"),
        StepDone(BEGAN + 1.8, "preflight", False, 0.8, "31 checks"),
        StepStarted(BEGAN + 2, "fetch", "Fetch k3s, images, helm and the chart"),
        LogLine(BEGAN + 2.1, "fetch", "info", "k3s v1.36.4+k3s1 from https://github.com/k3s-io/k3s/releases"),
        *(
            StepProgress(BEGAN + 3 + second, "fetch", item, round(share * size * second / 8), size)
            for second in range(6)
            for item, size, share in (("k3s", 76_000_000, 1.0), ("images", 214_000_000, 0.5), ("helm", 17_000_000, 2))
        ),
        StepStarted(BEGAN + 9, "k3s", "Install and start k3s"),
        LogLine(BEGAN + 9.1, "k3s", "debug", "wrote /etc/rancher/k3s/config.yaml"),
        LogLine(BEGAN + 9.2, "k3s", "warning", "swap is on; the kubelet ignores it"),
    ]


def until_ready() -> list[Event]:
    """Return the events from there until pods are waited for."""
    size = 214_000_000
    return [
        StepProgress(BEGAN + 20, "fetch", "k3s", 76_000_000, 76_000_000),
        StepProgress(BEGAN + 22, "fetch", "images", size, size),
        StepDone(BEGAN + 23, "fetch", True, 21.0, "4 files"),
        StepDone(BEGAN + 33, "k3s", True, 24.0, "k3s v1.36.4+k3s1 runs"),
        StepStarted(BEGAN + 33, "kubeconfig", "Merge the kubeconfig"),
        StepDone(BEGAN + 33.1, "kubeconfig", True, 0.1, "context beeyard in /root/.kube/config"),
        StepStarted(BEGAN + 33.2, "cilium", "Install Cilium"),
        StepDone(BEGAN + 42.2, "cilium", True, 9.0, "cilium 1.20.2"),
        StepStarted(BEGAN + 42.3, "hubble", "Switch Hubble on"),
        StepDone(BEGAN + 42.6, "hubble", True, 0.3, ""),
        StepStarted(BEGAN + 43, "ready", "Wait until everything is ready"),
        ReadinessChanged(BEGAN + 44, snapshot(0)),
        ReadinessChanged(BEGAN + 60, snapshot(3)),
    ]


def until_done() -> list[Event]:
    """Return the events from there until the run is done."""
    return [
        ReadinessChanged(BEGAN + 74, snapshot(7)),
        StepDone(BEGAN + 74, "ready", False, 31.0, "7 components ready, 7 pods"),
        StepStarted(BEGAN + 74, "verify", "Prove the network"),
        LogLine(BEGAN + 80, "verify", "info", "passed policy-denies: refused as it must be"),
        StepDone(BEGAN + 86, "verify", False, 12.0, "12 checks passed"),
    ]
