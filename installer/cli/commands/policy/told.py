"""What the commands that change policies tell: lines as it happens, or one JSON object at the end."""

from __future__ import annotations

from typing import Any

from installer.cli import output
from installer.domain.errors import ExitCode
from installer.domain.text import printable
from installer.services.policies.apply import Applied, Edit
from installer.services.policies.rollout import Done
from installer.services.policies.watch import Watched


def edit_json(edit: Edit) -> dict[str, Any]:
    """Return an edit as JSON: action, object, difference."""
    kind, namespace, name = edit.key
    return {"action": edit.action, "kind": kind, "namespace": namespace, "name": name, "diff": edit.diff}


def show(edit: Edit, *, with_diff: bool = True) -> None:
    """Tell what an edit would do; its difference goes to stdout."""
    output.talk(f"{'unchanged' if edit.action == 'none' else edit.action}: {printable(edit.name)}")
    if edit.diff and with_diff:
        output.data(printable(edit.diff))
    for owner in edit.owners:
        output.talk(printable(f"warning: {owner} manages {edit.name} and will put its own version back"))
    if edit.merged:
        output.talk(printable(f"merged: someone else changed {edit.name} meanwhile; both changes are in"))
    for conflict in edit.conflicts:
        place = ".".join(map(str, conflict.path)) or "the object"
        output.talk(printable(f"conflict: both changed {place}"))


class Told:
    """Tells of a change, step by step.

    Args:
        as_json: stdout gets one object at the end: ``changes`` (each with ``action``, ``kind``, ``namespace``,
            ``name``, ``diff``, its id ``change``, and ``agents``: used, refused or silent, with their ``message``),
            ``pending`` (``id`` and ``deadline`` in UNIX seconds, null when nothing waits) and ``newDrops`` (null
            when not watched).
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._changes: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._pending: dict[str, Any] | None = None
        self._drops: list[dict[str, Any]] | None = None
        self._refused = False

    def show(self, edit: Edit) -> None:
        """Tell what would be done."""
        show(edit, with_diff=not self._as_json)
        self._changes[edit.key] = edit_json(edit)

    def waits(self, done: Done) -> None:
        """Keep what goes back by itself."""
        self._pending = {"id": done.pending, "deadline": done.deadline}

    def done(self, applied: Applied) -> None:
        """Tell what was done."""
        edit = applied.edit
        output.talk(printable(f"done: {edit.action} {edit.name}  ({applied.change})"))
        self._changes[edit.key]["change"] = applied.change

    def word(self, applied: Applied, valid: bool | None, message: str) -> None:
        """Tell what agents say of a policy."""
        name = applied.edit.name
        if valid is False:
            self._refused = True
            output.talk(printable(f"error: agents ignore {name}: {message}"))
        if valid is None:
            output.talk(printable(f"agents have not said yet whether they use {name}"))
        word = {True: "used", False: "refused", None: "silent"}[valid]
        self._changes[applied.edit.key] |= {"agents": word, "message": message}

    def drops(self, watched: Watched | None) -> None:
        """Keep what was dropped after it."""
        if watched is not None:
            self._drops = [
                {"source": one.source, "dest": one.dest, "port": one.port, "flows": one.count, "audit": one.audit}
                for one in watched.drops
            ]

    def end(self) -> ExitCode:
        """Print the object, and return how the command ends: not well where agents refuse a policy."""
        if self._as_json:
            output.data_json(
                {"changes": list(self._changes.values()), "pending": self._pending, "newDrops": self._drops}
            )
        return ExitCode.FAILED if self._refused else ExitCode.OK
