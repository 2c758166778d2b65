"""The wire's filter: values of a field are alternatives, fields of a filter must all match."""

from __future__ import annotations

import msgspec

from installer.domain.flows.flow import Enum, Header, Interface, TCPFlags, Wire, Workload


class EventTypeFilter(Wire, frozen=True):
    """Event type, and its sub-type where ``match_sub_type``."""

    type: int = 0
    match_sub_type: bool = False
    sub_type: int = 0


class Experimental(Wire, frozen=True):
    """CEL expressions over ``_flow``; only servers evaluate them."""

    cel_expression: tuple[str, ...] = ()


class FlowFilter(Wire, frozen=True):
    """``flow.FlowFilter`` of Hubble v1.19/1.20; the match rule of each field is in ``filter_match``."""

    uuid: tuple[str, ...] = ()
    source_ip: tuple[str, ...] = ()
    source_ip_xlated: tuple[str, ...] = ()
    source_pod: tuple[str, ...] = ()
    source_fqdn: tuple[str, ...] = ()
    source_label: tuple[str, ...] = ()
    source_service: tuple[str, ...] = ()
    source_workload: tuple[Workload, ...] = ()
    source_cluster_name: tuple[str, ...] = ()
    destination_ip: tuple[str, ...] = ()
    destination_pod: tuple[str, ...] = ()
    destination_fqdn: tuple[str, ...] = ()
    destination_label: tuple[str, ...] = ()
    destination_service: tuple[str, ...] = ()
    destination_workload: tuple[Workload, ...] = ()
    destination_cluster_name: tuple[str, ...] = ()
    traffic_direction: tuple[Enum, ...] = ()
    verdict: tuple[Enum, ...] = ()
    drop_reason_desc: tuple[Enum, ...] = ()
    interface: tuple[Interface, ...] = ()
    event_type: tuple[EventTypeFilter, ...] = ()
    http_status_code: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    source_port: tuple[str, ...] = ()
    destination_port: tuple[str, ...] = ()
    reply: tuple[bool, ...] = ()
    dns_query: tuple[str, ...] = ()
    source_identity: tuple[int, ...] = ()
    destination_identity: tuple[int, ...] = ()
    http_method: tuple[str, ...] = ()
    http_path: tuple[str, ...] = ()
    http_url: tuple[str, ...] = ()
    http_header: tuple[Header, ...] = ()
    tcp_flags: tuple[TCPFlags, ...] = ()
    node_name: tuple[str, ...] = ()
    node_labels: tuple[str, ...] = ()
    ip_version: tuple[Enum, ...] = ()
    trace_id: tuple[str, ...] = ()
    ip_trace_id: tuple[str | int, ...] = ()
    encrypted: tuple[bool, ...] = ()
    experimental: Experimental | None = None


class FilterSet(msgspec.Struct, frozen=True):
    """What a request carries: any of ``whitelist`` (empty: all), and none of ``blacklist``."""

    whitelist: tuple[FlowFilter, ...] = ()
    blacklist: tuple[FlowFilter, ...] = ()
