"""``beeyard guard``: for whoever was cut off, or nearly."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from installer.cli import output
from installer.cli.options import CommandGroup, examples, output_option
from installer.domain.errors import ExitCode
from installer.domain.guard import Restored

if TYPE_CHECKING:
    from installer.ports.guard import Armed
    from installer.services.guard import GuardService


@click.group("guard", cls=CommandGroup)
def command() -> None:
    """Look at the guard of this host's network, use it, or take it off.

    A guard stands while a run changes what can cut the host off. It puts links, addresses, routes, rules, firewall and
    sysctls back when neither the API nor your SSH session answers in time; docs/runs.md tells more.
    """


@command.command("status", epilog=examples("sudo beeyard guard status", "sudo beeyard guard status -o json"))
@output_option("text", "json")
def status(output_format: str) -> int:
    """Show the guard that stands, and what the last restore did."""
    _need_root("guard status")
    armed, restored = asyncio.run(_service().status())
    if output_format == "json":
        output.data_json(
            {"armed": _record(armed) if armed else None, "restored": restored.to_dict() if restored else None}
        )
    else:
        output.data(_told(armed, restored))
    return ExitCode.OK


@command.command("restore", epilog=examples("sudo beeyard guard restore"))
@output_option("text", "json")
def restore(output_format: str) -> int:
    """Put the network back now, as it was before the last guarded change."""
    _need_root("guard restore")
    restored = asyncio.run(_service().restore())
    if output_format == "json":
        output.data_json(restored.to_dict())
    else:
        output.data(_restore_text(restored))
    return ExitCode.FAILED if restored.failed else ExitCode.OK


@command.command("disarm", epilog=examples("sudo beeyard guard disarm"))
@output_option("text", "json")
def disarm(output_format: str) -> int:
    """Take the guard off: the network stays as it is now."""
    _need_root("guard disarm")
    taken = asyncio.run(_service().disarm())
    if output_format == "json":
        output.data_json({"disarmed": taken})
    else:
        output.data("the guard is taken off" if taken else "no guard stands")
    return ExitCode.OK


def _service() -> GuardService:
    from installer.wiring.guard import guard_service

    return guard_service(os.environ, output.talk)


def _need_root(what: str) -> None:
    from installer.services.install import require_root

    require_root(what, "The guard's state is root's, and so is the host's network.")


def _record(armed: Armed) -> dict[str, Any]:
    return {
        "id": armed.id,
        "reason": armed.reason,
        "armedAt": armed.armed_at,
        "seconds": armed.seconds,
        "remaining": round(armed.remaining, 1),
        "owner": armed.owner,
        "owned": armed.owned,
        "watchdog": armed.watchdog,
        "session": str(armed.session) if armed.session else "",
    }


def _told(armed: Armed | None, restored: Restored | None) -> str:
    lines = ["no guard stands"]
    if armed is not None:
        run = f"the run with pid {armed.owner} goes on" if armed.owned else f"its run (pid {armed.owner}) has ended"
        lines = [f"a guard stands: {armed.reason}", f"  {run}"]
        lines.append(f"  the network is put back in {armed.remaining:.0f} s unless all answers")
        if armed.session:
            lines.append(f"  it watches your SSH session from {armed.session}")
        if not armed.watchdog:
            lines.append("  its watchdog has died: run `beeyard guard restore` or `beeyard guard disarm`")
    if restored is not None:
        lines.append(_restore_text(restored))
    return "\n".join(lines)


def _restore_text(restored: Restored) -> str:
    at = datetime.fromtimestamp(restored.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    head = f"the network was put back at {at} ({restored.reason})"
    failed = [f"  could not be put back: {line}" for line in restored.failed]
    return "\n".join([head, *(f"  {line}" for line in restored.done or ("nothing was different",)), *failed])
