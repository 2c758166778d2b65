"""Why a flow was dropped, told from the flow itself: the reason, who decided, and what change would let it through."""

from __future__ import annotations

from collections.abc import Mapping

from installer.domain.flows import names
from installer.domain.flows.drop_reasons import AUTH_REQUIRED, DROP_REASON, POLICY_DENY, POLICY_REASONS, drop_text
from installer.domain.flows.enums import DROP_REASONS
from installer.domain.flows.flow import Endpoint, Flow, Policy
from installer.domain.flows.printing import text
from installer.domain.tap.reasons import explain_kernel_drop

_ADVICE: Mapping[str, str] = {
    "STALE_OR_UNROUTABLE_IP": "The address belongs to no pod any more, or no route leads to it; look at its endpoint.",
    "UNSUPPORTED_L3_PROTOCOL": "Something other than IPv4, IPv6 or ARP was sent; Cilium carries only these.",
    "CT_MAP_INSERTION_FAILED": "The connection table is full: raise bpf.ctTcpMax or bpf.ctAnyMax.",
    "CT_TRUNCATED_OR_INVALID_HEADER": "The packet is damaged or cut; look at MTU and offloading of the interfaces.",
    "CT_MISSING_TCP_ACK_FLAG": "The packet is larger than the way allows and may not be fragmented: look at the MTU.",
    "INVALID_SOURCE_IP": "The pod sent from an address that is not its own.",
    "SERVICE_BACKEND_NOT_FOUND": "The Service has no backend that is ready: look at its endpoints.",
    "FIB_LOOKUP_FAILED": "The node knows no route or neighbour for the destination.",
    "UNKNOWN_L3_TARGET_ADDRESS": "No endpoint of this node has the destination's address.",
    "NO_MAPPING_FOR_NAT_MASQUERADE": "All ports for masquerading are in use, or the mapping of a reply is gone.",
    "NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT": "The tunnel to the destination's node is not known: look at its CiliumNode.",
    "MISSED_TAIL_CALL": "A program was being replaced, or is not loaded; if it goes on, restart the node's agent.",
    "DENIED_BY_LB_SRC_RANGE_CHECK": "The client is outside spec.loadBalancerSourceRanges of the Service.",
    "INVALID_IDENTITY": "The sender's identity is not known here yet; right after a start this passes by itself.",
    "UNENCRYPTED_TRAFFIC": "Strict encryption is on and this packet was not encrypted.",
    "TTL_EXCEEDED": "The packet went round, or its time to live was too short.",
    "DROP_HOST_NOT_READY": "The node's programs are not loaded yet; right after a start this passes by itself.",
    "DROP_EP_NOT_READY": "The endpoint's policy is not loaded yet; right after a start this passes by itself.",
    "NO_EGRESS_GATEWAY": "A CiliumEgressGatewayPolicy selects this flow, but no gateway node matches.",
    "DROP_NO_EGRESS_IP": "The egress gateway has no address for this flow on its interface.",
    "DROP_RATE_LIMITED": "A bandwidth limit of the pod or the node is reached.",
    "VLAN_FILTERED": "The VLAN is not among bpf.vlanBypass.",
}


def is_refused(flow: Flow) -> bool:
    """Tell whether the flow was dropped or refused, and so has something to explain."""
    return names.name_of(flow.verdict, names.VERDICT) in ("DROPPED", "ERROR")


def explain(flow: Flow) -> list[str]:
    """Return lines on why a flow was refused and what would allow it; none for one that was not.

    Texts of the cluster in them are as they came.
    """
    if not is_refused(flow):
        return []
    if flow.emitter is not None and isinstance(flow.drop_reason_desc, str) and flow.emitter.name == "tap":
        return explain_kernel_drop(flow.drop_reason_desc)
    number = reason_number(flow)
    if flow.l7 is not None:
        return [_at_proxy(flow), *_policies(flow)]
    name = DROP_REASON.get(number, str(number))
    lines = [f"why: {drop_text(number)} ({name}, {number})" if number else "why: the flow does not say"]
    if number not in POLICY_REASONS:
        return [*lines, f"fix: {_ADVICE[name]}"] if name in _ADVICE else lines
    return [*lines, f"where: {_where(flow)}", *_policies(flow), f"fix: {_change(flow, number)}"]


