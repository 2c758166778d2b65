"""HTTP and DNS rules that do not say what they seem to (R55 to R63)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.findings import QuickFix
from installer.domain.policy.lint.scene import Scene, Told, told
from installer.domain.policy.patterns import Unjudged, expression
from installer.domain.yaml_document import Path

Raw = Mapping[str, Any]
_TLS_PORTS = ("443", "6443", "8443", "9443")
_DNS_PORTS = ("53", "5353", "1053", "8053", "9053", "0")
_GLOB = re.compile(r"(?:^|[^.\])}\\*])\*")
"""A star that repeats a plain character, as in ``/api/*``."""
_BARE_DOT = re.compile(r"(?<!\\)\.(?![*+?{])")
_QUERY = re.compile(r"\.[*+]|\\\?|\[\^")


def rules(scene: Scene) -> Iterable[Told]:
    """Judge the L7 part of every rule; of query strings each document is told once."""
    queried: set[int] = set()
    for item in scene.items():
        for path, rule in item.port_rules():
            wanted = rule.get("rules") or {}
            at = (*path, "rules")
            for kind in ("http", "dns"):
                if wanted.get(kind) == []:
                    text = f"an empty list of {kind} rules demands nothing: the whole port is open"
                    yield told(
                        item.document, "P-LINT-070", text, (*at, kind), f"Name what is admitted, or drop {kind}."
                    )
            for index, one in enumerate(wanted.get("http") or ()):
                for document, finding in _http(item.document, one or {}, (*at, "http", index)):
                    if finding.code != "P-LINT-074" or id(document) not in queried:
                        yield document, finding
                    queried |= {id(document)} if finding.code == "P-LINT-074" else set()
            yield from _dns(item.document, rule, path)
            yield from _tls(item.document, rule, path)


def _http(document: SourceDocument, rule: Raw, path: Path) -> Iterable[Told]:
    yield from _path(document, str(rule.get("path") or ""), (*path, "path"))
    yield from _host(document, str(rule.get("host") or ""), (*path, "host"))
    method = str(rule.get("method") or "")
    if method and method != method.upper() and re.fullmatch(r"[A-Za-z|]+", method):
        quick = QuickFix(f"write {method.upper()}", (*path, "method"), method.upper())
        text = f"methods are compared exactly and are in upper case: {method!r} matches none"
        yield told(document, "P-LINT-075", text, (*path, "method"), f"Write {method.upper()}.", quick)


def _path(document: SourceDocument, text: str, path: Path) -> Iterable[Told]:
    if not text:
        return
    if _GLOB.search(_without_classes(text)):
        words = f"path {text!r} is a regular expression: * repeats the character before it"
        yield told(document, "P-LINT-073", words, path, f"For a wildcard write {_GLOB.sub(_dotted, text)!r}.")
        return
    if re.match(r"[A-Za-z0-9]", text):
        quick = QuickFix(f"write /{text}", path, f"/{text}")
        yield told(
            document,
            "P-LINT-071",
            f"paths begin with a slash, so {text!r} matches none",
            path,
            f"Write /{text}.",
            quick,
        )
    elif not _QUERY.search(text):
        words = f"path {text!r} has to match in full, so a request with a query string is refused"
        yield told(document, "P-LINT-074", words, path, rf"If there are any, write {text.rstrip('$')}(\?.*)?")


def _dotted(found: re.Match[str]) -> str:
    return found.group(0).replace("*", ".*")


def _without_classes(text: str) -> str:
    return re.sub(r"\[[^\]]*\]", "[]", text)


def _host(document: SourceDocument, text: str, path: Path) -> Iterable[Told]:
    if not text:
        return
    try:
        expression(text)
    except Unjudged:
        pass
    except ValueError as error:
        words = f"host {text!r} is no regular expression: {error}; agents do not check it, Envoy refuses the whole rule"
        yield told(document, "P-LINT-076", words, path, "Write a wildcard as [^.]* or .*")
        return
    if _GLOB.search(_without_classes(text)):
        words = f"host {text!r} is a regular expression: * repeats the character before it"
        yield told(document, "P-LINT-073", words, path, f"For a wildcard write {_GLOB.sub(_dotted, text)!r}.")
    elif _BARE_DOT.search(_without_classes(text)):
        right = _BARE_DOT.sub(r"\.", text)
        quick = QuickFix(f"write {right}", path, right)
        yield told(
            document, "P-LINT-072", f"each dot in host {text!r} matches any character", path, f"Write {right}", quick
        )


def _dns(document: SourceDocument, rule: Raw, path: Path) -> Iterable[Told]:
    wanted = (rule.get("rules") or {}).get("dns") or ()
    for index, one in enumerate(wanted):
        if not (one or {}).get("matchName") and not (one or {}).get("matchPattern"):
            at = (*path, "rules", "dns", index)
            quick = QuickFix("admit every name", (*at, "matchPattern"), "*")
            yield told(
                document, "P-LINT-078", "an empty dns rule admits no name", at, 'Write matchPattern: "*".', quick
            )
    if wanted:
        for index, port in enumerate(rule.get("ports") or ()):
            number = str((port or {}).get("port") or "")
            if number.isdigit() and number not in _DNS_PORTS:
                text = f"dns rules stand on port {number}, where DNS is unusual; other traffic there is refused"
                yield told(document, "P-LINT-079", text, (*path, "ports", index))


def _tls(document: SourceDocument, rule: Raw, path: Path) -> Iterable[Told]:
    if not (rule.get("rules") or {}).get("http") or rule.get("terminatingTLS"):
        return
    for index, port in enumerate(rule.get("ports") or ()):
        if str((port or {}).get("port")) in _TLS_PORTS:
            text = f"port {port['port']} most likely speaks TLS, which the proxy cannot read: every request fails"
            fix = "Use serverNames, or terminate TLS with terminatingTLS and originatingTLS."
            yield told(document, "P-LINT-077", text, (*path, "ports", index), fix)


CHECKS = (rules,)
