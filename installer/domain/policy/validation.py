"""All that can be said of policy documents: can they be read, does the API take them, do agents, are they wise."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.findings import Finding, Level, QuickFix, Report, place
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.model import Settings
from installer.domain.policy.sanitize import sanitize
from installer.domain.policy.schema import check, crd_schema

API_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "CiliumNetworkPolicy": ("cilium.io/v2",),
    "CiliumClusterwideNetworkPolicy": ("cilium.io/v2",),
    "NetworkPolicy": ("networking.k8s.io/v1",),
    "ClusterNetworkPolicy": ("policy.networking.k8s.io/v1alpha2",),
}
"""API versions by kind of policy."""

Lint = Callable[[Sequence[SourceDocument]], Iterable[tuple[SourceDocument, Finding]]]


def validate(
    documents: Sequence[SourceDocument],
    crds: Mapping[str, Mapping[str, Any]],
    settings: Settings | None = None,
    lint: Lint | None = None,
) -> Report:
    """Check documents, each for itself; lint comes last and sees only those that agents would use.

    Args:
        documents: of any number of files.
        crds: CustomResourceDefinitions by kind, the cluster's own; beeyard's where one is missing.
        settings: of the cluster.
        lint: judges what is legal but may be wrong.
    """
    settings = settings or Settings()
    found: list[Finding] = []
    usable: list[SourceDocument] = []
    for document in documents:
        problems = [*document.problems, *_problems(document, crds, settings)]
        found += [_placed(problem, document) for problem in problems]
        if not any(problem.level is Level.ERROR for problem in problems):
            usable.append(document)
    found += _twice(usable)
    if lint is not None:
        found += [_placed(finding, document) for document, finding in lint(usable)]
    order = {document.file: number for number, document in enumerate(documents)}
    return Report(tuple(sorted(found, key=lambda item: (order.get(item.file, 0), _line(item)))))


def _line(finding: Finding) -> tuple[int, int]:
    return (finding.mark.line, finding.mark.column) if finding.mark else (0, 0)


def _problems(document: SourceDocument, crds: Mapping[str, Any], settings: Settings) -> Iterable[Finding]:
    data = document.data
    if data is None:
        return
    if not isinstance(data, dict):
        yield Finding(Level.ERROR, "P-SCHEMA-001", "the document is no object", fix="Begin with apiVersion and kind.")
        return
    kind = str(data.get("kind") or "")
    if kind not in API_VERSIONS:
        yield _unknown_kind(data, kind)
        return
    version = str(data.get("apiVersion") or "")
    if version not in API_VERSIONS[kind]:
        wanted = API_VERSIONS[kind][0]
        quick = QuickFix(f"write {wanted}", ("apiVersion",), wanted)
        text = f"{kind} has no version {version!r}" if version else "apiVersion is missing"
        yield Finding(Level.ERROR, "P-SCHEMA-011", text, ("apiVersion",), f"Write {wanted}.", quick)
    if not isinstance(data.get("metadata") or {}, dict):
        yield Finding(Level.ERROR, "P-SCHEMA-001", "metadata is no mapping", ("metadata",), "Write name and namespace.")
        return
    if crd := crds.get(kind) or KNOWN_CRDS.get(kind):
        yield from check(data, crd_schema(crd))
    if kind.startswith("Cilium"):
        yield from _sanitized(data, settings)


def _sanitized(data: Mapping[str, Any], settings: Settings) -> list[Finding]:
    try:
        return sanitize(data, settings)
    except (TypeError, AttributeError, ValueError) as error:  # values of types that the schema has told already
        return [Finding(Level.ERROR, "P-RULE-000", f"agents cannot read it: {error}", ("spec",))]


def _unknown_kind(data: Mapping[str, Any], kind: str) -> Finding:
    near = difflib.get_close_matches(kind, API_VERSIONS, n=1)
    text = f"{kind!r} is no kind of policy" if kind else "kind is missing"
    if kind and not near and data.get("apiVersion"):
        return Finding(Level.INFO, "P-SCHEMA-010", f"{text}; it is left alone", ("kind",))
    quick = QuickFix(f"write {near[0]}", ("kind",), near[0]) if near else None
    fix = f"Did you mean {near[0]}?" if near else f"One of {', '.join(API_VERSIONS)}."
    return Finding(Level.ERROR, "P-SCHEMA-010", text, ("kind",), fix, quick)


def _twice(documents: Sequence[SourceDocument]) -> Iterable[Finding]:
    """Yield objects that stand in the files more than once: the later one wins silently."""
    seen: dict[tuple[Any, ...], SourceDocument] = {}
    for document in documents:
        if not isinstance(document.data, dict):
            continue
        metadata = _metadata(document)
        key = (document.data.get("kind"), str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))
        if key in seen and key[2]:
            first = seen[key]
            text = f"{key[0]} {key[2]} stands here a second time; the first is in {first.file}:{first.line}"
            finding = Finding(Level.WARNING, "P-LINT-001", text, ("metadata", "name"), "Keep one of the two.")
            yield _placed(finding, document)
        seen.setdefault(key, document)


def _metadata(document: SourceDocument) -> Mapping[str, Any]:
    found = document.data.get("metadata") if isinstance(document.data, dict) else None
    return found if isinstance(found, dict) else {}


def _placed(finding: Finding, document: SourceDocument) -> Finding:
    metadata = _metadata(document)
    name, namespace = metadata.get("name") or "", metadata.get("namespace")
    kind = document.data.get("kind", "") if isinstance(document.data, dict) else ""
    label = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}".strip()
    mark = finding.mark or place(document.marks, finding.path)
    return replace(finding, mark=mark, file=document.file, object=label)