def reason_number(flow: Flow) -> int:
    """Return the number of the reason, 0 where the flow tells none."""
    if flow.drop_reason:
        return flow.drop_reason
    reason = flow.drop_reason_desc
    if isinstance(reason, int):
        return reason
    event = flow.event_type
    by_event = event.sub_type & 0xFF if event is not None and event.type == text.DROP else 0
    return DROP_REASONS.get(reason, 0) or by_event


def _at_proxy(flow: Flow) -> str:
    what = flow.summary or "the request"
    return f"why: the L7 proxy refused {what}: no rule for HTTP, DNS or Kafka on this port allows it"


def _egress(flow: Flow) -> bool | None:
    """Tell whether the sender's side refused; None where the flow does not say."""
    direction = names.name_of(flow.traffic_direction, names.TRAFFIC_DIRECTION)
    return {"EGRESS": True, "INGRESS": False}.get(direction)


def _where(flow: Flow) -> str:
    source, destination = text.bare_hosts(flow)
    egress = _egress(flow)
    if egress is None:
        return "the flow does not say at which side"
    return f"on the way out of {source} (egress)" if egress else f"on the way into {destination} (ingress)"


def _policies(flow: Flow) -> list[str]:
    told = [f"{item.kind or 'policy'} {item.namespace}/{item.name}".replace(" /", " ") for item in _denied(flow)]
    return [f"policies: {', '.join(told)}"] if told else []


def _denied(flow: Flow) -> list[Policy]:
    return [*flow.egress_denied_by, *flow.ingress_denied_by]


def _change(flow: Flow, number: int) -> str:
    if number == POLICY_DENY:
        which = "the policies named above" if _denied(flow) else "the deny rule that matches"
        return f"narrow or remove {which}: a deny rule wins over every allow rule."
    if number == AUTH_REQUIRED:
        return (
            "authentication was not done yet when this packet came (a retry follows), or failed: look at SPIRE's state."
        )
    egress = _egress(flow)
    peer = _peer(flow.destination if egress else flow.source, flow, egress=bool(egress))
    mine = _selected(flow.source if egress else flow.destination)
    side, to = ("egress", "to") if egress else ("ingress", "from")
    if egress is None:
        return f"allow {_port(flow)} between both sides in the policies that select them."
    return (
        f"a policy that selects {mine} must allow {side} {to} {peer} on {_port(flow)}; "
        f"selected for {side}, what no rule allows is denied."
    )


def _selected(endpoint: Endpoint | None) -> str:
    if endpoint is None:
        return "the endpoint"
    labels = _labels(endpoint)
    name = f"{endpoint.namespace}/{endpoint.pod_name}".strip("/")
    return f"{name} ({labels})" if name and labels else name or labels or "the endpoint"


def _peer(endpoint: Endpoint | None, flow: Flow, *, egress: bool) -> str:
    dns_names = flow.destination_names if egress else flow.source_names
    if dns_names:
        return f"toFQDNs {', '.join(dns_names)}" if egress else ", ".join(dns_names)
    if endpoint is not None and endpoint.pod_name:
        return f"pods {_labels(endpoint)} in namespace {endpoint.namespace}"
    reserved = text.identity(endpoint.identity if endpoint is not None else 0)[1:-1]
    address = "" if flow.ip is None else flow.ip.destination if egress else flow.ip.source
    entity = "" if reserved.startswith(("ID:", "unknown")) else f"entity {reserved}"
    if not address:
        return entity or "the peer"
    cidr = f"CIDR {address}/{128 if ':' in address else 32}"
    return f"{entity} or {cidr}" if entity else cidr


def _labels(endpoint: Endpoint) -> str:
    """Return the labels that a policy would select by: not those that Cilium adds."""
    own = [label.removeprefix("k8s:") for label in endpoint.labels if "io.cilium." not in label]
    return ", ".join(label for label in own if not label.startswith(("io.kubernetes.", "reserved:")))


def _port(flow: Flow) -> str:
    port = text.ports(flow)[1]
    protocol = text.protocol(flow) or "any protocol"
    return f"port {port}/{protocol}" if port else protocol
