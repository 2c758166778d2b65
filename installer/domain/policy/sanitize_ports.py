"""What Cilium refuses in ports, ICMP types and L7 rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from installer.domain.policy.compile_ports import ICMP_TYPES
from installer.domain.policy.findings import Finding, QuickFix
from installer.domain.policy.model import EXTENDED, Settings
from installer.domain.policy.patterns import Unjudged, expression
from installer.domain.policy.sanitize_parts import check_name, error
from installer.domain.yaml_document import Path

Raw = Mapping[str, Any]
MAX_PORTS = 40
_PROTOCOLS = ("TCP", "UDP", "SCTP", "ANY")
_PORT_NAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_PARSERS = ("http", "dns", "kafka", "l7", "l7proto")
_MISMATCHES = ("", "LOG", "ADD", "DELETE", "REPLACE")


def check_icmps(item: Raw, path: Path) -> Iterable[Finding]:
    """Check the ``icmps`` of a rule."""
    for index, icmp in enumerate(item.get("icmps") or ()):
        fields = (icmp or {}).get("fields") or ()
        at = (*path, "icmps", index, "fields")
        if len(fields) > MAX_PORTS:
            yield error("P-RULE-041", f"{len(fields)} types where at most {MAX_PORTS} may stand", at)
        for number, field in enumerate(fields):
            yield from _icmp_field(field or {}, (*at, number))


def _icmp_field(field: Raw, path: Path) -> Iterable[Finding]:
    family = str(field.get("family") or "IPv4")
    if family not in ICMP_TYPES:
        yield error("P-RULE-042", f"{family!r} is no family", (*path, "family"), "IPv4 or IPv6.")
        return
    kind = field.get("type")
    if str(kind).isdigit():
        if int(str(kind)) > 255:
            yield error("P-RULE-042", f"ICMP type {kind} is above 255", (*path, "type"))
    elif str(kind) not in ICMP_TYPES[family]:
        yield error("P-RULE-042", f"{family} has no ICMP type {kind!r}", (*path, "type"), "Use its number.")


def check_ports(item: Raw, section: str, path: Path, *, node: bool, settings: Settings) -> Iterable[Finding]:
    """Check the ``toPorts`` of a rule.

    Args:
        item: the rule.
        section: ``ingress``, ``ingressDeny``, ``egress`` or ``egressDeny``.
        path: place of the rule.
        node: whether the policy is one for nodes.
        settings: of the cluster.
    """
    for index, rule in enumerate(item.get("toPorts") or ()):
        if isinstance(rule, Mapping):
            yield from _PortRule(rule, section, (*path, "toPorts", index), node, settings).findings()


class _PortRule:
    def __init__(self, rule: Raw, section: str, path: Path, node: bool, settings: Settings):
        self._rule = rule
        self._section = section
        self._path = path
        self._node = node
        self._settings = settings
        self._ingress = section.startswith("ingress")

    def findings(self) -> Iterable[Finding]:
        ports = self._rule.get("ports") or ()
        if len(ports) > MAX_PORTS:
            text = f"{len(ports)} ports where at most {MAX_PORTS} may stand"
            yield error("P-RULE-043", text, (*self._path, "ports"), "Use endPort, or a second item of toPorts.")
        for index, port in enumerate(ports):
            if isinstance(port, Mapping):
                yield from _port(port, (*self._path, "ports", index))
        yield from self._l7()
        yield from self._tls()

    def _l7(self) -> Iterable[Finding]:
        rules = self._rule.get("rules") or {}
        kinds = [kind for kind in _PARSERS[:3] if rules.get(kind)]
        at = (*self._path, "rules")
        if rules and self._section.endswith("Deny"):
            text = "a deny rule has no L7 rules; the API drops them and the whole port is denied"
            yield error("P-RULE-060", text, at, "Allow what may pass instead.")
            return
        if len(kinds) > 1:
            yield error("P-RULE-061", f"{kinds[0]} and {kinds[1]} rules cannot stand together", at, "Use two items.")
        if not kinds:
            return
        if not self._settings.l7_proxy:
            yield error("P-RULE-062", "L7 rules need the L7 proxy, which is off", at, "Helm: l7Proxy=true.")
        yield from self._placement(kinds[0], at)
        if "dns" in kinds:
            yield from self._dns(rules["dns"], (*at, "dns"))
        if "http" in kinds:
            for index, rule in enumerate(rules["http"]):
                yield from _http(rule or {}, (*at, "http", index))

    def _placement(self, kind: str, at: Path) -> Iterable[Finding]:
        if self._node and (self._ingress or kind != "dns"):
            side = "ingress" if self._ingress else "egress"
            yield error("P-RULE-063", f"a policy for nodes takes no {kind} rules on {side}", at)
        for index, port in enumerate(self._rule.get("ports") or ()):
            protocol = str((port or {}).get("protocol") or "ANY").upper()
            if str((port or {}).get("port")) == "0":
                where = (*self._path, "ports", index, "port")
                yield error("P-RULE-064", "L7 rules need a port; 0 means all", where)
            if kind != "dns" and protocol != "TCP":
                where = (*self._path, "ports", index, "protocol")
                quick = QuickFix("write protocol: TCP", (*self._path, "ports", index, "protocol"), "TCP")
                yield error("P-RULE-065", f"{kind} rules apply to TCP, not to {protocol}", where, "TCP.", quick)

    def _dns(self, rules: Any, path: Path) -> Iterable[Finding]:
        if self._ingress:
            yield error("P-RULE-066", "dns rules judge what pods ask, so they belong to egress", path)
        ports = self._rule.get("ports") or ()
        if not ports:
            yield error("P-RULE-067", "dns rules need a port", self._path, "Write port 53, UDP and TCP.")
        for index, port in enumerate(ports):
            if (port or {}).get("endPort"):
                where = (*self._path, "ports", index, "endPort")
                yield error("P-RULE-067", "dns rules take no range of ports", where)
        for index, rule in enumerate(rules):
            if isinstance(rule, Mapping):
                yield from check_name(rule, (*path, index), both=True)

    def _tls(self) -> Iterable[Finding]:
        names = self._rule.get("serverNames") or ()
        if any(not str(name) for name in names):
            yield error("P-RULE-068", "a server name is empty", (*self._path, "serverNames"))
        terminated = self._rule.get("terminatingTLS") or self._rule.get("originatingTLS")
        if names and self._rule.get("rules") and not terminated:
            text = "serverNames and L7 rules exclude each other unless TLS is terminated"
            yield error("P-RULE-068", text, (*self._path, "serverNames"))
        if self._rule.get("listener"):
            at = (*self._path, "listener")
            if self._ingress:
                yield error("P-RULE-069", "a listener is for egress only", at)
            if self._rule.get("rules"):
                yield error("P-RULE-069", "a listener and L7 rules exclude each other", at)


def _port(port: Raw, path: Path) -> Iterable[Finding]:
    protocol = str(port.get("protocol") or "ANY")
    value = port.get("port")
    extended = protocol.upper() in EXTENDED
    if protocol.upper() not in _PROTOCOLS and not extended:
        yield error("P-RULE-044", f"{protocol!r} is no protocol", (*path, "protocol"), ", ".join(_PROTOCOLS))
    if extended:
        if str(value or "0") != "0":
            yield error("P-RULE-045", f"{protocol} has no ports: leave port out", (*path, "port"))
        return
    text = "" if value is None else str(value)
    if not text:
        yield error("P-RULE-046", "the port is missing", path, 'Write a port such as "80", or "0" for all.')
    elif text.isdigit():
        if int(text) > 65535:
            yield error("P-RULE-046", f"port {text} is above 65535", (*path, "port"))
    elif not (_PORT_NAME.fullmatch(text) and len(text) <= 15 and re.search("[a-zA-Z]", text)):
        yield error("P-RULE-046", f"{text!r} is neither a port nor the name of one", (*path, "port"))


def _http(rule: Raw, path: Path) -> Iterable[Finding]:
    for key in ("path", "method"):
        if rule.get(key):
            try:
                expression(str(rule[key]))
            except Unjudged:
                continue
            except ValueError as problem:
                text = f"{key} {rule[key]!r} is no regular expression: {problem}"
                fix = "A wildcard is written .* here." if "*" in str(rule[key]) else ""
                yield error("P-RULE-070", text, (*path, key), fix)
    for index, item in enumerate(rule.get("headerMatches") or ()):
        at = (*path, "headerMatches", index)
        if not (item or {}).get("name"):
            yield error("P-RULE-071", "the name of the header is missing", at)
        if str((item or {}).get("mismatch") or "") not in _MISMATCHES:
            yield error(
                "P-RULE-071", f"{item['mismatch']!r} is no action", (*at, "mismatch"), "LOG, ADD, DELETE, REPLACE."
            )
        if "secret" in (item or {}) and not (item["secret"] or {}).get("name"):
            yield error("P-RULE-071", "the Secret's name is missing", (*at, "secret"))
