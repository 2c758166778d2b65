"""Selectors that select nothing: which key is to blame, and what it was probably meant to be (R7 to R15)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from installer.domain.policy import labels as lb
from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.entry import Labelled, Rule
from installer.domain.policy.findings import QuickFix
from installer.domain.policy.labels import LabelSet, Requirement, Selector, is_identity_label, split_key
from installer.domain.policy.lint.scene import Scene, Told, items_of, rule_path, specs_of, told
from installer.domain.policy.model import ENTITY_LABELS, entity
from installer.domain.yaml_document import Path

_NEAR = 0.75


def subjects(scene: Scene) -> Iterable[Told]:
    """Find policies that select no pod, or only finished ones."""
    if scene.world is None or not scene.world.pods:
        return
    for document, _, rule in scene.rules():
        if rule.subject.node or rule.subject.selector.mentions_source("reserved") or scene.subjects(rule):
            continue
        finished = [pod for pod in scene.world.pods if pod.finished and rule.subject.matches(pod.peer)]
        path = _subject_path(document, rule)
        if finished:
            text = f"only finished pods are selected, such as {finished[0].namespace}/{finished[0].name}"
            yield told(document, "P-LINT-012", text, path)
        else:
            why = _Diagnosis(scene, rule.subject.selector, _at(document.data, path), path)
            yield told(document, "P-LINT-010", f"no pod is selected: {why.text}", why.path, why.fix, why.quick)


def peers(scene: Scene) -> Iterable[Told]:
    """Find peer selectors that select no pod."""
    if scene.world is None or not scene.world.pods:
        return
    known = [pod.peer.set for pod in scene.pods] + [entity(name).set for name in ENTITY_LABELS]
    for document, path, selector in _peer_selectors(scene):
        away = selector.mentions(lb.CLUSTER) and not _names_local(selector, scene.settings.cluster)
        if away or any(selector.matches(labels) for labels in known):
            continue
        why = _Diagnosis(scene, selector, _at(document.data, path), path)
        yield told(document, "P-LINT-011", f"no pod meets this selector: {why.text}", why.path, why.fix, why.quick)


def _names_local(selector: Selector, cluster: str) -> bool:
    wanted = [one for one in selector.requirements if one.key == lb.CLUSTER]
    return all(one.operator == "In" and one.values == {cluster} for one in wanted)


def _peer_selectors(scene: Scene) -> Iterator[tuple[SourceDocument, Path, Selector]]:
    for document, _, rule in scene.rules():
        for entry in rule.entries:
            base = rule_path(entry.origin.path)
            ingress = entry.direction.value == "ingress"
            word = "from" if ingress else "to"
            for index, peer in enumerate(entry.peers or ()):
                raw = _at(document.data, base)
                key = f"{word}Endpoints" if f"{word}Endpoints" in raw else word
                if isinstance(peer, Labelled) and isinstance(raw.get(key), list) and index < len(raw[key]):
                    yield document, (*base, key, index), peer.selector


def filtered(scene: Scene) -> Iterable[Told]:
    """Find labels that never become part of an identity, so that a selector on them matches nothing (R7)."""
    for document, path, raw in raw_selectors(scene):
        for key, place, operator in _keys(raw):
            source, name = split_key(key)
            asked = operator in ("In", "Exists") and source in (lb.ANY, "k8s")
            if asked and not is_identity_label(name) and not name.startswith("io.cilium"):
                seen = scene.world is not None and any(pod.peer.set.has_key(name) for pod in scene.pods)
                if seen:
                    continue  # this cluster's own filter lets it through
                text = f"Cilium keeps the label {name!r} out of identities, so nothing ever matches"
                fix = "Select by another label, or add this one to `labels` of cilium-config."
                if name == "kubernetes.io/metadata.name":
                    text = f"{name!r} is a label of namespaces; pods do not carry it, so nothing ever matches"
                    fix = f"Write k8s:{lb.NAMESPACE}."
                    yield told(document, "P-LINT-025", text, (*path, *place), fix)
                else:
                    yield told(document, "P-LINT-013", text, (*path, *place), fix)


def raw_selectors(scene: Scene) -> Iterator[tuple[SourceDocument, Path, Mapping[str, Any]]]:
    """Yield the selectors of pods as written, of all kinds but the nodes'."""
    for document in scene.documents:
        for path, spec in specs_of(document):
            for key in ("endpointSelector", "podSelector"):
                if isinstance(spec.get(key), Mapping):
                    yield document, (*path, key), spec[key]
        for item in items_of(document):
            key = f"{item.word}Endpoints"
            for index, raw in enumerate(item.raw.get(key) or ()):
                yield document, (*item.path, key, index), raw or {}
        yield from _of_kubernetes(document)


