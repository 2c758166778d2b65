"""Traps in namespaces and label keys (R1, R8, R14, R37)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from installer.domain.policy import labels as lb
from installer.domain.policy.findings import QuickFix
from installer.domain.policy.labels import split_key
from installer.domain.policy.lint.scene import Scene, Told, specs_of, told
from installer.domain.policy.lint.selectors import raw_selectors
from installer.domain.yaml_document import Path

_SOURCES = ("k8s.", "any.", "reserved.")


def own_namespace(scene: Scene) -> Iterable[Told]:
    """Find subjects of a namespaced policy that name a namespace: ``k8s:`` is overwritten, without it adds up (R1)."""
    for document in scene.documents:
        if document.data.get("kind") != "CiliumNetworkPolicy":
            continue
        own = str((document.data.get("metadata") or {}).get("namespace") or "default")
        for path, spec in specs_of(document):
            wanted = ((spec.get("endpointSelector") or {}).get("matchLabels")) or {}
            for key, value in wanted.items():
                source, name = split_key(str(key))
                if name != lb.NAMESPACE or value == own:
                    continue
                at = (*path, "endpointSelector", "matchLabels", key)
                text = f"a policy in {own} selects pods of {own} only; {value!r} here is overwritten"
                if source == lb.ANY:
                    text = f"a policy in {own} selects pods of {own} only; with {value!r} asked for too it selects none"
                fix = f"Put the policy into namespace {value}, or use a CiliumClusterwideNetworkPolicy."
                yield told(document, "P-LINT-020", text, at, fix)


def negated_namespace(scene: Scene) -> Iterable[Told]:
    """Find peers outside some namespaces, which were meant to be pods but are everything else too (R14)."""
    if scene.settings.peers_are_local:
        return
    for document, path, raw in raw_selectors(scene):
        if "endpointSelector" in path or "podSelector" in path:
            continue
        for index, one in enumerate(raw.get("matchExpressions") or ()):
            name = split_key(str(one.get("key", "")))[1]
            if name == lb.NAMESPACE and one.get("operator") in ("NotIn", "DoesNotExist"):
                text = "this also matches what has no namespace: the world, nodes and Cilium's own endpoints"
                fix = f"Add an expression that {lb.NAMESPACE} exists."
                yield told(document, "P-LINT-021", text, (*path, "matchExpressions", index), fix)


def reserved_world(scene: Scene) -> Iterable[Told]:
    """Find the label ``reserved:world`` where externals carry a label of their family instead (R37)."""
    if not scene.settings.dual_stack:
        return
    for document, path, key, place in _all_keys(scene):
        if split_key(key) == ("reserved", "world"):
            text = "with IPv4 and IPv6 on, externals carry reserved:world-ipv4 or -ipv6, so this matches none of them"
            yield told(document, "P-LINT-022", text, (*path, *place), "Use fromEntities or toEntities: [world].")


def spelling(scene: Scene) -> Iterable[Told]:
    """Find sources joined with a dot, and namespace keys that are nearly right."""
    for document, path, key, place in _all_keys(scene):
        at = (*path, *place)
        renameable = "matchLabels" in place
        joined = next((source for source in _SOURCES if key.startswith(source)), "")
        if joined:
            right = key.replace(".", ":", 1)
            quick = (
                QuickFix(f"write {right}", at, rename=right) if renameable else QuickFix(f"write {right}", at, right)
            )
            text = f"{key!r} is a key of its own; a source is joined with a colon"
            yield told(document, "P-LINT-023", text, at, f"Write {right}.", quick)
            continue
        name = split_key(key)[1]
        near = name != lb.NAMESPACE and not name.startswith(lb.NAMESPACE_LABELS)
        if near and difflib.SequenceMatcher(None, name, lb.NAMESPACE).ratio() > 0.85:
            right = f"k8s:{lb.NAMESPACE}"
            quick = (
                QuickFix(f"write {right}", at, rename=right) if renameable else QuickFix(f"write {right}", at, right)
            )
            text = f"{key!r} is nearly the label that holds the namespace"
            yield told(document, "P-LINT-024", text, at, f"Write {right}.", quick)


def namespace_labels(scene: Scene) -> Iterable[Told]:
    """Find labels of namespaces that no namespace carries, or that are asked of pods (R12)."""
    world = scene.world
    if world is None or not world.namespaces:
        return
    known = {key for labels in world.namespaces.values() for key in labels}
    on_pods = {key for pod in scene.pods for key, _ in pod.peer.set.pairs()}
    for document, path, key, place in _all_keys(scene):
        _, name = split_key(key)
        at = (*path, *place)
        if name.startswith(lb.NAMESPACE_LABELS):
            bare = name.removeprefix(lb.NAMESPACE_LABELS)
            if bare not in known:
                near = difflib.get_close_matches(bare, known, n=1)
                fix = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known)[:8])}."
                yield told(document, "P-LINT-025", f"no namespace has a label {bare!r}", at, fix)
        elif name in known and name not in on_pods and not name.startswith("kubernetes.io/"):
            text = f"{name!r} is a label of namespaces; no pod carries it"
            yield told(document, "P-LINT-025", text, at, f"Write k8s:{lb.NAMESPACE_LABELS}{name}.")


def _all_keys(scene: Scene) -> Iterator[tuple[Any, Path, str, Path]]:
    for document, path, raw in raw_selectors(scene):
        labels = raw.get("matchLabels") or {}
        if isinstance(labels, Mapping):
            for key in labels:
                yield document, path, str(key), ("matchLabels", str(key))
        for index, one in enumerate(raw.get("matchExpressions") or ()):
            yield document, path, str(one.get("key", "")), ("matchExpressions", index, "key")


CHECKS = (own_namespace, negated_namespace, reserved_world, spelling, namespace_labels)
