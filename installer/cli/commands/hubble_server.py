"""``beeyard hubble status|nodes|namespaces|port-forward|ui``: what a Hubble tells of itself, and ways to reach it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from installer.cli import output
from installer.cli.commands.install import run_to_end
from installer.cli.options import cluster_options, output_option
from installer.cli.render_events import PlainEnd
from installer.cli.server_options import server_choice, server_options
from installer.domain.errors import BeeyardError, ExitCode
from installer.domain.text import printable

if TYPE_CHECKING:
    from installer.ports.cluster import Kube
    from installer.ports.hubble import Hubble
    from installer.services.forwarding import Forwarded, Interrupted
    from installer.services.relay import RelayTarget

SERVING, NOT_RUNNING = "SERVING", "E-HUBBLE-017"
UI_FIX = "`beeyard hubble enable --ui` adds it."
RELAY_FIX = "`beeyard hubble enable` adds it."
timeout_option = click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Seconds that an answer may take."
)


def _with_hubble(options: dict[str, Any], use: Callable[[Hubble], Awaitable[int]]) -> int:
    choice = server_choice(options)

    async def run() -> int:
        async with choice.open() as hubble:
            return await use(hubble)

    return run_to_end(run(), PlainEnd("text" if options["output_format"] != "json" else "json"))


@click.command("status")
@server_options
@timeout_option
@output_option("compact", "dict", "table", "json")
def status(**options: Any) -> int:
    """Show how a Hubble server is: flows held, rate, and nodes that Relay reaches."""

    async def show(hubble: Hubble) -> int:
        from installer.cli.render_hubble import render_status

        health, form = await hubble.health(timeout=options["timeout"]), options["output_format"]
        if form == "compact":
            word = "Ok" if health == SERVING else f"Unavailable: {health}"
            output.data(printable(f"Healthcheck (via {hubble.name.removeprefix('hubble ')}): {word}"))
        if health != SERVING:
            raise BeeyardError(
                "Hubble is not healthy", why=f"It says {health}.", fix="`beeyard status` tells more.", code=NOT_RUNNING
            )
        output.data(render_status(await hubble.status(timeout=options["timeout"]), form))
        return ExitCode.OK

    return _with_hubble(options, show)


@click.command("nodes")
@server_options
@timeout_option
@output_option("table", "wide", "json")
def nodes(**options: Any) -> int:
    """List the nodes that Relay knows."""

    async def show(hubble: Hubble) -> int:
        from installer.cli.render_hubble import render_nodes

        output.data(render_nodes(await hubble.nodes(timeout=options["timeout"]), options["output_format"]))
        return ExitCode.OK

    return _with_hubble(options, show)


@click.command("namespaces")
@server_options
@timeout_option
@output_option("table", "wide", "json")
def namespaces(**options: Any) -> int:
    """List the namespaces that had flows in the last hour."""

    async def show(hubble: Hubble) -> int:
        from installer.cli.render_hubble import render_namespaces

        output.data(render_namespaces(await hubble.namespaces(timeout=options["timeout"]), options["output_format"]))
        return ExitCode.OK

    return _with_hubble(options, show)


@click.command("port-forward")
@cluster_options
@click.option(
    "--port-forward-port", "--port", "local_port", type=click.IntRange(0, 65535), default=4245, show_default=True,
    help="Local port; 0 takes a free one.",
)  # fmt: skip
@output_option("text", "json")
def port_forward(**options: Any) -> int:
    """Forward a local port to Relay until Ctrl-C; a pod that goes away is replaced by another."""

    def words(told: Forwarded) -> str:
        scheme = "tls://" if told.tls else ""
        return f"{scheme}127.0.0.1:{told.port}"

    return _forward("hubble-relay", RELAY_FIX, options, words)


@click.command("ui")
@cluster_options
@click.option("--port", "local_port", type=click.IntRange(0, 65535), default=12000, show_default=True,
              help="Local port; 0 takes a free one.")  # fmt: skip
@click.option("--open", "open_browser", is_flag=True, help="Open a browser.")
@output_option("text", "json")
def ui(**options: Any) -> int:
    """Forward a local port to Hubble's web page until Ctrl-C."""

    def words(told: Forwarded) -> str:
        return f"http://127.0.0.1:{told.port}/"

    return _forward("hubble-ui", UI_FIX, options, words)


def _forward(service: str, fix: str, options: dict[str, Any], words: Callable[[Forwarded], str]) -> int:
    from installer.services.forwarding import find_service
    from installer.wiring.cluster import cluster

    async def run() -> int:
        async with cluster(options["kubeconfig"], options["context"]) as services:
            target = await find_service(services.kube, service, options["namespace"], fix)
            await _tell_forwards(services.kube, target, options, words)
        return ExitCode.OK

    code = run_to_end(run(), PlainEnd(options["output_format"]))
    return ExitCode.OK if code == ExitCode.INTERRUPTED else code


async def _tell_forwards(
    kube: Kube, target: RelayTarget, options: dict[str, Any], words: Callable[[Forwarded], str]
) -> None:
    from contextlib import aclosing

    from installer.services.forwarding import keep_forwarding

    forwards = keep_forwarding(kube, target, options["namespace"], local_port=options["local_port"])
    async with aclosing(forwards) as stream:
        async for told in stream:
            _tell(told, options, words)


def _tell(told: Forwarded | Interrupted, options: dict[str, Any], words: Callable[[Forwarded], str]) -> None:
    from installer.services.forwarding import Interrupted

    json_form = options["output_format"] == "json"
    if isinstance(told, Interrupted):
        output.talk(f"{printable(told.why)}; looking for another one")
        return
    address = words(told)
    if json_form:
        fields = {"address": address, "port": told.port, "pod": told.pod, "podPort": told.pod_port, "tls": told.tls}
        output.data_json(fields, compact=True)
    else:
        output.data(address)
        output.talk(f"leads to {printable(told.pod)}:{told.pod_port}; Ctrl-C ends it")
    if options.pop("open_browser", False):  # once
        click.launch(address)


COMMANDS = (status, nodes, namespaces, port_forward, ui)
