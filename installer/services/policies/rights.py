"""What the user may do with policies, asked of the API before anything is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from installer.domain.errors import RefusedError
from installer.ports.cluster import Kube
from installer.services.policies.apply import Edit
from installer.services.policies.world import POLICIES

VERBS = ("get", "list", "watch", "create", "update", "delete")
_TOGETHER = 16
_BACK = {"create": "delete", "update": "update", "delete": "create"}


@dataclass(frozen=True, slots=True)
class Right:
    """What may be done with one kind of policy in one place.

    Attributes:
        kind: of the policies.
        namespace: the place; empty for the whole cluster.
        verbs: those of ``VERBS`` that are allowed there.
    """

    kind: str
    namespace: str
    verbs: tuple[str, ...]

    @property
    def reads(self) -> bool:
        """Whether policies can be read."""
        return {"get", "list"} <= set(self.verbs)

    @property
    def edits(self) -> bool:
        """Whether policies can be created, changed and deleted."""
        return {"create", "update", "delete"} <= set(self.verbs)


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask; an empty ``namespace`` is the whole cluster."""

    verb: str
    kind: str
    namespace: str = ""

    def __str__(self) -> str:
        resource = POLICIES[self.kind]
        place = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {resource.plural}.{resource.api.partition('/')[0]} {place}"


class Rights:
    """Asks the API what this user may do; every question once.

    Args:
        kube: connection to the cluster.
    """

    def __init__(self, kube: Kube):
        self._kube = kube
        self._known: dict[Question, bool] = {}
        self._gate = asyncio.Semaphore(_TOGETHER)

    async def may(self, question: Question) -> bool:
        """Answer one question."""
        if question not in self._known:
            async with self._gate:
                self._known[question] = await self._kube.may(
                    question.verb, POLICIES[question.kind], namespace=question.namespace or None
                )
        return self._known[question]

    async def everywhere(self) -> list[Right]:
        """Return what may be done in the whole cluster, one entry a kind."""
        return list(await asyncio.gather(*(self._right(kind, "") for kind in POLICIES)))

    async def of(self, namespaces: Sequence[str]) -> list[Right]:
        """Return what may be done in namespaces, one entry a namespace and kind that lives in namespaces."""
        kinds = [kind for kind, resource in POLICIES.items() if resource.namespaced]
        return list(await asyncio.gather(*(self._right(kind, place) for place in namespaces for kind in kinds)))

    async def _right(self, kind: str, namespace: str) -> Right:
        allowed = await asyncio.gather(*(self._allowed(Question(verb, kind, namespace)) for verb in VERBS))
        return Right(kind, namespace, tuple(verb for verb, yes in zip(VERBS, allowed, strict=True) if yes))

    async def _allowed(self, question: Question) -> bool:
        """Whether it is allowed there, or in the whole cluster."""
        if question.namespace and await self.may(Question(question.verb, question.kind)):
            return True
        return await self.may(question)

    async def need_any(self, places: Iterable[tuple[str, str]]) -> None:
        """See that policies of a kind can be written at all, by kind and namespace.

        Raises:
            RefusedError: ``E-POL-023`` neither created nor changed.
        """
        wanted = [(Question("create", *place), Question("update", *place)) for place in dict.fromkeys(places)]
        missing = [pair for pair in wanted if not (await self.may(pair[0]) or await self.may(pair[1]))]
        if missing:
            raise _refused([question for pair in missing for question in pair])

    async def need(self, edits: Iterable[Edit], *, back: bool = False) -> None:
        """See that edits can be made.

        Args:
            edits: what is to be done.
            back: they must also be able to go back by themselves.

        Raises:
            RefusedError: ``E-POL-023`` a right is missing.
        """
        questions = []
        for edit in edits:
            kind, namespace, _ = edit.key
            verbs = [edit.action, _BACK[edit.action]] if back and edit.action in _BACK else [edit.action]
            questions += [Question(verb, kind, namespace) for verb in verbs if verb in _BACK]
        missing = [question for question in dict.fromkeys(questions) if not await self.may(question)]
        if missing:
            raise _refused(missing, " or to take it back by itself" if back else "")


def _refused(missing: Sequence[Question], more: str = "") -> RefusedError:
    return RefusedError(
        f"you have no right to do this{more}",
        why="RBAC does not let you " + ", ".join(map(str, missing)) + ".",
        fix="`beeyard policy may` shows what you may do; ask for a role such as those of manifests/rbac.",
        code="E-POL-023",
        details={"missing": [str(question) for question in missing]},
    )
