"""``beeyard install``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import click

from installer.cli import output
from installer.cli.asking import confirm
from installer.cli.options import config_options, examples, output_option
from installer.cli.render_events import Renderer, renderer
from installer.domain.config_layers import Layer, Resolved, nest
from installer.domain.errors import BeeyardError, ExitCode, UsageError
from installer.domain.plan_text import plan_text
from installer.services import config


@click.command(
    "install",
    epilog=examples(
        "sudo beeyard install --yes",
        "sudo beeyard install -f beeyard.yaml --dry-run",
        "sudo beeyard install --yes --bundle ./bundle.tar.zst",
        "sudo beeyard install --yes --set k3s.clusterCIDR=10.52.0.0/16 --no-hubble",
    ),
)
@config_options
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--bundle", metavar="PATH", help="Install from a bundle; no network is touched.")
@click.option("--no-hubble", is_flag=True, help="Leave Hubble out.")
@click.option("--kubeconfig", metavar="PATH", help="Kubeconfig to merge the cluster into.")
@click.option("--no-merge", is_flag=True, help="Leave the user's kubeconfig alone.")
@click.option("--skip-verify", is_flag=True, help="Leave out the network proof at the end.")
@click.option("--allow-unsupported", is_flag=True, help="Versions outside the support table become warnings.")
@click.option("--undo-on-failure", is_flag=True, help="Take back what this run changed when it fails.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Seconds until all must be ready."
)
@output_option("text", "json", events=True)
def command(**options: Any) -> int:
    """Make this host a k3s cluster with Cilium and Hubble.

    Shows the plan and asks; --yes goes ahead. Stopped part-way, the same command goes on where it stopped; on a
    finished cluster it changes nothing.
    """
    if options["output_format"] == "json" and not (options["yes"] or options["dry_run"]):
        raise UsageError("-o json cannot ask", fix="Add --yes or --dry-run.", code="E-CLI-001")
    resolved = load(options, flags(options))
    show = renderer(options["output_format"])
    return run_to_end(_install(resolved, options, show), show)


def flags(options: dict[str, Any]) -> list[Layer]:
    """Return the layers of the command's own flags."""
    chosen: list[tuple[str, tuple[str, ...], Any]] = []
    if options.get("bundle"):
        chosen.append(("--bundle", ("spec", "downloads", "bundle"), options["bundle"]))
    if options.get("no_hubble"):
        chosen.append(("--no-hubble", ("spec", "hubble", "enabled"), False))
    if options.get("kubeconfig"):
        chosen.append(("--kubeconfig", ("spec", "k3s", "kubeconfig", "path"), options["kubeconfig"]))
    if options.get("no_merge"):
        chosen.append(("--no-merge", ("spec", "k3s", "kubeconfig", "merge"), False))
    return [Layer(origin, nest(path, value)) for origin, path, value in chosen]


def load(options: dict[str, Any], layers: list[Layer]) -> Resolved:
    """Return the configuration of a command."""
    stdin = sys.stdin.read() if options.get("file") == "-" else ""
    return config.load(config.Sources(options.get("file"), stdin, options.get("sets", ()), os.environ, layers))


async def _install(resolved: Resolved, options: dict[str, Any], show: Renderer) -> int:
    from installer.pipeline.run import Options
    from installer.wiring.install import install_service

    behaviour = Options(
        allow_unsupported=options["allow_unsupported"],
        verify=not options["skip_verify"],
        ready_timeout=options["timeout"],
        undo_on_failure=options["undo_on_failure"],
        environment=dict(os.environ),
    )
    async with install_service().open(resolved.document.spec, behaviour, show.event) as job:
        plan = await job.plan()
        if options["dry_run"]:
            show.plan(plan)
            return ExitCode.OK
        needed = bool(plan.changes)
        if needed and not options["yes"]:
            output.talk(plan_text(plan))
            await confirm("Go ahead?")
        elif options["output_format"] == "text":
            for warning in plan.warnings:
                output.talk(f"warning: {warning}")
        result = await job.execute(plan)
    show.end(resolved.document.spec, result)
    return ExitCode.OK


def run_to_end(work: Any, show: Renderer) -> int:
    """Run a coroutine; Ctrl-C and SIGTERM end it cleanly, its error is shown in the chosen format."""

    async def guarded() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return int(await work)

    try:
        return asyncio.run(guarded())
    except (KeyboardInterrupt, asyncio.CancelledError):
        show.interrupted()
        return ExitCode.INTERRUPTED
    except BeeyardError as error:
        show.error(error)
        return error.exit_code
    finally:
        show.close()
