"""``beeyard upgrade``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from installer.cli import output
from installer.cli.asking import confirm
from installer.cli.commands.install import run_to_end
from installer.cli.options import examples, output_option
from installer.cli.render_events import Renderer, renderer
from installer.domain.config_layers import from_set
from installer.domain.errors import ExitCode, UsageError
from installer.domain.plan_text import plan_text

if TYPE_CHECKING:
    from installer.pipeline.run import Options
    from installer.services.upgrade import UpgradeService
    from installer.services.upgrade_outlook import Outlook


@click.command(
    "upgrade",
    epilog=examples(
        "sudo beeyard upgrade",
        "sudo beeyard upgrade --to-latest --dry-run",
        "sudo beeyard upgrade --cilium 1.20 --k3s v1.36 --yes",
        "sudo beeyard upgrade --bundle ./bundle.tar.zst --yes",
        "sudo beeyard upgrade --rollback",
    ),
)
@click.option("--k3s", metavar="V", default="", help="Version of k3s, or a channel: stable, latest, v1.36.")
@click.option("--cilium", metavar="V", default="", help="Version of Cilium, or a minor: 1.20.")
@click.option("--bundle", metavar="PATH", default="", help="Take both from a bundle; no network is touched.")
@click.option("--to-latest", is_flag=True, help="The newest versions that are supported together.")
@click.option("--rollback", is_flag=True, help="Take back the step that a killed or failed upgrade left open.")
@click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="A Helm value for the new version: cilium.values.KEY=V."
)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Print the plan, with every object's difference, and change nothing.")
@click.option("--no-rollback", is_flag=True, help="Leave a failed step as it is, to be looked at.")
@click.option("--skip-verify", is_flag=True, help="Leave out the network proof after each step.")
@click.option("--allow-unsupported", is_flag=True, help="Versions outside the support table become warnings.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Seconds until all must be ready."
)
@output_option("text", "json", events=True)
def command(**options: Any) -> int:
    """Upgrade k3s and Cilium of this host's cluster, one minor at a time.

    Without a version it says what runs, what is newest and the way there, and changes nothing. Each step of the way is
    proven before the next; one that fails is taken back. Stopped part-way, `beeyard upgrade --yes` goes on.
    """
    show = renderer(options["output_format"])
    return run_to_end(_upgrade(options, show), show)


async def _upgrade(options: dict[str, Any], show: Renderer) -> int:
    from installer.pipeline.run import Options
    from installer.services.upgrade_outlook import Wanted
    from installer.wiring.upgrade import upgrade_service

    service = upgrade_service()
    behaviour = Options(
        allow_unsupported=options["allow_unsupported"],
        verify=not options["skip_verify"],
        ready_timeout=options["timeout"],
        undo_on_failure=not options["no_rollback"],
        environment=dict(os.environ),
    )
    wanted = Wanted(
        options["k3s"],
        options["cilium"],
        options["bundle"],
        options["to_latest"],
        options["rollback"],
        tuple(map(from_set, options["sets"])),
    )
    agreed = options["yes"] or options["dry_run"]
    as_json = options["output_format"] == "json"
    if as_json and not wanted.nothing and not agreed:
        raise UsageError("-o json cannot ask", fix="Add --yes or --dry-run.", code="E-CLI-001")
    outlook = await service.look(wanted, behaviour, newest=wanted.nothing)
    if wanted.nothing and not (agreed and outlook.unfinished):
        _report(outlook, as_json=as_json)
        return ExitCode.OK
    return await _carry_out(service, outlook, behaviour, options, show)


def _report(outlook: Outlook, *, as_json: bool) -> None:
    if as_json:
        output.data_json(outlook.to_dict())
    else:
        from installer.services.upgrade_text import outlook_text

        output.data(outlook_text(outlook))


async def _carry_out(
    service: UpgradeService, outlook: Outlook, behaviour: Options, options: dict[str, Any], show: Renderer
) -> int:
    from installer.services.upgrade_text import path_text

    as_json = options["output_format"] == "json"
    if not outlook.hops and not outlook.rollback:
        if as_json:
            output.data_json(outlook.to_dict(), compact=True)
        else:
            output.talk(f"Nothing to upgrade: k3s {outlook.now.k3s} and Cilium {outlook.now.cilium} run.")
        return ExitCode.OK
    async with service.open(outlook, behaviour, show.event) as job:
        plan = await job.plan()
        if options["dry_run"]:
            if not as_json:
                output.data(path_text(outlook.hops))
            show.plan(plan)
            return ExitCode.OK
        if not options["yes"]:
            output.talk("\n".join([plan_text(plan), "", path_text(outlook.hops)]))
            await confirm("Go ahead?")
        elif not as_json:
            output.talk(path_text(outlook.hops))
            for warning in plan.warnings:
                output.talk(f"warning: {warning}")
        result = await job.execute(plan)
    if not as_json:
        output.talk(f"k3s {outlook.goal.k3s} and Cilium {outlook.goal.cilium} run.")
    show.end(outlook.spec, result)
    return ExitCode.OK
