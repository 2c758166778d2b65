"""Verdicts in words."""

from __future__ import annotations

from installer.domain.policy.model import Decision, Direction, HTTPRequest, Origin, Side, Traffic, Verdict

_REASONS = {
    "no-policy": "no policy selects {subject} for {direction}, so everything is allowed",
    "rule": "{origins} allows it",
    "l7-rule": "{origins} allows it",
    "localhost": "a node always reaches its own pods",
    "not-enforced": "policies are not enforced for {subject}",
    "default-deny-off": "the policies that select {subject} do not switch default deny on for {direction}",
    "same-pod": "a pod's traffic to itself meets no policy",
    "default-deny": "{subject} is in default deny for {direction} and no rule allows {peer}{port}",
    "deny-rule": "{origins} denies it",
    "l7-miss": "{origins} lets the connection in, but no rule of it admits {request}",
    "authentication": "{origins} demands mutual authentication, which fails",
    "conflict": "{origins} cannot be enforced together",
    "missing": "it depends on what is not known here",
}


def sentence(traffic: Traffic, verdict: Verdict) -> str:
    """Return one sentence for a verdict: who, what, and the rule that decided."""
    head = f"{traffic.source} to {traffic.dest}{_port(traffic)}: {verdict.decision}"
    side, direction = verdict.deciding, verdict.direction
    if side is None or direction is None:
        return f"{head}; neither side is an endpoint that policies apply to"
    return f"{head} at {direction}: {side_sentence(traffic, side, direction)}"


def side_sentence(traffic: Traffic, side: Side, direction: Direction) -> str:
    """Return why one side answered as it did."""
    egress = direction is Direction.EGRESS
    subject, peer = (traffic.source, traffic.dest) if egress else (traffic.dest, traffic.source)
    text = _REASONS[side.reason].format(
        subject=subject,
        peer=peer,
        direction=direction,
        origins=_named(side.origins),
        port=_port(traffic),
        request=_request(traffic),
    )
    if side.reason == "default-deny" and side.origins:
        text += f" (isolated by {_named(side.origins)})"
    if side.redirected and side.decision is Decision.ALLOW and traffic.l7 is None:
        text += "; its L7 rules judge each request"
    return text + (f" ({'; '.join(side.missing)})" if side.missing else "")


def _named(origins: tuple[Origin, ...]) -> str:
    shown = [str(origin) for origin in origins[:3]]
    more = f" and {len(origins) - 3} more" if len(origins) > 3 else ""
    return ", ".join(shown) + more


def _port(traffic: Traffic) -> str:
    if traffic.protocol.startswith("ICMP"):
        return f" {traffic.protocol} type {traffic.port}"
    return f" port {traffic.port}/{traffic.protocol}"


def _request(traffic: Traffic) -> str:
    request = traffic.l7
    if isinstance(request, HTTPRequest):
        return f"{request.method} {request.path}"
    return request.name if request is not None else "the request"