def _of_kubernetes(document: SourceDocument) -> Iterator[tuple[SourceDocument, Path, Mapping[str, Any]]]:
    if document.data.get("kind") != "NetworkPolicy":
        return
    spec = document.data.get("spec") or {}
    for section, word in (("ingress", "from"), ("egress", "to")):
        for index, item in enumerate(spec.get(section) or ()):
            for number, raw in enumerate((item or {}).get(word) or ()):
                if isinstance((raw or {}).get("podSelector"), Mapping):
                    path = ("spec", section, index, word, number, "podSelector")
                    yield document, path, raw["podSelector"]


def _keys(raw: Mapping[str, Any]) -> Iterator[tuple[str, Path, str]]:
    for key in raw.get("matchLabels") or {}:
        yield str(key), ("matchLabels", str(key)), "In"
    for index, one in enumerate(raw.get("matchExpressions") or ()):
        yield str(one.get("key", "")), ("matchExpressions", index, "key"), str(one.get("operator"))


class _Diagnosis:
    """Why a selector selects nothing."""

    def __init__(self, scene: Scene, selector: Selector, raw: Any, path: Path):
        self._known = [pod.peer.set for pod in scene.pods]
        self._raw = raw if isinstance(raw, Mapping) else {}
        self.path = path
        self.fix = ""
        self.quick: QuickFix | None = None
        self.text = "no pod has all these labels together"
        culprit = self._culprit(selector.requirements)
        if culprit is not None:
            self._explain(culprit, [one for one in selector.requirements if one is not culprit])

    def _culprit(self, wanted: Sequence[Requirement]) -> Requirement | None:
        """Return the condition that fails: the one without which something would be selected."""
        for one in reversed(wanted):
            others = [other for other in wanted if other is not one]
            if any(all(other.matches(labels) for other in others) for labels in self._known):
                return one
        return next((one for one in wanted if not any(one.matches(labels) for labels in self._known)), None)

    def _explain(self, one: Requirement, others: Sequence[Requirement]) -> None:
        near = [labels for labels in self._known if all(other.matches(labels) for other in others)] or self._known
        self.path = (*self.path, *self._place(one))
        if one.key == lb.NAMESPACE:
            self._namespace(one)
        elif not any(labels.values(one.source, one.key) for labels in self._known):
            self._key(one, near)
        else:
            self._value(one, near)

    def _namespace(self, one: Requirement) -> None:
        spaces = sorted({labels.namespace for labels in self._known})
        wanted = ", ".join(sorted(one.values))
        there = any(labels.namespace in one.values for labels in self._known)
        place = f"namespace {wanted}" if one.values else "any namespace"
        self.text = f"no such pod is in {place}" if there else f"no pod runs in {place}"
        self._suggest(one, wanted, spaces)

    def _key(self, one: Requirement, near: Sequence[LabelSet]) -> None:
        keys = sorted({key for labels in near for key, _ in labels.pairs() if not key.startswith("io.")})
        self.text = f"no pod has a label {one.key!r}"
        found = difflib.get_close_matches(one.key, keys, n=2, cutoff=_NEAR)
        if found:
            self.fix = f"Did you mean {found[0]!r}?"
            if len(found) == 1 and self.path[-1:] and split_key(str(self.path[-1]))[1] == one.key:
                new = str(self.path[-1]).replace(one.key, found[0])
                self.quick = QuickFix(f"rename to {new}", self.path, rename=new)
        elif keys:
            self.fix = f"Labels there: {', '.join(keys[:8])}."

    def _value(self, one: Requirement, near: Sequence[LabelSet]) -> None:
        values = sorted({value for labels in near for value in labels.values(one.source, one.key)})
        wanted = ", ".join(sorted(one.values))
        self.text = f"no pod has {one}" if one.operator == "In" else f"no pod meets {one}"
        self._suggest(one, wanted, values)

    def _suggest(self, one: Requirement, wanted: str, known: Sequence[str]) -> None:
        if one.operator != "In":
            return
        found = difflib.get_close_matches(wanted, known, n=2, cutoff=_NEAR)
        if found:
            self.fix = f"Did you mean {found[0]!r}?"
            if len(found) == 1 and "matchLabels" in self.path:
                self.quick = QuickFix(f"write {found[0]}", self.path, found[0])
        elif known:
            self.fix = f"There are: {', '.join(known[:8])}."

    def _place(self, one: Requirement) -> Path:
        """Return where a condition stands in the selector as written; empty where Cilium added it."""
        for key in self._raw.get("matchLabels") or {}:
            if split_key(str(key))[1] == one.key:
                return ("matchLabels", str(key))
        for index, raw in enumerate(self._raw.get("matchExpressions") or ()):
            if split_key(str(raw.get("key", "")))[1] == one.key:
                return ("matchExpressions", index)
        return ()


def _subject_path(document: SourceDocument, rule: Rule) -> Path:
    path = rule.origin.path
    key = "podSelector" if document.data.get("kind") == "NetworkPolicy" else "endpointSelector"
    return (*path, key) if isinstance(_at(document.data, (*path, key)), Mapping) else path


def _at(raw: Any, path: Path) -> Any:
    for part in path:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return raw if raw is not None else {}


CHECKS = (subjects, peers, filtered)
