"""What the policy commands share: where policies and flows come from."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click

from installer.cli import output
from installer.domain.errors import BeeyardError, UsageError
from installer.domain.flows.flow import Answer
from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.findings import Report
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.validation import validate
from installer.domain.policy.world import World, with_changes
from installer.domain.text import printable
from installer.services.policies.sources import is_policy_test, policies_of, read_sources

F = TypeVar("F", bound=Callable[..., Any])
SHORT = {
    "CiliumNetworkPolicy": "cnp",
    "CiliumClusterwideNetworkPolicy": "ccnp",
    "NetworkPolicy": "netpol",
    "ClusterNetworkPolicy": "kcnp",
}
"""Short names of kinds, as kubectl has them."""


def reach_options(function: F) -> F:
    """``--kubeconfig``, ``--context`` and ``--cilium-namespace``."""
    for option in (
        click.option("--cilium-namespace", default="kube-system", show_default=True, help="Namespace of Cilium."),
        click.option("--context", help="Context of the kubeconfig."),
        click.option("--kubeconfig", metavar="PATH", help="Kubeconfig; else KUBECONFIG, k3s' own, ~/.kube/config."),
    ):
        function = option(function)
    return function


def file_option(text: str, *, required: bool = False) -> Callable[[F], F]:
    """``-f``: files, folders or ``-``."""
    return click.option("-f", "--file", "files", multiple=True, required=required, metavar="PATH", help=text)


def offline_option(function: F) -> F:
    """``--offline``."""
    return click.option("--offline", is_flag=True, help="Ask no cluster: only files count.")(function)


def flow_options(function: F) -> F:
    """``--flows``, ``--last`` and ``--server``."""
    for option in (
        click.option("--server", default="", metavar="ADDRESS", help="Hubble server; else Relay of the cluster."),
        click.option("--last", default="10m", show_default=True, metavar="TIME", help="Time to look back, such as 1h."),
        click.option("--flows", "recording", metavar="FILE", help="Recorded flows (jsonpb); - reads standard input."),
    ):
        function = option(function)
    return function


def documents_of(names: Sequence[str], *, tests: bool = False) -> list[SourceDocument]:
    """Read files, folders and standard input.

    Policies and their tests may lie in one folder: of a folder only the policies count, or with ``tests`` only those.
    """
    found = read_sources(names, sys.stdin.read() if "-" in names else "")
    return [one for one in found if one.file in (*names, "<stdin>") or is_policy_test(one) is tests]


def usable(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the policies in files; ones with errors end the command.

    Raises:
        UsageError: ``E-POL-003`` a document has errors; they are printed before.
    """
    documents = documents_of(names)
    report = validate(documents, KNOWN_CRDS)
    if report.errors:
        output.talk(render_report(Report(report.errors)))
        raise UsageError(
            f"{len(report.errors)} errors in the policies",
            why="They are listed above.",
            fix="Mend them; `beeyard policy validate` checks again.",
            code="E-POL-003",
        )
    return policies_of(documents)


async def world_of(options: dict[str, Any]) -> World:
    """Return the cluster with the policies of ``-f`` put in, or with ``--offline`` only those.

    Raises:
        BeeyardError: the cluster is out of reach, or files are wrong.
    """
    changed = usable(options.get("files") or ())
    if options.get("offline"):
        return World(objects=tuple(changed))
    async with opened(options) as cluster:
        world = await cluster.world()
    tell_unread(world)
    return replace_objects(world, with_changes(world.objects, changed))


def replace_objects(world: World, objects: Sequence[Any]) -> World:
    """Return the same cluster with other policies."""
    from dataclasses import replace

    return replace(world, objects=tuple(objects))


@asynccontextmanager
async def opened(options: dict[str, Any]) -> AsyncIterator[Any]:
    """Connect to the cluster of the options; changes whose confirmation nobody waits for any more are taken up."""
    from installer.wiring.policies import policy_cluster, revive_guards

    for one in revive_guards():
        output.talk(f"change {one.id} was not confirmed and nobody waited for it: it goes back when its time is over")
    async with policy_cluster(options["kubeconfig"], options["context"], options["cilium_namespace"]) as cluster:
        yield cluster


def tell_unread(world: World) -> None:
    """Say on stderr what could not be read."""
    for text in world.unread:
        output.talk(f"warning: {printable(text)}")


async def flows_of(options: dict[str, Any], take: Callable[[Sequence[Answer]], None]) -> str:
    """Hand over flows batch by batch and return where they came from."""
    if options["recording"]:
        from installer.ports.flows import FlowRequest
        from installer.wiring.recordings import FlowFile

        source = FlowFile(
            options["recording"], lambda bad: output.talk(f"{options['recording']}:{bad.number}: {bad.why}")
        )
        for batch in source.read(FlowRequest()):
            take(batch)
        return source.name
    return await _live(options, take)


async def _live(options: dict[str, Any], take: Callable[[Sequence[Answer]], None]) -> str:
    from contextlib import aclosing

    from installer.ports.flows import FlowRequest
    from installer.wiring.flows import ServerChoice

    since = time.time() - seconds_of(options["last"])
    choice = ServerChoice(
        server=options["server"],
        kubeconfig=options["kubeconfig"],
        context=options["context"],
        namespace=options["cilium_namespace"],
    )
    async with choice.open() as hubble, aclosing(hubble.batches(FlowRequest(since=since))) as batches:
        async for batch in batches:
            take(batch)
    return f"the last {options['last']} of {options['server'] or 'Relay'}"


def seconds_of(text: str) -> float:
    """Read a duration such as ``90s``, ``10m`` or ``1h30m``.

    Raises:
        UsageError: ``E-POL-004`` it is none.
    """
    from installer.domain.flows.times import parse_duration

    try:
        return parse_duration(text) / 1e9
    except (ValueError, BeeyardError) as error:
        raise UsageError(
            f"{text!r} is no duration", why=str(error), fix="Write such as 90s, 10m or 1h30m.", code="E-POL-004"
        ) from error


def render_report(report: Report) -> str:
    """Return findings as lines: place, level, text, fix and code."""
    lines: list[str] = []
    for item in report.findings:
        lines.append(f"{item.where}: {item.level}: {item.text} [{item.code}]")
        if item.fix:
            lines.append(f"    {item.fix}")
    return printable("\n".join(lines))
