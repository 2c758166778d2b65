"""``beeyard preflight``."""

from __future__ import annotations

from typing import Any

import click

from installer.cli import output
from installer.cli.commands.install import load, run_to_end
from installer.cli.options import config_options, examples, output_option
from installer.cli.render_events import PlainEnd
from installer.domain.config_layers import Layer, nest
from installer.domain.errors import ExitCode


@click.command(
    "preflight",
    epilog=examples(
        "sudo beeyard preflight",
        "sudo beeyard preflight --kernel --set cilium.encryption=wireguard",
    ),
)
@config_options
@click.option("--kernel", is_flag=True, help="Show what came of trying every feature of the kernel that Cilium uses.")
@click.option("--no-hubble", is_flag=True, help="Leave Hubble out.")
@click.option("--skip-sources", is_flag=True, help="Do not ask the sources of downloads whether they are there.")
@click.option("--allow-unsupported", is_flag=True, help="As for install.")
@output_option("text", "json")
def command(**options: Any) -> int:
    """Look at this host and tell what stands in the way of an install. Changes nothing.

    The kernel is not judged by its version: each feature that Cilium uses is tried on it, in namespaces that end with
    the trial. That needs root; without it the kernel's configuration is what is left to judge by. Exit code 5 when an
    install would be refused.
    """
    return run_to_end(_examine(options), PlainEnd(options["output_format"]))


async def _examine(options: dict[str, Any]) -> int:
    from installer.cli.render_preflight import render
    from installer.services.preflight import examine
    from installer.wiring.cluster import known_releases
    from installer.wiring.preflight import knock, look

    off = [Layer("--no-hubble", nest(("spec", "hubble", "enabled"), False))] if options["no_hubble"] else []
    spec = load(options, off).document.spec
    found = await examine(
        look,
        spec,
        table=known_releases(),
        knock=None if options["skip_sources"] else knock,
        allow_unsupported=options["allow_unsupported"],
    )
    if options["output_format"] == "text":
        output.data(render(found, kernel=options["kernel"]))
    else:
        output.data_json(found.to_dict(kernel=options["kernel"]))
    return ExitCode.OK if found.ok else ExitCode.REFUSED
