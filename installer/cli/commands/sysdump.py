"""``beeyard sysdump``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from installer.cli import output
from installer.cli.commands.install import run_to_end
from installer.cli.options import Chosen, cluster_options, examples
from installer.cli.render_events import PlainEnd
from installer.domain.errors import ExitCode
from installer.domain.text import human_bytes, printable


def _json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    """Tell errors as JSON too."""
    del param
    if value and isinstance(ctx.obj, Chosen):
        ctx.obj.output = "json"
    return value


@click.command("sysdump", epilog=examples("sudo beeyard sysdump", "sudo beeyard sysdump -o case-7.tar.gz"))
@cluster_options
@click.option("-o", "--output", "path", metavar="FILE", help="Where: .tar.zst or .tar.gz; else a name with the time.")
@click.option("--no-cluster", is_flag=True, help="Look at this host alone.")
@click.option("--json", "as_json", is_flag=True, callback=_json, help="Tell as JSON what was collected.")
def command(**options: Any) -> int:
    """Collect everything for a support case in one file, readable by its owner alone; index.html leads to its files.

    Facts, what the doctor finds, journals and logs of runs, logs of k3s and containerd, network and packet filter,
    objects, events and logs of the cluster, every agent's status. No Secrets; tokens, keys and passwords are masked.
    What cannot be collected is told in the index and ends nothing.
    """
    return run_to_end(_sysdump(options), PlainEnd("json" if options["as_json"] else "text"))


async def _sysdump(options: dict[str, Any]) -> int:
    from installer.wiring.sysdump import Wish, sysdump

    name = options["path"] or time.strftime("beeyard-sysdump-%Y%m%dT%H%M%SZ.tar.zst", time.gmtime())
    wish = Wish(
        Path(name).expanduser(),
        options["kubeconfig"],
        options["context"],
        options["namespace"],
        cluster=not options["no_cluster"],
    )
    done = await sysdump(wish, output.talk)
    if options["as_json"]:
        output.data_json(done)
        return ExitCode.OK
    missing = len(done["notCollected"])
    tail = f"; {missing} could not be collected, or not whole: see index.html" if missing else ""
    output.talk(f"{done['files']} files, {human_bytes(done['bytes'])}{tail}")
    output.data(printable(done["path"]))
    return ExitCode.OK
