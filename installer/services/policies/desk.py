"""The desk: policies being edited, and all that can be said of them before they are applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.times import SECOND
from installer.domain.policy.describe import Sentence, describe
from installer.domain.policy.documents import SourceDocument, read_documents
from installer.domain.policy.effect import Effect, effect
from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.entry import Policy
from installer.domain.policy.findings import Finding, place
from installer.domain.policy.impact import Assessor, Impact
from installer.domain.policy.inventory import Key
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.lint import linter
from installer.domain.policy.merge import clean, to_yaml
from installer.domain.policy.model import Origin
from installer.domain.policy.remedy import Remedies, Remedy
from installer.domain.policy.replay import Replay
from installer.domain.policy.suggest import Suggestion, Wish, suggest
from installer.domain.policy.validation import API_VERSIONS, validate
from installer.domain.policy.world import World, key_of, with_changes
from installer.services.policies.watch import DropWatch

Raw = Mapping[str, Any]
_SLICE = 500
_PEERS = 200
_BLANK = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: {name}
  namespace: {namespace}
spec:
  endpointSelector: {{}}
"""


@dataclass(slots=True)
class Draft:
    """Policies being edited.

    Attributes:
        id: its name on the desk.
        title: for people, such as ``shop/api`` or ``new-1``.
        text: as it is now.
        saved: as it was opened or applied last.
        base: objects as they were when editing began, by key; what applying is compared with.
    """

    id: str
    title: str
    text: str
    saved: str = ""
    base: dict[Key, Raw] = field(default_factory=dict)

    @property
    def is_changed(self) -> bool:
        """Whether it holds edits that are not in the cluster."""
        return self.text != self.saved


@dataclass(frozen=True, slots=True)
class Checked:
    """A text that was looked at.

    Attributes:
        text: the text.
        documents: what it holds.
        findings: what is wrong with it, by line.
        policies: objects that agents would use.
        deep: whether it was also asked what is probably wrong.
    """

    text: str
    documents: tuple[SourceDocument, ...] = ()
    findings: tuple[Finding, ...] = ()
    policies: tuple[Raw, ...] = ()
    deep: bool = False

    @property
    def errors(self) -> int:
        """How many findings keep it from being applied."""
        return sum(one.level == "error" for one in self.findings)

    def line_of(self, origin: Origin) -> int:
        """Return the line that a rule stands on, 0 where it stands elsewhere."""
        for document in self.documents:
            if isinstance(document.data, dict) and key_of(document.data) == (
                origin.kind,
                origin.namespace,
                origin.name,
            ):
                mark = place(document.marks, origin.path)
                return mark.line if mark else 0
        return 0


