"""Reading ``cilium-dbg status -o json`` and ``cilium-dbg endpoint list -o json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from installer.domain.readiness_rules.evidence import clean
from installer.domain.readiness_rules.facts import SYSTEM
from installer.domain.status import AgentStatus, Notice, Part

_PARTS = {
    "Cilium": ("cilium",),
    "Cluster health": ("cluster", "ciliumHealth"),
    "Hubble": ("hubble",),
    "Kubernetes": ("kubernetes",),
    "KVStore": ("kvstore",),
    "ContainerRuntime": ("container-runtime",),
    "CNI config file": ("cni-file",),
    "Auth certificates": ("auth-certificate-provider",),
}
_BAD = {"Failure", "Warning"}
_ENDPOINT_OK = {"ready"}


def read_agent(
    pod: str, node: str, status: Mapping[str, Any], endpoints: Sequence[Mapping[str, Any]], namespace: str = SYSTEM
) -> AgentStatus:
    """Read an agent's status; keys that another version does not have are left out."""
    controllers = status.get("controllers") or []
    maps = (status.get("bpf-maps") or {}).get("maps") or []
    return AgentStatus(
        pod=pod,
        node=node,
        namespace=namespace,
        parts=tuple(_parts(status)),
        facts=dict(_facts(status)),
        controllers=len(controllers),
        failing=_failing(controllers),
        endpoints=len(endpoints),
        endpoints_not_ready=dict(_not_ready(endpoints)),
        enforcement=dict(_enforcement(endpoints)),
        bpf_maps={clean(str(one.get("name"))): int(one.get("size") or 0) for one in maps},
    )


def _dig(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _word(value: Any, *path: str) -> str:
    found = _dig(value, *path)
    return "" if found is None else clean(str(found))


def _parts(status: Mapping[str, Any]) -> Iterator[Part]:
    for name, path in _PARTS.items():
        state = _word(status, *path, "state")
        if state:
            yield Part(name, state, _part_text(name, _dig(status, *path)))


def _part_text(name: str, part: Mapping[str, Any]) -> str:
    if name == "Hubble" and part.get("observer"):
        observer = part["observer"]
        return f"{observer.get('current-flows', 0)}/{observer.get('max-flows', 0)} flows"
    return _word(part, "msg")


def _facts(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    plain = {
        "IPAM": ("ipam", "status"),
        "KubeProxyReplacement": ("kube-proxy-replacement", "mode"),
        "Encryption": ("encryption", "mode"),
        "Host firewall": ("host-firewall", "mode"),
        "CNI chaining": ("cni-chaining", "mode"),
        "Attach mode": ("attach-mode",),
        "Datapath": ("datapath-mode",),
        "Clock source for BPF": ("clock-source", "mode"),
    }
    for name, path in plain.items():
        if word := _word(status, *path):
            yield name, word.rstrip(", ")
    routing = [_word(status, "routing", key) for key in ("inter-host-routing-mode", "tunnel-protocol")]
    if any(routing):
        yield "Routing", " ".join(filter(None, routing))
    if _dig(status, "masquerading"):
        yield "Masquerading", _masquerading(status["masquerading"])
    devices = _dig(status, "kube-proxy-replacement", "devices")
    if devices:
        yield "Devices", clean(", ".join(map(str, devices)))


def _masquerading(value: Mapping[str, Any]) -> str:
    if not value.get("enabled"):
        return "Disabled"
    protocols = ", ".join(sorted(key for key, on in (value.get("enabledProtocols") or {}).items() if on))
    return clean(f"{value.get('mode', '')} {f'({protocols})' if protocols else ''}")


def _failing(controllers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found = {}
    for controller in controllers:
        state = controller.get("status") or {}
        count = int(state.get("consecutive-failure-count") or 0)
        if count:
            message = clean(str(state.get("last-failure-msg") or "no message"))
            found[clean(str(controller.get("name")))] = f"{message} (failed {count} times in a row)"
    return found


def _not_ready(endpoints: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for endpoint in endpoints:
        state = _word(endpoint, "status", "state")
        if state not in _ENDPOINT_OK:
            ids = _dig(endpoint, "status", "external-identifiers") or {}
            name = _pod_of(ids) or _word(ids, "pod-name").strip("/")
            yield name or f"endpoint {endpoint.get('id')}", state or "unknown"


def _pod_of(ids: Mapping[str, Any]) -> str:
    """Return ``namespace/name`` of an endpoint's pod, empty where it has none."""
    pod = clean(str(ids.get("k8s-namespace", ""))) + "/" + clean(str(ids.get("k8s-pod-name", "")))
    return pod if pod != "/" else ""


def _enforcement(endpoints: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for endpoint in endpoints:
        pod = _pod_of(_dig(endpoint, "status", "external-identifiers") or {})
        if pod:
            yield pod, _word(endpoint, "status", "policy", "realized", "policy-enabled") or "unknown"


def agent_errors(agent: AgentStatus) -> Iterator[Notice]:
    """Yield what an agent says is broken."""
    subject, log = f"{agent.pod} on {agent.node}", _log_of(agent)
    if agent.error:
        fix = f"See whether it runs and you may 'create' 'pods/exec'. {log}"
        yield Notice(subject, f"cannot be asked: {agent.error}", "E-STATUS-001", fix, _WHY_ASKED)
    for part in agent.parts:
        if part.state in _BAD:
            yield Notice(subject, f"{part.name}: {part.state} {part.text}".rstrip(), "E-STATUS-002", log)
    for name, message in agent.failing.items():
        yield Notice(subject, f"controller {name} fails: {message}", "E-STATUS-003", log, _WHY_CONTROLLER)


def agent_warnings(agent: AgentStatus) -> Iterator[Notice]:
    """Yield what is worth a look."""
    for name, state in agent.endpoints_not_ready.items():
        text = f"endpoint {name} is {state}"
        yield Notice(f"{agent.pod} on {agent.node}", text, "E-STATUS-004", _log_of(agent), _WHY_ENDPOINT)


_WHY_ASKED = "Its status is read by running cilium-dbg in its container, and that did not work."
_WHY_CONTROLLER = (
    "A controller is a loop in the agent that tries again by itself; while it fails, its part is out of date."
)
_WHY_ENDPOINT = "The agent has not finished the pod's network and policy; traffic may not flow yet."


def _log_of(agent: AgentStatus) -> str:
    return f"Its log tells more: kubectl -n {agent.namespace} logs {agent.pod} -c cilium-agent"
