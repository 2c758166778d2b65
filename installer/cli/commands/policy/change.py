"""``policy diff``, ``apply``, ``delete``, ``rollback`` and ``confirm``: change the cluster."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from installer.cli import output
from installer.cli.asking import confirm
from installer.cli.commands.policy.common import (
    file_option,
    opened,
    reach_options,
    seconds_of,
    tell_unread,
    usable,
)
from installer.cli.commands.policy.told import Told, edit_json, show
from installer.cli.commands.policy.watching import watch_changes, watch_options
from installer.cli.options import examples, output_option
from installer.domain.errors import BeeyardError, ExitCode, RefusedError, UsageError
from installer.domain.policy.world import World, key_of
from installer.domain.text import printable
from installer.services.policies.apply import Edit, order
from installer.services.policies.rights import Rights
from installer.services.policies.rollout import Plan, Rollout

_LOOK_ONLY = "Add --yes, or `policy diff` to look only."


@click.command("diff")
@file_option("Policies to compare with the cluster.", required=True)
@reach_options
@output_option("text", "json")
def diff_command(output_format: str, **options: Any) -> int:
    """Show what applying would change. Exit code 1 when it would change anything."""
    edits = asyncio.run(_prepared(options, usable(options["files"])))
    if output_format == "json":
        output.data_json([edit_json(edit) for edit in edits])
    else:
        for edit in edits:
            show(edit)
    return ExitCode.FAILED if any(edit.action != "none" for edit in edits) else ExitCode.OK


async def _prepared(options: dict[str, Any], wanted: Sequence[Any]) -> list[Edit]:
    async with opened(options) as cluster:
        return [await cluster.policies.prepare(one) for one in wanted]


@click.command(
    "apply",
    epilog=examples(
        "beeyard policy apply -f web.yaml --confirm-within 60s --watch 15s",
    ),
)
@file_option("Policies to apply: files, folders or -.", required=True)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--reason", default="", help="Why, for the history.")
@click.option(
    "--confirm-within",
    metavar="TIME",
    help="Take it back by itself unless `policy confirm` comes in this time, such as 60s. It does so also when "
    "beeyard is gone.",
)
@click.option("--wait/--no-wait", default=True, help="Wait for the agents' word on each policy.")
@click.option(
    "--base",
    multiple=True,
    metavar="PATH",
    help="The policies as they were when editing began (policy get): changes that others made since are merged in.",
)
@watch_options
@reach_options
@output_option("text", "json")
def apply_command(**options: Any) -> int:
    """Apply policies: try them on the server, show the difference, ask, write, and read back what agents say.

    An object that someone else changed meanwhile is never overwritten. Every change is kept (policy history) and can
    be taken back (policy rollback).
    """
    wanted = usable(options["files"])
    if not wanted:
        raise UsageError("there is no policy in these files", fix="Name others.", code="E-POL-005")
    return asyncio.run(_change(options, wanted=wanted))


@click.command("delete")
@click.argument("names", nargs=-1, metavar="[NAMESPACE/]NAME…")
@file_option("Delete the policies of these files.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--reason", default="", help="Why, for the history.")
@click.option("--confirm-within", metavar="TIME", help="Put them back unless `policy confirm` comes in this time.")
@watch_options
@reach_options
@output_option("text", "json")
def delete_command(names: tuple[str, ...], **options: Any) -> int:
    """Delete policies; what they denied is open from then on."""
    if not (names or options["files"]):
        raise UsageError("nothing to delete", fix="Name policies, or files with -f.", code="E-POL-005")
    return asyncio.run(_change({**options, "wait": False, "base": ()}, removed=names))


async def _change(options: dict[str, Any], *, wanted: Sequence[Any] = (), removed: Sequence[str] = ()) -> int:
    deadline = seconds_of(options["confirm_within"]) if options["confirm_within"] else 0.0
    if options["watch"]:
        seconds_of(options["watch"])  # wrong words are told before anything is done
    base = {key_of(one): one for one in usable(options["base"])}
    async with opened(options) as cluster:
        rights = Rights(cluster.kube)
        await rights.need_any(key_of(one)[:2] for one in wanted)
        world = await cluster.world()
        tell_unread(world)
        if wanted:
            edits = order([await cluster.policies.prepare(one, base.get(key_of(one))) for one in wanted])
        else:
            edits = [await cluster.policies.prepare_delete(*key) for key in _keys(world, removed, options["files"])]
        told = Told(as_json=options["output_format"] == "json")
        _present(world, edits, told)
        if all(edit.action == "none" for edit in edits):
            output.talk("nothing to change")
            return told.end()
        await rights.need(edits, back=bool(deadline))
        if not options["yes"]:
            await confirm("Apply?", fix=_LOOK_ONLY)
        return await _do(cluster, world, edits, options, deadline, told)


def _present(world: World, edits: Sequence[Edit], told: Told) -> None:
    """Show what would be done and what it would cut; conflicts end it."""
    for edit in edits:
        told.show(edit)
    _guard(world, edits)
    if any(edit.conflicts for edit in edits):
        raise RefusedError(
            "someone else changed the same places",
            why="The conflicts are listed above; nothing was changed.",
            fix="Read the policies again (policy get) and make the edit on what is there now.",
            code="E-POL-021",
        )


def _keys(world: World, names: Sequence[str], files: Sequence[str]) -> list[tuple[str, str, str]]:
    keys = [key_of(raw) for raw in usable(files)] if files else []
    for name in names:
        found = [key_of(raw) for raw in world.objects if name in (key_of(raw)[2], "/".join(key_of(raw)[1:]))]
        if len(found) != 1:
            why = "Several are called so." if found else "None is called so."
            raise UsageError(
                f"{name} names no single policy",
                why=why,
                fix="Write namespace/name; `policy list` shows them.",
                code="E-POL-013",
            )
        keys += found
    return keys


def _guard(world: World, edits: Sequence[Edit]) -> None:
    """Say what the change would cut of what keeps a cluster alive."""
    from installer.domain.policy.lockout import dangers

    changed = [edit.wanted for edit in edits if edit.wanted is not None]
    removed = [edit.live for edit in edits if edit.wanted is None and edit.live is not None]
    for danger in dangers(world, changed, removed):
        output.talk(printable(f"warning: {danger.text} [{danger.code}]\n    {danger.why}"))


async def _do(
    cluster: Any, world: World, edits: Sequence[Edit], options: dict[str, Any], deadline: float, told: Told
) -> int:
    from installer.wiring.policies import policy_tools

    plan, began = Plan(tuple(edits)), time.time_ns()
    kubeconfig = str(Path(options["kubeconfig"]).resolve()) if options["kubeconfig"] else ""
    rollout = Rollout(policy_tools(), cluster.kube, kubeconfig=kubeconfig, context=options["context"] or "")
    done = await rollout.carry_out(plan, reason=options["reason"], within=deadline, now=began / 1e9, tell=told.done)
    if done.pending:
        told.waits(done)
        output.talk(f"goes back in {options['confirm_within']} unless you run: beeyard policy confirm {done.pending}")
    for one in done.applied if options["wait"] else []:
        if one.after is not None and one.change and str(one.after.get("kind", "")).startswith("Cilium"):
            told.word(one, *await cluster.policies.valid(one.after))
    if options["watch"]:
        told.drops(await watch_changes(world, plan.changes, began, options))
    return told.end()


@click.command("rollback")
@click.argument("change")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--reason", default="", help="Why, for the history.")
@reach_options
@output_option("text", "json")
def rollback_command(change: str, **options: Any) -> int:
    """Take one change back (its id is in `policy history`)."""
    return asyncio.run(_rollback(change, options))


async def _rollback(change: str, options: dict[str, Any]) -> int:
    async with opened(options) as cluster:
        one = next((item for item in cluster.policies.history() if item.id == change), None)
        if one is None:
            raise BeeyardError(
                f"no change {change} was made in this cluster from here",
                fix="`beeyard policy history` lists them.",
                code="E-POL-015",
            )
        edit = await cluster.policies.prepare_rollback(one)
        told = Told(as_json=options["output_format"] == "json")
        told.show(edit)
        if not edit.conflicts:  # else applying tells of them
            await Rights(cluster.kube).need([edit])
            if not options["yes"]:
                await confirm("Apply?", fix=_LOOK_ONLY)
        applied = await cluster.policies.apply(edit, reason=options["reason"] or f"take back {one.id}", reverts=one.id)
        told.done(applied)
        return told.end()


@click.command("confirm")
@click.argument("change", required=False)
@output_option("text", "json")
def confirm_command(change: str | None, output_format: str) -> int:
    """Keep changes that would go back by themselves; without an id the only ones that wait."""
    from installer.wiring.policies import pending

    waiting = pending().all()
    if change is None and len(waiting) == 1:
        change = waiting[0].id
    if change is None:
        names = ", ".join(one.id for one in waiting)
        raise UsageError(
            "several changes wait" if waiting else "no change waits for a confirmation",
            why=names,
            fix="Name one." if waiting else "`beeyard policy history` shows what became of it.",
            code="E-POL-016",
        )
    if not pending().confirm(change):
        outcome = pending().outcome(change)
        raise BeeyardError(
            f"{change} cannot be confirmed", why=outcome or "It does not wait.", fix="Apply it again.", code="E-POL-016"
        )
    output.talk(f"kept: {change}")
    if output_format == "json":
        output.data_json({"change": change, "kept": True})
    return ExitCode.OK


@click.command("guard", hidden=True)
@click.argument("change")
def guard_command(change: str) -> int:
    """Wait for a confirmation and take changes back without it (run by `policy apply`)."""
    from installer.wiring.policies import run_guard

    os.chdir("/")  # it must not keep a folder busy
    outcome = asyncio.run(run_guard(change))
    output.talk(printable(f"{change}: {outcome}"))
    return ExitCode.OK if outcome in ("confirmed", "reverted") else ExitCode.FAILED


COMMANDS = (diff_command, apply_command, delete_command, rollback_command, confirm_command, guard_command)
