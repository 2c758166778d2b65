"""``--watch``: the drops that a change brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from installer.cli import output
from installer.cli.commands.policy.common import seconds_of
from installer.domain.errors import BeeyardError
from installer.domain.flows.times import SECOND
from installer.domain.policy.engine import compile_policies
from installer.domain.policy.world import World, with_changes
from installer.domain.text import printable
from installer.services.policies.apply import Edit
from installer.services.policies.watch import DropWatch, Watched, watch_drops

F = TypeVar("F", bound=Callable[..., Any])


def watch_options(function: F) -> F:
    """``--watch`` and ``--server``."""
    for option in (
        click.option("--server", default="", metavar="ADDRESS", help="Hubble server; else Relay of the cluster."),
        click.option(
            "--watch", metavar="TIME", help="Then look at the flows for this time and tell new drops, such as 10s."
        ),
    ):
        function = option(function)
    return function


async def watch_changes(world: World, edits: Sequence[Edit], began: int, options: dict[str, Any]) -> Watched | None:
    """Watch the flows after changes and tell what is dropped now.

    The changes are made: a Hubble that cannot be reached is told and is no failure.

    Args:
        world: the cluster before the changes.
        edits: what was changed.
        began: UNIX time in nanoseconds before the first change.
        options: of the command.

    Returns:
        What was dropped; None where the flows cannot be watched.
    """
    from installer.wiring.flows import ServerChoice

    seconds = seconds_of(options["watch"])
    choice = ServerChoice(
        server=options["server"],
        kubeconfig=options["kubeconfig"],
        context=options["context"],
        namespace=options["cilium_namespace"],
    )
    output.talk(f"watching the flows for {options['watch']}")
    try:
        async with choice.open() as hubble:
            watched = await watch_drops(
                hubble, _watch(world, edits, began), before=began - int(seconds * SECOND), seconds=seconds
            )
    except BeeyardError as error:
        output.talk(printable(f"warning: the flows cannot be watched: {error.what}: {error.why}"))
        return None
    _tell(watched, options["watch"])
    return watched


def _watch(world: World, edits: Sequence[Edit], began: int) -> DropWatch:
    changed = [edit.wanted for edit in edits if edit.wanted is not None]
    before = [edit.live for edit in edits if edit.live is not None]
    after = with_changes(world.objects, changed, [edit.live for edit in edits if edit.wanted is None and edit.live])
    concerned = compile_policies([*changed, *before], world.settings, world.knowledge)
    return DropWatch(concerned, world.engine(after), began)


def _tell(watched: Watched, time: str) -> None:
    for drop in watched.drops:
        word = "new drop" if not drop.audit else "would be dropped (audit mode)"
        output.talk(printable(f"{word}: {drop.source} -> {drop.dest} {drop.port}, {drop.count} flows"))
        if drop.why:
            output.talk(printable(f"    {drop.why}"))
    if not watched.drops:
        output.talk(f"no new drops in {time}")
    if watched.known:
        output.talk(f"{watched.known} pairs were dropped before the change, too")
    if watched.lost:
        output.talk(f"warning: Hubble lost {watched.lost} events in this time")