class Desk:
    """Holds drafts and answers questions on them; nothing here writes to a cluster.

    Questions may be asked from a thread: the world is replaced as a whole and never changed.

    Attributes:
        world: the cluster as it was last seen; empty before.
        drafts: what is being edited, by id.
    """

    def __init__(self) -> None:
        self.world = World()
        self.drafts: dict[str, Draft] = {}
        self._engine: tuple[World, Engine] | None = None
        self._number = 0

    # Drafts

    def open(self, key: Key) -> Draft:
        """Return the draft of a policy of the cluster; the one that is there already, with its edits.

        Raises:
            KeyError: there is no such policy.
        """
        name = "/".join(key)
        if name not in self.drafts:
            raw = next((one for one in self.world.objects if key_of(one) == key), None)
            if raw is None:
                raise KeyError(key)
            text = to_yaml(clean(raw))
            self.drafts[name] = Draft(name, _title(key), text, text, {key: raw})
        return self.drafts[name]

    def new(self, text: str = "", *, title: str = "", namespace: str = "default", base: Sequence[Raw] = ()) -> Draft:
        """Return a new draft.

        Args:
            text: YAML to begin with; a bare policy by default.
            title: for people.
            namespace: of the bare policy.
            base: objects of the cluster that the text is an edit of.
        """
        self._number += 1
        name = f"new-{self._number}"
        text = text or _BLANK.format(name=name, namespace=namespace)
        draft = Draft(name, title or name, text, "", {key_of(raw): raw for raw in base})
        self.drafts[name] = draft
        return draft

    def close(self, draft_id: str) -> None:
        """Forget a draft."""
        self.drafts.pop(draft_id, None)

    def applied(self, draft: Draft, text: str, objects: Iterable[Raw | None]) -> None:
        """Note that a text is in the cluster now, as these objects."""
        draft.saved = text
        draft.base = {key_of(raw): raw for raw in objects if raw is not None}

    def changed_below(self, draft: Draft) -> list[Key]:
        """Return objects of a draft that somebody changed or deleted in the cluster since it was opened."""
        now = {key: raw for raw in self.world.objects if (key := key_of(raw)) in draft.base}
        return [
            key
            for key, raw in draft.base.items()
            if now.get(key) is not raw and (key not in now or clean(now[key]) != clean(raw))
        ]

    def dirty(self) -> list[Draft]:
        """Return drafts with edits that are not in the cluster."""
        return [draft for draft in self.drafts.values() if draft.is_changed]

    # Questions

    def check(self, text: str) -> Checked:
        """Say what the API and agents would refuse of a text; fast enough for every key."""
        return self._checked(text, tuple(read_documents(text, "")), deep=False)

    def deepen(self, checked: Checked) -> Checked:
        """Say also what is legal but probably wrong in this cluster."""
        return self._checked(checked.text, checked.documents, deep=True)

    def _checked(self, text: str, documents: tuple[SourceDocument, ...], *, deep: bool) -> Checked:
        world = self.world
        lint = None
        if deep:
            lint = linter(world if world.pods or world.objects else None, world.settings)
        report = validate(documents, {**KNOWN_CRDS, **world.crds}, world.settings, lint)
        bad = {one.object for one in report.errors if not one.code.startswith("P-LINT")}
        policies = [
            document.data
            for document in documents
            if isinstance(document.data, dict)
            and document.data.get("kind") in API_VERSIONS
            and _label(document) not in bad
        ]
        return Checked(text, documents, report.findings, tuple(policies), deep)

    def engine(self) -> Engine:
        """Return an engine over the cluster as it is."""
        world = self.world
        if self._engine is None or self._engine[0] is not world:
            self._engine = world, world.engine()
        return self._engine[1]

    def after(self, policies: Sequence[Raw], removed: Sequence[Raw] = ()) -> Engine:
        """Return an engine over the cluster as it would be."""
        return self.world.engine(with_changes(self.world.objects, policies, removed))

    def effect(self, checked: Checked) -> Effect:
        """Say who could reach the pods of a text's policies, and whom they could reach, were it applied."""
        return effect(self.after(checked.policies), self.compiled(checked), self.world.peers)

    def compiled(self, checked: Checked) -> list[Policy]:
        """Return a text's policies in the common form."""
        return compile_policies(checked.policies, self.world.settings, self.world.knowledge)

    def explain(self, checked: Checked) -> list[tuple[Origin, list[tuple[Sentence, int]]]]:
        """Return for each policy its sentences, each with the line it is about (0: none)."""
        return [
            (policy.origin, [(one, checked.line_of(one.origin)) for one in describe(policy)])
            for policy in self.compiled(checked)
        ]

    def assessment(self, policies: Sequence[Raw], removed: Sequence[Raw] = ()) -> Assessor:
        """Return what judges flows as the policies are and as they would be."""
        replay = Replay(cluster=self.world.settings.cluster)
        return Assessor(self.engine(), self.after(policies, removed), replay)

    def impact(self, policies: Sequence[Raw], answers: Sequence[Answer], removed: Sequence[Raw] = ()) -> Impact:
        """Say which of some flows would have another verdict."""
        assessor = self.assessment(policies, removed)
        for start in range(0, len(answers), _SLICE):
            assessor.add(answers[start : start + _SLICE])
        return assessor.result()

    def watch(self, before: Sequence[Raw], after: Sequence[Raw], at: float) -> DropWatch:
        """Return what tells drops that are new since a change.

        Args:
            before: the changed objects as they were.
            after: the changed objects as they are; a deleted one is missing.
            at: UNIX time of the change.
        """
        kept = {key_of(raw) for raw in after}
        engine = self.after(after, [raw for raw in before if key_of(raw) not in kept])
        world = self.world
        return DropWatch(compile_policies([*before, *after], world.settings, world.knowledge), engine, int(at * SECOND))

    def remedies(self, flow: Flow) -> list[Remedy]:
        """Return the smallest changes that would let a flow through, the one that opens least first."""
        traffic = Replay(cluster=self.world.settings.cluster).traffic(flow)
        if traffic is None:
            return []
        world = self.world
        return Remedies(list(world.objects), self.engine(), world.peers[:_PEERS], world.knowledge).find(traffic)

    def suggest(self, answers: Sequence[Answer], wish: Wish | None = None) -> Suggestion:
        """Draw policies that allow what was seen."""
        return suggest(answers, wish, live=self.world.peers, settings=self.world.settings)


def _title(key: Key) -> str:
    return f"{key[1]}/{key[2]}" if key[1] else key[2]


def _label(document: SourceDocument) -> str:
    metadata = document.data.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    namespace, name, kind = metadata.get("namespace"), metadata.get("name") or "", document.data.get("kind", "")
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}".strip()
