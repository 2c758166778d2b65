"""``beeyard hubble``."""

from __future__ import annotations

import os
from typing import Any

import click

from installer.cli import output
from installer.cli.commands import hubble_server
from installer.cli.commands.install import run_to_end
from installer.cli.options import CommandGroup, output_option
from installer.cli.render_events import Renderer, renderer
from installer.domain.errors import ExitCode
from installer.domain.plan_text import plan_text


@click.group("hubble", cls=CommandGroup)
def command() -> None:
    """Look at Hubble, reach it, and switch it on or off."""


for look in hubble_server.COMMANDS:
    command.add_command(look)


@command.command("enable")
@click.option("--ui/--no-ui", default=True, help="With the web page.")
@click.option("--metrics", default="", metavar="LIST", help="Metrics by comma, such as dns,drop,tcp,flow.")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--timeout", type=click.FloatRange(min=1), default=300.0, show_default=True, help="Seconds until ready.")
@output_option("text", "json", events=True)
def enable(ui: bool, metrics: str, **options: Any) -> int:
    """Add Hubble: server in the agents, Relay, and the UI."""
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    show = renderer(options["output_format"])
    return run_to_end(_switch({"enabled": True, "relay": True, "ui": ui, "metrics": names}, options, show), show)


@command.command("disable")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--timeout", type=click.FloatRange(min=1), default=300.0, show_default=True, help="Seconds until ready.")
@output_option("text", "json", events=True)
def disable(**options: Any) -> int:
    """Take Hubble out: server, Relay and UI."""
    show = renderer(options["output_format"])
    return run_to_end(_switch({"enabled": False}, options, show), show)


async def _switch(hubble: dict[str, Any], options: dict[str, Any], show: Renderer) -> int:
    from installer.pipeline.run import Options
    from installer.services.install import hubble_steps, with_hubble
    from installer.wiring.install import install_service

    service = install_service()
    behaviour = Options(allow_unsupported=True, ready_timeout=options["timeout"], environment=dict(os.environ))
    spec = with_hubble(service.current_spec(behaviour.state_dir), hubble)
    async with service.open(spec, behaviour, show.event, steps=hubble_steps, kind="hubble") as job:
        plan = await job.plan()
        if options["dry_run"]:
            show.plan(plan)
            return ExitCode.OK
        if options["output_format"] == "text" and plan.changes:
            output.talk(plan_text(plan))
        result = await job.execute(plan)
    show.end(spec, result)
    return ExitCode.OK
