"""Where values of fields are in a flow."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from installer.domain.flows.drop_reasons import DROP_REASON
from installer.domain.flows.filter_fields import ports
from installer.domain.flows.filter_l7 import http
from installer.domain.flows.flow import DNS, Endpoint, Flow
from installer.domain.flows.label_selector import Labels, find_value
from installer.domain.flows.names import VERDICT, name_of
from installer.domain.flows.request_uri import uri_path

Get = Callable[[Flow], Any]
"""Returns the value in a flow, None where it has none; a tuple where it has several."""


def of_endpoint(read: Callable[[Endpoint], Any]) -> Callable[[str], Get]:
    """Make reads of one side's endpoint."""

    def make(side: str) -> Get:
        get = attrgetter(side)
        return lambda flow: None if (part := get(flow)) is None else read(part)

    return make


def service(side: str) -> Get:
    """Read namespace and name of a side's service."""
    get = attrgetter(f"{side}_service")
    return lambda flow: None if (part := get(flow)) is None or not part.name else (part.namespace, part.name)


def address(side: str) -> Get:
    """Read an address of the IP part."""
    get = attrgetter(side)
    return lambda flow: None if flow.ip is None else get(flow.ip) or None


def port(side: str) -> Get:
    """Read a side's port."""
    index = 0 if side == "source" else 1
    return lambda flow: None if (pair := ports(flow)) is None else pair[index]


def dns_names(side: str) -> Get:
    """Read a side's DNS names."""
    return attrgetter(f"{side}_names")


def drop_reason(flow: Flow) -> str | None:
    """Read the name of why it was dropped."""
    if name_of(flow.verdict, VERDICT) != "DROPPED":
        return None
    reason = flow.drop_reason_desc
    return DROP_REASON.get(reason, str(reason)) if isinstance(reason, int) else reason or None


def labels(side: str) -> Get:
    """Read a side's labels."""
    get = attrgetter(side)
    return lambda flow: () if (part := get(flow)) is None else part.labels


def of_dns(read: Callable[[DNS], Any]) -> Get:
    """Make a read of the DNS record."""
    return lambda flow: None if flow.l7 is None or flow.l7.dns is None else read(flow.l7.dns)


def url(flow: Flow) -> str | None:
    """Return the URL of the HTTP record."""
    record = http(flow)
    return record.url or None if record is not None else None


def path(flow: Flow) -> str | None:
    """Return the path of the URL."""
    record = http(flow)
    return uri_path(record.url) if record is not None else None


def status(flow: Flow) -> int | None:
    """Return the status of the response."""
    record = http(flow)
    return record.code or None if record is not None else None


def latency(flow: Flow) -> int | None:
    """Return the nanoseconds to the response."""
    return int(flow.l7.latency_ns or 0) or None if flow.l7 is not None else None


def policies(flow: Flow) -> tuple[tuple[str, str], ...]:
    """Return namespace and name of all policies of the verdict."""
    lists = (flow.egress_allowed_by, flow.ingress_allowed_by, flow.egress_denied_by, flow.ingress_denied_by)
    return tuple((policy.namespace, policy.name) for policies in lists for policy in policies)


def attribute(name: str) -> Get:
    """Read an attribute; empty counts as none."""
    get = attrgetter(name)
    return lambda flow: get(flow) or None


def digits(time: str, at: int) -> int | None:
    """Return the two digits of a time at an index."""
    part = time[at : at + 2]
    return int(part) if len(part) == 2 and part.isascii() and part.isdigit() else None


def header(key: str) -> Get:
    """Read the values of a header."""

    def get(flow: Flow) -> tuple[str, ...]:
        record = http(flow)
        return () if record is None else tuple(item.value for item in record.headers if item.key == key)

    return get


def split_key(key: str) -> tuple[str, str]:
    """Return source and key of a label's name."""
    source, colon, rest = key.partition(":")
    return (source, rest) if colon else ("any", key)


def label(get: Get, key: str) -> Get:
    """Read the value of one label."""
    source, name = split_key(key)

    def read(flow: Flow) -> str | None:
        labels: Labels = get(flow)
        return find_value(labels, source, name)

    return read
