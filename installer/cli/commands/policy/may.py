"""``policy may``: what this user may do."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from installer.cli import output
from installer.cli.commands.policy.common import SHORT, opened, reach_options
from installer.cli.options import output_option
from installer.domain.errors import BeeyardError, ConnectError, ExitCode
from installer.domain.text import printable
from installer.ports.cluster import NAMESPACES
from installer.services.policies.rights import VERBS, Right, Rights

_MOST = 50
"""Namespaces that are asked about without being named."""


@click.command("may")
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Ask about this namespace; repeatable.")
@reach_options
@output_option("text", "json")
def may_command(namespaces: tuple[str, ...], output_format: str, **options: Any) -> int:
    """Show what you may do with policies, in the whole cluster and by namespace.

    Nothing is tried: the API is asked what RBAC allows. Namespaces where you may do no more than everywhere are left
    out unless they are named.
    """
    found = asyncio.run(_rights(namespaces, options))
    if output_format == "json":
        output.data_json([{"namespace": one.namespace, "kind": one.kind, "verbs": list(one.verbs)} for one in found])
    else:
        output.data(printable(_table(found)))
    return ExitCode.OK


async def _rights(namespaces: tuple[str, ...], options: dict[str, Any]) -> list[Right]:
    async with opened(options) as cluster:
        rights = Rights(cluster.kube)
        everywhere = await rights.everywhere()
        if namespaces:
            return everywhere + await rights.of(namespaces)
        usual = {one.kind: one.verbs for one in everywhere}
        if all(one.verbs == VERBS for one in everywhere):
            return everywhere
        local = await rights.of(await _namespaces(cluster.kube))
        return everywhere + [one for one in local if one.verbs != usual[one.kind]]


async def _namespaces(kube: Any) -> list[str]:
    try:
        found = sorted(str(item["metadata"]["name"]) for item in await kube.list(NAMESPACES))
    except ConnectError:
        raise
    except BeeyardError:
        output.talk("you may not list namespaces: name those that matter with -n")
        return []
    if len(found) > _MOST:
        output.talk(f"asked about {_MOST} of {len(found)} namespaces: name others with -n")
    return found[:_MOST]


def _table(found: list[Right]) -> str:
    cells = [("NAMESPACE", "KIND", *(verb.upper() for verb in VERBS))]
    cells += [
        (one.namespace or "(all)", SHORT[one.kind], *("yes" if verb in one.verbs else "no" for verb in VERBS))
        for one in found
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


COMMANDS = (may_command,)
