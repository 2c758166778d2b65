"""Flow filters with Hubble's rules: values of a field are alternatives, fields all have to hold."""

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any

from . import wire


class UnsupportedError(ValueError):
    """A filter field that the stand-in does not know, or a value that makes no sense."""


Check = Callable[[Any, Any], bool]


def passes(flow: Any, whitelist: Iterable[Any], blacklist: Iterable[Any]) -> bool:
    """Whether a flow is wanted: any of the whitelist (empty = all) and none of the blacklist."""
    whitelist = list(whitelist)
    return (not whitelist or any(matches(flow, f) for f in whitelist)) and not any(matches(flow, f) for f in blacklist)


def matches(flow: Any, wanted: Any) -> bool:
    """Whether one filter matches."""
    for field, values in wanted.ListFields():
        check = CHECKS.get(field.name)
        if check is None:
            raise UnsupportedError(f"filter {field.name} is not known to this server")
        if not any(check(flow, value) for value in values):
            return False
    return True


def validate(wanted: Iterable[Any]) -> None:
    """Raise UnsupportedError for what `matches` could not answer."""
    empty = wire.new("Flow")
    for one in wanted:
        matches(empty, one)
        for field, _ in one.ListFields():
            if field.name not in CHECKS:
                raise UnsupportedError(f"filter {field.name} is not known to this server")


def _pod(side: str) -> Check:
    def check(flow: Any, value: str) -> bool:
        endpoint = getattr(flow, side)
        space, slash, name = value.partition("/")
        if not slash:
            space, name = "default", value
        if not endpoint.namespace and not endpoint.pod_name:
            return False
        return (not space or endpoint.namespace == space) and str(endpoint.pod_name).startswith(name)

    return check


def _labels(side: str) -> Check:
    def check(flow: Any, value: str) -> bool:
        endpoint = getattr(flow, side)
        return selector_matches(value, endpoint.labels)

    return check


def selector_matches(selector: str, labels: Iterable[str]) -> bool:
    """A label selector in text form against `source:key=value` labels."""
    have: dict[str, str] = {}
    for label in labels:
        key, _, value = label.partition("=")
        have[key] = value
        have[key.partition(":")[2]] = value
    return all(_requirement(part.strip(), have) for part in re.split(r",(?![^(]*\))", selector))


def _requirement(part: str, have: dict[str, str]) -> bool:
    if found := re.fullmatch(r"(\S+)\s+(in|notin)\s*\((.*)\)", part):
        key, operator, values = found.groups()
        inside = have.get(_key(key)) in [value.strip() for value in values.split(",")]
        return inside == (operator == "in")
    if found := re.fullmatch(r"([^!=]+?)\s*(!=|==?)\s*(.*)", part):
        key, operator, value = found.groups()
        return (have.get(_key(key)) == value) == (operator != "!=")
    return _key(part[1:].strip()) not in have if part.startswith("!") else _key(part) in have


def _key(key: str) -> str:
    return key.removeprefix("any:").removeprefix("any.")


def _ip(side: str) -> Check:
    def check(flow: Any, value: str) -> bool:
        actual = getattr(flow.IP, side)
        try:
            network = ipaddress.ip_network(value, strict=False)
            return bool(actual) and ipaddress.ip_address(actual) in network
        except ValueError as err:
            raise UnsupportedError(f"invalid IP filter {value!r}") from err

    return check


def _l4(flow: Any) -> tuple[str, Any]:
    name = flow.l4.WhichOneof("one") or ""
    return name, getattr(flow.l4, name) if name else None


def _port(side: str) -> Check:
    def check(flow: Any, value: str) -> bool:
        _, layer = _l4(flow)
        return layer is not None and str(getattr(layer, f"{side}_port", "")) == value

    return check


def _protocol(flow: Any, value: str) -> bool:
    name = _l4(flow)[0].lower()
    value = value.lower()
    if value in ("http", "dns", "kafka"):
        return bool(flow.l7.WhichOneof("one") == value)
    return name == value or (value == "icmp" and name.startswith("icmp"))


def _event(flow: Any, value: Any) -> bool:
    event = flow.event_type
    return event.type == value.type and (not value.match_sub_type or event.sub_type == value.sub_type)


def _flags(flow: Any, value: Any) -> bool:
    name, layer = _l4(flow)
    return name == "TCP" and all(getattr(layer.flags, field.name) for field, _ in value.ListFields())


def _status(flow: Any, value: str) -> bool:
    code = flow.l7.http.code
    return bool(code) and (str(code).startswith(value[:-1]) if value.endswith("+") else str(code) == value)


def _path(flow: Any, value: str) -> bool:
    url = flow.l7.http.url
    path = "/" + url.split("://", 1)[-1].partition("/")[2]
    return bool(url) and re.search(value, path.split("?")[0]) is not None


def _workload(side: str) -> Check:
    def check(flow: Any, value: Any) -> bool:
        workloads = getattr(flow, side).workloads
        return any(
            (not value.name or w.name == value.name) and (not value.kind or w.kind == value.kind) for w in workloads
        )

    return check


def _node(flow: Any, value: str) -> bool:
    cluster, _, name = value.rpartition("/")
    return cluster in ("", "default") and fnmatch.fnmatchcase(flow.node_name, name or "*")


CHECKS: dict[str, Check] = {
    "verdict": lambda flow, value: flow.verdict == value,
    "event_type": _event,
    "protocol": _protocol,
    "reply": lambda flow, value: flow.is_reply.value == value,
    "tcp_flags": _flags,
    "node_name": _node,
    "ip_version": lambda flow, value: flow.IP.ipVersion == value,
    "uuid": lambda flow, value: flow.uuid == value,
    "traffic_direction": lambda flow, value: flow.traffic_direction == value,
    "drop_reason_desc": lambda flow, value: flow.verdict == wire.Verdict.DROPPED and flow.drop_reason_desc == value,
    "http_status_code": _status,
    "http_method": lambda flow, value: flow.l7.http.method.upper() == value.upper(),
    "http_path": _path,
    "http_url": lambda flow, value: bool(flow.l7.http.url) and re.search(value, flow.l7.http.url) is not None,
    "http_header": lambda flow, value: any(
        h.key.lower() == value.key.lower() and h.value == value.value for h in flow.l7.http.headers
    ),
    "encrypted": lambda flow, value: flow.IP.encrypted == value,
    "node_labels": lambda flow, value: selector_matches(value, flow.node_labels),
    "source_service": lambda flow, value: False,
    "destination_service": lambda flow, value: False,
    "source_fqdn": lambda flow, value: False,
    "destination_fqdn": lambda flow, value: False,
    "dns_query": lambda flow, value: False,
    "trace_id": lambda flow, value: False,
    "ip_trace_id": lambda flow, value: False,
    "source_ip_xlated": lambda flow, value: False,
    "interface": lambda flow, value: flow.interface.name == value.name,
}
for _side in ("source", "destination"):
    CHECKS[f"{_side}_pod"] = _pod(_side)
    CHECKS[f"{_side}_label"] = _labels(_side)
    CHECKS[f"{_side}_ip"] = _ip(_side)
    CHECKS[f"{_side}_port"] = _port(_side)
    CHECKS[f"{_side}_identity"] = lambda flow, value, side=_side: getattr(flow, side).identity == value  # type: ignore[misc]
    CHECKS[f"{_side}_workload"] = _workload(_side)
    CHECKS[f"{_side}_cluster_name"] = lambda flow, value, side=_side: getattr(flow, side).cluster_name == value  # type: ignore[misc]
