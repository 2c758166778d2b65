"""The matrix: points at which an install is interrupted, and what happens there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SOURCES = ("bundle", "mirror")


@dataclass(frozen=True, slots=True)
class Change:
    """Right before one of the program's own changes.

    Attributes:
        match: regular expression on the change as the hook words it, such as ``os.rename /from /to``.
        nth: which match counts.
    """

    match: str
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Told:
    """As soon as an event of the run is read.

    Attributes:
        event: its name.
        step: its step, empty for any.
        text: what its JSON must hold.
        nth: which match counts.
    """

    event: str
    step: str = ""
    text: str = ""
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Point:
    """A point of an install.

    Attributes:
        step: the step it lies in.
        name: what happens there, for people.
        at: how it is found.
        faults: what may go wrong there, ``kill`` first.
        source: where the install takes its files from.
    """

    step: str
    name: str
    at: Change | Told
    faults: tuple[str, ...]
    source: str = "bundle"


@dataclass(frozen=True, slots=True)
class Case:
    """One interruption."""

    point: Point
    fault: str

    @property
    def id(self) -> str:
        """A name for commands and file names."""
        words = f"{self.point.source}-{self.point.step}-{self.point.name}-{self.fault}"
        return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _renamed(path: str, nth: int = 1) -> Change:
    return Change(rf"^os\.rename .* {path}$", nth)


_RECORD = "/var/lib/beeyard/installed.json"
_HELM_WRITES = r"^run \S*helm\S* upgrade "

POINTS = (
    Point("preflight", "plan is made", Told("plan"), ("kill", "disk-full")),
    Point("preflight", "journal begins", Change(r"^open .*/journal\.jsonl$"), ("kill", "disk-full")),
    Point("preflight", "goal is kept", _renamed(r"/var/lib/beeyard/runs/.*/cluster\.yaml"), ("kill", "clock-back")),
    Point("preflight", "done", Told("step-done", "preflight"), ("kill", "hangup")),
    Point("fetch", "bundle is read", Told("step-progress", "fetch", nth=12), ("kill", "disk-full")),
    Point("fetch", "chart is kept", _renamed(r".*/charts/cilium-.*\.tgz"), ("kill", "clock-ahead")),
    Point("fetch", "helm is kept", _renamed(r".*/bin/helm-.*"), ("kill", "disk-full")),
    Point("fetch", "done", Told("step-done", "fetch"), ("kill", "power-loss")),
    Point("fetch", "downloads begin", Change(r"^open .*\.part"), ("kill", "mirror-gone"), "mirror"),
    Point("fetch", "k3s is half here", Told("step-progress", "fetch", "k3s", 40), ("kill", "mirror-gone"), "mirror"),
    Point("fetch", "files are landing", Told("step-progress", "fetch", nth=30), ("kill", "link-down"), "mirror"),
    Point("k3s", "record of what is ours", _renamed(_RECORD), ("kill", "disk-full")),
    Point("k3s", "config.yaml", _renamed("/etc/rancher/k3s/config.yaml"), ("kill", "disk-full")),
    Point("k3s", "service definition", _renamed(r".*/services/k3s/unit\.json"), ("kill", "clock-back")),
    Point("k3s", "second half of the definition", _renamed(r".*/services/k3s/env\.json"), ("kill", "hangup")),
    Point("k3s", "images", _renamed(r".*/agent/images/cilium-images\.tar"), ("kill", "disk-full")),
    Point("k3s", "binary", _renamed("/usr/local/bin/k3s"), ("kill", "disk-full")),
    Point("k3s", "second link", Change(r"^os\.symlink k3s /usr/local/bin/ctr"), ("kill", "clock-ahead")),
    Point("k3s", "version is recorded", _renamed(_RECORD, 2), ("kill", "power-loss")),
    Point("k3s", "service starts", Change(r"^run .*supervisor\.py start "), ("kill", "hangup")),
    Point("k3s", "bundle is recorded", _renamed(_RECORD, 3), ("kill", "k3s-killed")),
    Point("k3s", "API comes up", Change(r"^connect \('127\.0\.0\.1', 6443\)"), ("kill", "node-dead", "oom-etcd")),
    Point("k3s", "done", Told("step-done", "k3s"), ("kill", "power-loss", "api-gone")),
    Point("k3s", "images are imported", Change(r"^run .* ctr .*images import"), ("kill", "k3s-killed"), "mirror"),
    Point("kubeconfig", "lock is taken", Change(r"^os\.link .*/config\.lock$"), ("kill", "disk-full")),
    Point("kubeconfig", "backup", _renamed(r"/root/\.kube/config\.beeyard-\S+"), ("kill", "clock-back")),
    Point("kubeconfig", "merged", _renamed(r"/root/\.kube/config"), ("kill", "disk-full")),
    Point("kubeconfig", "lock is given back", Change(r"^os\.remove .*/config\.lock$"), ("kill", "hangup")),
    Point("kubeconfig", "done", Told("step-done", "kubeconfig"), ("kill", "api-lost")),
    Point("cilium", "helm looks", Change(r"^run \S*helm\S* status ", 1), ("kill", "api-gone")),
    Point("cilium", "helm starts", Change(_HELM_WRITES), ("kill", "helm-killed", "api-gone")),
    Point("cilium", "helm at work", Change(_HELM_WRITES), ("killed-beside-helm", "api-frozen")),
    Point("cilium", "chart is recorded", _renamed(_RECORD, 5), ("kill", "disk-full")),
    Point("cilium", "done", Told("step-done", "cilium"), ("kill", "oom-kubelet")),
    Point("hubble", "helm starts", Change(_HELM_WRITES, 2), ("kill", "helm-killed", "disk-full")),
    Point("hubble", "helm at work", Change(_HELM_WRITES, 2), ("killed-beside-helm", "k3s-killed")),
    Point("hubble", "done", Told("step-done", "hubble"), ("kill", "power-loss")),
    Point("ready", "begins", Told("step-started", "ready"), ("kill", "oom-containerd")),
    Point("ready", "parts become ready", Told("readiness", nth=6), ("kill", "node-dead", "link-down")),
    Point("ready", "almost", Told("readiness", nth=9), ("kill", "oom-agent")),
    Point("ready", "done", Told("step-done", "ready"), ("kill", "api-frozen")),
    Point("verify", "begins", Told("step-started", "verify"), ("kill", "api-gone")),
    Point("verify", "first connections", Told("log", "verify", "passed"), ("kill", "hangup")),
    Point("verify", "a policy is in force", Told("log", "verify", "policy-denies"), ("kill", "api-lost", "power-loss")),
    Point("verify", "proof is recorded", _renamed(_RECORD, 6), ("kill", "disk-full")),
    Point("verify", "goal is recorded", _renamed(r"/var/lib/beeyard/cluster\.yaml"), ("kill", "clock-ahead")),
    Point("verify", "done", Told("run-finished"), ("kill", "power-loss")),
)  # fmt: skip

_ENDING = ("kill", "killed-beside-helm", "hangup", "power-loss", "clock-back")
"""Faults that always end a run, so that the next one can be interrupted as well."""
_EARLY = ("preflight", "fetch", "k3s", "kubeconfig")
"""Steps in which a full disk ends it too."""


def chains(cases: Sequence[Case], longest: int) -> list[tuple[Case, ...]]:
    """Put cases together that one install can go through one after the other, each in a run of its own.

    A case whose point is counted (``nth``) begins a chain, because the count is that of a first run. Only the last
    case of a chain may be one that its run survives; that place is kept for such a case.
    """
    left = list(cases)
    found = []
    while left:
        chain = [next((case for case in left if _is_counted(case)), left[0])]
        left.remove(chain[0])
        for case in list(left):
            if _may_follow(case, chain[-1]) and (len(chain) < longest - 1 if _ends(case) else len(chain) < longest):
                chain.append(case)
                left.remove(case)
        found.append(tuple(chain))
    return found


def _may_follow(case: Case, last: Case) -> bool:
    same = case.point.source == last.point.source
    return same and _ends(last) and not _is_counted(case) and POINTS.index(case.point) > POINTS.index(last.point)


def _ends(case: Case) -> bool:
    return case.fault in _ENDING or (case.fault == "disk-full" and case.point.step in _EARLY)


def _is_counted(case: Case) -> bool:
    return isinstance(case.point.at, Change) and case.point.at.nth > 1


CASES = tuple(Case(point, fault) for point in POINTS for fault in point.faults)
