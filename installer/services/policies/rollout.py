"""Bringing a draft into the cluster step by step, with somebody looking: prepare, agree, write, keep or take back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.domain.policy.lockout import Danger, dangers
from installer.domain.policy.world import World, key_of
from installer.ports.cluster import Kube
from installer.ports.pending import Pending, PendingStore
from installer.ports.policy_history import Change
from installer.services.policies.apply import Applied, Edit, Policies, order
from installer.services.policies.cookbook import Recipe
from installer.services.policies.world import POLICIES

Raw = Mapping[str, Any]
VERBS = ("create", "update", "delete")


@dataclass(frozen=True, slots=True)
class PolicyTools:
    """What the cockpit changes policies with.

    Attributes:
        policies: makes the service that writes, on a connection.
        pending: makes the store of changes that wait for a confirmation.
        guard: starts the process that takes changes back without it, and waits until it watches over them.
        revert: takes waiting changes back now, by id; returns how it ended.
        revive: starts such processes anew that were ended, by a reboot, say.
        templates: reads the recipes of the cookbook.
    """

    policies: Callable[[Kube], Policies]
    pending: Callable[[], PendingStore]
    guard: Callable[[Pending], Awaitable[None]]
    revert: Callable[[str], Awaitable[str]]
    revive: Callable[[], Sequence[Pending]] = tuple
    templates: Callable[[], Mapping[str, Recipe]] = dict


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done.

    Attributes:
        edits: one for each object, in the order in which they are made.
        dangers: what they would cut of what keeps the cluster in hand.
    """

    edits: tuple[Edit, ...]
    dangers: tuple[Danger, ...] = ()

    @property
    def changes(self) -> tuple[Edit, ...]:
        """The edits that change something."""
        return tuple(edit for edit in self.edits if edit.action != "none")

    @property
    def conflicts(self) -> tuple[Edit, ...]:
        """The edits that somebody else's changes stand against."""
        return tuple(edit for edit in self.edits if edit.conflicts)

    @property
    def diff(self) -> str:
        """Unified diff of all of them."""
        return "\n".join(edit.diff for edit in self.edits if edit.diff)


@dataclass(slots=True)
class Done:
    """What was done.

    Attributes:
        applied: the changes.
        pending: id under which they wait for a confirmation, empty when they do not.
        deadline: UNIX time at which they go back.
    """

    applied: list[Applied] = field(default_factory=list)
    pending: str = ""
    deadline: float = 0.0


class Rollout:
    """Changes policies of one cluster.

    Args:
        tools: what it works with.
        kube: connection to the cluster.
        kubeconfig: path of its kubeconfig, for the process that takes changes back.
        context: its context.
    """

    def __init__(self, tools: PolicyTools, kube: Kube, *, kubeconfig: str = "", context: str = ""):
        self._tools = tools
        self._kube = kube
        self._policies = tools.policies(kube)
        self._place = kubeconfig, context

    async def prepare(self, world: World, wanted: Sequence[Raw], base: Mapping[tuple[str, str, str], Raw]) -> Plan:
        """Compare with the cluster and try the writes on the server.

        Args:
            world: the cluster, to see what the change would cut.
            wanted: the objects as they shall be.
            base: objects as they were when editing began.

        Raises:
            BeeyardError: what ``Policies.prepare`` raises.
        """
        edits = [await self._policies.prepare(raw, base.get(key_of(raw))) for raw in wanted]
        return Plan(tuple(order(edits)), tuple(dangers(world, [edit.wanted for edit in edits if edit.wanted])))

    async def prepare_delete(self, world: World, key: tuple[str, str, str]) -> Plan:
        """Look at an object that is to be deleted."""
        edit = await self._policies.prepare_delete(*key)
        return Plan((edit,), tuple(dangers(world, [], [edit.live] if edit.live else [])))

    async def carry_out(
        self,
        plan: Plan,
        *,
        reason: str = "",
        within: float = 0.0,
        now: float = 0.0,
        tell: Callable[[Applied], None] = lambda _: None,
    ) -> Done:
        """Make the changes.

        Args:
            plan: what was agreed to.
            reason: for the history.
            within: seconds in which they have to be confirmed, 0 for never.
            now: UNIX time.
            tell: hears of each change once it is made.

        Raises:
            BeeyardError: ``E-POL-032``, nothing was changed; what ``Policies.apply`` raises: changes made before it
                stay, and go back if ``within``.
        """
        edits = plan.changes
        ids = [self._policies.new_id() for _ in edits]
        done = Done()
        if within and ids:  # before the first change: it works also when this process dies in the middle
            done.pending, done.deadline = ids[-1], now + within
            waiting = Pending(ids[-1], done.deadline, *self._place, tuple(ids))
            self._tools.pending().add(waiting)
            await self._tools.guard(waiting)
        for edit, change_id in zip(edits, ids, strict=True):
            done.applied.append(await self._policies.apply(edit, reason=reason, change_id=change_id))
            tell(done.applied[-1])
        return done

    async def word(self, one: Applied, *, seconds: float = 10.0) -> tuple[bool | None, str]:
        """Return what agents say of a change: used, refused with their words, or nothing yet."""
        if one.after is None or not str(one.after.get("kind", "")).startswith("Cilium"):
            return True, ""
        return await self._policies.valid(one.after, seconds=seconds)

    def keep(self, pending_id: str) -> bool:
        """Confirm changes; False when they do not wait any more."""
        return self._tools.pending().confirm(pending_id)

    def waits(self, pending_id: str) -> bool:
        """Whether changes still wait for a confirmation."""
        return any(one.id == pending_id for one in self._tools.pending().all())

    def outcome(self, pending_id: str) -> str:
        """Return how taking back ended, empty while it has not."""
        return self._tools.pending().outcome(pending_id)

    async def take_back(self, pending_id: str) -> str:
        """Take changes back now that wait for a confirmation; return how it ended."""
        return await self._tools.revert(pending_id)

    def history(self) -> list[Change]:
        """Return the changes of this cluster, the newest first."""
        return self._policies.history()[::-1]

    async def rollback(self, change: Change) -> Applied:
        """Take one change back.

        Raises:
            RefusedError: ``E-POL-021`` the object was changed again since.
        """
        return await self._policies.rollback(change)

    async def missing_verbs(self, kind: str, namespace: str) -> tuple[str, ...]:
        """Return what this user may not do with a kind of policy in a namespace."""
        if kind not in POLICIES:
            return ()
        place = namespace or None
        return tuple([verb for verb in VERBS if not await self._kube.may(verb, POLICIES[kind], namespace=place)])
