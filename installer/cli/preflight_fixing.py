"""``beeyard preflight --fix`` and ``--undo-fixes``: show, ask, do, tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from installer.cli import output
from installer.cli.asking import agreed, confirm
from installer.domain.errors import ExitCode
from installer.domain.text import printable

if TYPE_CHECKING:
    from installer.domain.preflight.fixes import Fix
    from installer.services.preflight import Examination


async def fix(options: dict[str, Any], examine: Callable[[], Awaitable[Examination]]) -> int:
    """Apply the safe fixes that are agreed to, then look again."""
    from installer.services.install import require_root
    from installer.wiring.preflight import fix_service

    found = await examine()
    planned = found.fixes
    if options["dry_run"]:
        return _tell_plan(planned, options)
    require_root("preflight --fix")
    applied: list[Fix] = []
    service = fix_service(output.talk)
    for one in planned:
        if options["output_format"] == "text":
            output.talk(shown(one))
        if options["yes"] or await agreed("Apply this?"):
            await service.apply(one)
            applied.append(one)
    if applied:
        found = await examine()
    return _tell_end(found, planned, applied, options)


def shown(one: Fix) -> str:
    """Return a fix with its exact files and commands."""
    return printable("\n".join((f"{one.code}  {one.title}", *(f"    {line}" for line in one.told()))))


def _tell_plan(planned: list[Fix], options: dict[str, Any]) -> int:
    if options["output_format"] == "json":
        output.data_json({"fixes": [one.to_dict() for one in planned]})
    else:
        output.data("\n".join(map(shown, planned)) or "There is nothing that could be fixed safely.")
    return ExitCode.OK


def _tell_end(found: Examination, planned: list[Fix], applied: list[Fix], options: dict[str, Any]) -> int:
    from installer.cli.render_preflight import render

    if options["output_format"] == "json":
        told = [{**one.to_dict(), "applied": one in applied} for one in planned]
        output.data_json({**found.to_dict(kernel=options["kernel"]), "fixes": told})
    else:
        output.data(render(found, kernel=options["kernel"]))
        if not planned:
            output.talk("There is nothing that could be fixed safely.")
        elif applied:
            count = f"{len(applied)} {'fix' if len(applied) == 1 else 'fixes'}"
            output.talk(f"{count} applied; beeyard preflight --undo-fixes takes back what was changed.")
        else:
            output.talk("Nothing was changed.")
    return ExitCode.OK if found.ok else ExitCode.REFUSED


async def undo(options: dict[str, Any]) -> int:
    """Take back what was applied."""
    from installer.services.install import require_root
    from installer.wiring.preflight import fix_service

    require_root("preflight --undo-fixes")
    service = fix_service(output.talk)
    entries = service.applied()
    text = options["output_format"] == "text"
    if text and not entries:
        output.talk("No fixes are recorded; nothing was changed.")
    if text and entries and not options["yes"]:
        lines = [f"{one.code}  {line}" for one in reversed(entries) for line in one.action.told()]
        output.talk(printable("\n".join(("What was applied, the newest first:", *lines))))
    if options["dry_run"]:
        if not text:
            output.data_json({"applied": [one.to_dict() for one in entries]})
        return ExitCode.OK
    if entries and not options["yes"]:
        await confirm("Put back what was there before?")
    undone = await service.undo()
    left = [one for one in undone if one.left]
    if text:
        for one in left:
            output.talk(printable(f"left alone: {one.left}; what was there before is in {service.record}"))
        if undone:
            output.talk(f"{len(undone) - len(left)} of {len(undone)} changes were taken back.")
    else:
        output.data_json({"undone": [one.to_dict() for one in undone], "left": len(left)})
    return ExitCode.FAILED if left else ExitCode.OK
