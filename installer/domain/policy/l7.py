"""Requests against L7 rules (R55 to R63)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.policy.model import DNSQuery, HTTPRequest, Layer7, ServerName
from installer.domain.policy.patterns import Unjudged, expression, matches_name, plain_name


@dataclass(frozen=True, slots=True)
class HTTPRule:
    """One HTTP rule: every part that is there must match.

    Attributes:
        method: expression, None for any.
        path: expression over path and query string.
        host: expression over the authority.
        headers: ``(lower-case name, value)``, value None when it only has to be there.
        unclear: whether a part of it cannot be judged here: a header's value in a Secret, an expression.
        written: method, path and host as they stand in the policy.
    """

    method: re.Pattern[str] | None = None
    path: re.Pattern[str] | None = None
    host: re.Pattern[str] | None = None
    headers: tuple[tuple[str, str | None], ...] = ()
    unclear: bool = False
    written: tuple[str, str, str] = ("", "", "")

    def matches(self, request: HTTPRequest) -> bool:
        """Tell whether a request meets it."""
        parts = ((self.method, request.method), (self.path, request.path), (self.host, request.host))
        if not all(pattern is None or pattern.fullmatch(text) for pattern, text in parts):
            return False
        given = dict(request.headers)
        return all(name in given and value in (None, given[name]) for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class NameRule:
    """A DNS or server name: exact, or a pattern; both are alternatives."""

    exact: str = ""
    pattern: str = ""
    cascade: bool = True

    def matches(self, name: str) -> bool:
        """Tell whether a name meets it; without any name in it nothing does."""
        if self.exact and plain_name(self.exact) == plain_name(name):
            return True
        return bool(self.pattern) and matches_name(self.pattern, name, cascade=self.cascade)


@dataclass(frozen=True, slots=True)
class L7Rules:
    """What one rule demands of requests.

    Attributes:
        kind: ``http``, ``dns``, ``sni``, ``listener``, ``kafka`` or another parser's name.
        http: HTTP rules, alternatives.
        names: rules of dns and sni, alternatives.
    """

    kind: str
    http: tuple[HTTPRule, ...] = ()
    names: tuple[NameRule, ...] = ()

    def matches(self, request: Layer7) -> bool | None:
        """Tell whether a request passes; None when that is not known here."""
        if self.kind == "http" and isinstance(request, HTTPRequest):
            hits = [rule for rule in self.http if rule.matches(request)]
            return None if hits and all(rule.unclear for rule in hits) else bool(hits)
        if self.kind == "dns" and isinstance(request, DNSQuery):
            return any(rule.matches(request.name) for rule in self.names)
        if self.kind == "sni":
            if isinstance(request, ServerName):
                return any(rule.matches(request.name) for rule in self.names)
            return None
        return False if self.kind in ("http", "dns") else None


def http_rule(raw: Mapping[str, Any]) -> HTTPRule:
    """Read one HTTP rule.

    Raises:
        ValueError: an expression that RE2 refuses.
    """
    headers: list[tuple[str, str | None]] = []
    unclear = False
    for text in raw.get("headers") or ():
        name, colon, value = str(text).partition(":")
        headers.append((name.strip().lower(), value.strip() if colon else None))
    for item in raw.get("headerMatches") or ():
        if item.get("mismatch"):
            continue  # LOG, ADD, DELETE and REPLACE change or tell, they never block
        unclear = unclear or "secret" in item
        headers.append((str(item.get("name", "")).lower(), None if "secret" in item else item.get("value")))
    parts: dict[str, re.Pattern[str] | None] = {}
    for key in ("method", "path", "host"):
        try:
            parts[key] = expression(str(raw[key])) if raw.get(key) else None
        except ValueError as error:
            if key != "host" and not isinstance(error, Unjudged):
                raise
            parts[key], unclear = None, True  # agents do not look at hosts; what Envoy makes of it is not known
    method, path, host = (str(raw.get(key) or "") for key in ("method", "path", "host"))
    return HTTPRule(**parts, headers=tuple(headers), unclear=unclear, written=(method, path, host))


def name_rules(raw: Sequence[Mapping[str, Any]], *, cascade: bool) -> tuple[NameRule, ...]:
    """Read rules of ``dns`` or items of ``toFQDNs``."""
    return tuple(
        NameRule(str(item.get("matchName") or ""), str(item.get("matchPattern") or ""), cascade) for item in raw
    )


def l7_rules(port_rule: Mapping[str, Any], *, cascade: bool, kafka: bool) -> L7Rules | None:
    """Read what one ``toPorts`` item demands of requests; None where it demands nothing.

    Args:
        port_rule: the item.
        cascade: whether ``**.`` is known.
        kafka: whether the version still enforces kafka rules (R62).

    Raises:
        ValueError: an expression that RE2 refuses.
    """
    rules = port_rule.get("rules") or {}
    if http := rules.get("http"):
        return L7Rules("http", http=tuple(http_rule(item or {}) for item in http))
    if dns := rules.get("dns"):
        return L7Rules("dns", names=name_rules([item or {} for item in dns], cascade=cascade))
    if rules.get("kafka") and kafka:
        return L7Rules("kafka")
    if rules.get("l7proto") and kafka:
        return L7Rules(str(rules["l7proto"]))
    if names := port_rule.get("serverNames"):
        return L7Rules("sni", names=tuple(NameRule(pattern=str(name), cascade=cascade) for name in names))
    return L7Rules("listener") if port_rule.get("listener") else None
