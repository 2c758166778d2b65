"""Changing policies so that nothing is overwritten unseen, and everything can be taken back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from installer.domain.errors import BeeyardError, ConnectError, RefusedError
from installer.domain.policy.merge import Conflict, Owner, clean, diff, merge, owners
from installer.domain.policy.world import key_of
from installer.ports.cluster import NAMESPACES, Kube, Object, Resource
from installer.ports.policy_history import Change, History
from installer.services.policies.world import POLICIES

Raw = Mapping[str, Any]
CONFLICT, ABSENT, UNSURE = "E-KUBE-007", "E-KUBE-004", "E-POL-022"
_VALID_SECONDS = 10.0
_VALID_PAUSE = 0.25


@dataclass(slots=True)
class Edit:
    """One object on its way into the cluster.

    Attributes:
        wanted: the object as it shall be; None to delete it.
        base: the object as it was when the edit began; None when it was not there, or not known.
        live: the object as it is now; None when it is not there.
        conflicts: places that both the edit and someone else changed since ``base``.
        merged: someone else changed it since ``base``, and both changes are in ``wanted``.
        owners: who else writes the object and may revert the edit.
    """

    wanted: Raw | None
    base: Raw | None
    live: Raw | None
    conflicts: tuple[Conflict, ...] = ()
    merged: bool = False
    owners: list[Owner] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name."""
        found = self.wanted or self.live or self.base
        assert found is not None
        return key_of(found)

    @property
    def name(self) -> str:
        """``kind namespace/name``."""
        kind, namespace, name = self.key
        return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"

    @property
    def action(self) -> str:
        """``create``, ``update``, ``delete`` or ``none``."""
        if self.wanted is None:
            return "none" if self.live is None else "delete"
        if self.live is None:
            return "create"
        return "none" if clean(self.wanted) == clean(self.live) else "update"

    @property
    def diff(self) -> str:
        """Unified diff against what is in the cluster now."""
        return diff(self.live, self.wanted, "/".join(part for part in self.key if part))


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one edit.

    Attributes:
        edit: the edit.
        after: the object as the cluster has it now, None when it is gone.
        change: id in the history; empty when nothing changed.
        valid: what agents say of it: True, False, or None when they have not said yet.
        message: their words when they refuse it.
    """

    edit: Edit
    after: Raw | None
    change: str = ""
    valid: bool | None = None
    message: str = ""


class Policies:
    """Changes policies of one cluster.

    Args:
        kube: connection to the cluster.
        history: keeps every change before it is made.
        author: who makes the changes.
        now: UNIX time in seconds.
    """

    def __init__(self, kube: Kube, history: History, *, author: str, now: Callable[[], float] = time.time):
        self._kube = kube
        self._history = history
        self._author = author
        self._now = now
        self._cluster = kube.server

    async def prepare(self, wanted: Raw, base: Raw | None = None) -> Edit:
        """Compare an object with the cluster, and try the change there without making it.

        Args:
            wanted: as it shall be.
            base: as it was read when editing began. Without it the edit replaces whatever is there.

        Raises:
            BeeyardError: ``E-POL-020`` no such kind, ``E-KUBE-008`` the API refuses it, ``E-KUBE-003`` not allowed.
        """
        resource, namespace, name = self._place(wanted)
        live = await self._kube.get(resource, name, namespace=namespace)
        edit = Edit(dict(clean(wanted)), base, live)
        if live is not None:
            edit.owners = owners(live)
            if base is not None and clean(live) != clean(base):
                found = merge(base, wanted, live)
                edit.wanted, edit.conflicts, edit.merged = found.data, found.conflicts, not found.conflicts
        elif base is not None:
            edit.conflicts = (Conflict((), clean(base), clean(wanted), None),)
        if not edit.conflicts and edit.action != "none":
            await self._write(edit, dry_run=True)
        return edit

    async def prepare_delete(self, kind: str, namespace: str, name: str) -> Edit:
        """Look at an object that is to be deleted.

        Raises:
            BeeyardError: ``E-POL-020`` no such kind, ``E-KUBE-004`` there is none.
        """
        resource = _resource(kind)
        live = await self._kube.get(resource, name, namespace=namespace or None)
        if live is None:
            raise BeeyardError(
                f"there is no {kind} {f'{namespace}/' if namespace else ''}{name}",
                fix="`beeyard policy list` shows what is there.",
                code=ABSENT,
            )
        return Edit(None, live, live, owners=owners(live))

    def new_id(self) -> str:
        """Return an id for a change to come."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
        return f"{stamp}-{secrets.token_hex(3)}"

    async def apply(self, edit: Edit, *, reason: str = "", reverts: str = "", change_id: str = "") -> Applied:
        """Make a change. It is kept in the history first, under ``change_id`` where one is given.

        Raises:
            RefusedError: ``E-POL-021`` it is in conflict with what someone else changed.
            BeeyardError: ``E-POL-030`` the history cannot be written, ``E-POL-022`` nobody knows whether it was
                done, or what the API says.
        """
        if edit.conflicts:
            raise _conflict(edit)
        if edit.action == "none":
            return Applied(edit, edit.live)
        await self.identify()
        change = self._change(edit, change_id or self.new_id(), reason, reverts)
        self._history.add(change)
        try:
            after = await self._write_surely(edit)
        except BeeyardError as error:
            if error.code != UNSURE:
                self._history.fail(change.id)
            raise
        return Applied(edit, after, change.id)

    async def valid(self, after: Raw, *, seconds: float = _VALID_SECONDS) -> tuple[bool | None, str]:
        """Wait for the agents' word on an object: True, False with their message, or None when they say nothing."""
        resource, namespace, name = self._place(after)
        deadline = asyncio.get_running_loop().time() + seconds
        generation = (after.get("metadata") or {}).get("generation")
        while True:
            found = await self._kube.get(resource, name, namespace=namespace)
            if found is None:
                return None, ""
            for condition in (found.get("status") or {}).get("conditions") or ():
                seen = condition.get("observedGeneration", generation)
                if condition.get("type") == "Valid" and seen == generation:
                    return condition.get("status") == "True", str(condition.get("message") or "")
            if asyncio.get_running_loop().time() >= deadline:
                return None, ""
            await asyncio.sleep(_VALID_PAUSE)

    async def rollback(self, change: Change, *, reason: str = "") -> Applied:
        """Take a change back by the same guarded way.

        Raises:
            RefusedError: ``E-POL-021`` the object was changed again since.
        """
        edit = await self.prepare_rollback(change)
        return await self.apply(edit, reason=reason or f"take back {change.id}", reverts=change.id)

    async def prepare_rollback(self, change: Change) -> Edit:
        """Look at what taking a change back would do; it is in conflict when the object was changed again since.

        Raises:
            RefusedError: ``E-POL-024`` the change was made in another cluster.
        """
        if not same_cluster(change.cluster, await self.identify()):
            raise RefusedError(
                f"{change.id} was made in another cluster",
                why=f"It was made in {change.cluster}, this is {self._cluster}.",
                fix="Use the kubeconfig and context of that cluster.",
                code="E-POL-024",
            )
        kind, namespace, name = change.kind, change.namespace, change.name
        live = await self._kube.get(_resource(kind), name, namespace=namespace or None)
        edit = Edit(change.before, change.after, live, owners=owners(live) if live else [])
        if clean(live or {}) != clean(change.after or {}):
            edit.conflicts = (Conflict((), change.after, change.before, live),)
        return edit

    def history(self) -> list[Change]:
        """Return the changes of this cluster, the oldest first."""
        return [change for change in self._history.all() if same_cluster(change.cluster, self._cluster)]

    async def identify(self) -> str:
        """Return what tells this cluster from others: its URL, and the UID of kube-system where that may be read.

        The URL alone is not enough: that of every k3s on its own host is the same.
        """
        if "#" not in self._cluster:
            with suppress(BeeyardError):
                system = await self._kube.get(NAMESPACES, "kube-system")
                if system is not None:
                    self._cluster = f"{self._kube.server}#{system['metadata']['uid']}"
        return self._cluster

    async def _write(self, edit: Edit, *, dry_run: bool) -> Object | None:
        if edit.wanted is None:
            resource, namespace, name = self._place(edit.live or {})
            if not dry_run:
                await self._kube.delete(resource, name, namespace=namespace)
            return None
        if edit.live is None:
            return await self._kube.create(dict(edit.wanted), dry_run=dry_run)
        metadata = dict(edit.wanted.get("metadata") or {})
        metadata["resourceVersion"] = edit.live["metadata"]["resourceVersion"]
        return await self._kube.replace({**edit.wanted, "metadata": metadata}, dry_run=dry_run)

    async def _write_surely(self, edit: Edit) -> Object | None:
        """Write; when the answer is lost, look whether the change was made."""
        try:
            return await self._write(edit, dry_run=False)
        except ConnectError as error:
            return await self._look(edit, error)
        except BeeyardError as error:
            if error.code in (CONFLICT, ABSENT):
                raise _conflict(edit) from error
            raise

    async def _look(self, edit: Edit, lost: ConnectError) -> Object | None:
        resource, namespace, name = self._place(edit.wanted or edit.live or {})
        try:
            found = await self._kube.get(resource, name, namespace=namespace)
        except BeeyardError:
            raise BeeyardError(
                f"it is not known whether {edit.name} was changed",
                why=f"{lost.what}: {lost.why}",
                fix="When the API answers again run the same command: it changes only what is not there yet.",
                code=UNSURE,
            ) from lost
        if (clean(found) if found else None) == (clean(edit.wanted) if edit.wanted else None):
            return found
        raise lost

    def _place(self, raw: Raw) -> tuple[Resource, str | None, str]:
        kind, namespace, name = key_of(raw)
        return _resource(kind), namespace or None, name

    def _change(self, edit: Edit, change_id: str, reason: str, reverts: str) -> Change:
        before = clean(edit.live) if edit.live is not None else None
        after = clean(edit.wanted) if edit.wanted is not None else None
        return Change(
            change_id,
            self._now(),
            self._cluster,
            self._author,
            reason,
            *edit.key,
            before=before,
            after=after,
            reverts=reverts,
        )


def same_cluster(one: str, other: str) -> bool:
    """Whether two identities are of one cluster, as far as they tell: the UID counts where both have it."""
    (url, _, uid), (other_url, _, other_uid) = one.partition("#"), other.partition("#")
    return url == other_url and (not uid or not other_uid or uid == other_uid)


def _resource(kind: str) -> Resource:
    if kind not in POLICIES:
        raise BeeyardError(
            f"{kind or 'an object without kind'} is no policy",
            why=f"Policies are of kind {', '.join(POLICIES)}.",
            fix="Correct kind and apiVersion.",
            code="E-POL-020",
        )
    return POLICIES[kind]


def _conflict(edit: Edit) -> RefusedError:
    places = ", ".join(".".join(map(str, one.path)) or "the whole object" for one in edit.conflicts)
    return RefusedError(
        f"{edit.name} was changed by someone else meanwhile",
        why=f"Both edits touch {places}."
        if places
        else "Its version in the cluster is newer than the one that was edited.",
        fix="Read it again and make the edit on what is there now.",
        code="E-POL-021",
        details={"object": edit.name, "conflicts": [".".join(map(str, one.path)) for one in edit.conflicts]},
    )


def order(edits: Sequence[Edit]) -> list[Edit]:
    """Return edits in the order that cuts least: what is new first, what goes last."""
    rank = {"create": 0, "update": 1, "none": 1, "delete": 2}
    return sorted(edits, key=lambda edit: rank[edit.action])
