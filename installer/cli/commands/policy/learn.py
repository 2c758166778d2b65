"""``policy suggest``: drafts from observed flows."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from installer.cli import output
from installer.cli.commands.policy.common import flow_options, flows_of, offline_option, opened, reach_options
from installer.cli.options import examples, output_option
from installer.domain.errors import ExitCode
from installer.domain.flows.flow import Answer
from installer.domain.policy.model import Direction
from installer.domain.policy.suggest import Draft, Suggestion, Wish, suggest
from installer.domain.policy.suggest_text import draft_yaml
from installer.domain.policy.world import World
from installer.domain.text import printable


@click.command(
    "suggest",
    epilog=examples(
        "beeyard policy suggest -n shop --last 1h > shop.yaml",
        "beeyard policy suggest --flows flows.jsonl --offline --for shop/api",
    ),
)
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Write policies for this namespace; repeatable.")
@click.option("--for", "workloads", multiple=True, metavar="NAMESPACE/WORKLOAD", help="Only for this; repeatable.")
@click.option(
    "--direction", type=click.Choice(["both", "ingress", "egress"]), default="both", show_default=True, help="Sides."
)
@click.option("--l7", is_flag=True, help="Write HTTP rules where requests were seen.")
@click.option("--include-denied", is_flag=True, help="Denied flows are wanted too.")
@flow_options
@offline_option
@reach_options
@output_option("yaml", "json")
def suggest_command(**options: Any) -> int:
    """Draw least-privilege policies from flows, and prove that they allow what was seen."""
    found = asyncio.run(_suggest(options))
    if options["output_format"] == "json":
        output.data_json(_as_dict(found))
    else:
        output.data(
            printable("---\n".join(draft_yaml(draft) for draft in found.drafts)).rstrip() or "# nothing to write"
        )
        _tell(found)
    return ExitCode.FAILED if found.refused else ExitCode.OK


async def _suggest(options: dict[str, Any]) -> Suggestion:
    world = World()
    if not options["offline"]:
        async with opened(options) as cluster:
            world = await cluster.world()
    chosen = frozenset(Direction) if options["direction"] == "both" else frozenset({Direction(options["direction"])})
    wish = Wish(
        directions=chosen,
        namespaces=frozenset(options["namespaces"]),
        workloads=frozenset(options["workloads"]),
        include_denied=options["include_denied"],
        l7=options["l7"],
    )
    answers: list[Answer] = []
    await flows_of(options, answers.extend)
    return suggest(answers, wish, live=world.peers, settings=world.settings)


def _tell(found: Suggestion) -> None:
    output.talk(
        f"{found.allowed} connections seen in {found.flows} flows; "
        + ("all of them are allowed" if not found.refused else f"{len(found.refused)} of them are NOT allowed")
        + f"; {found.opened_unseen} pairs are allowed that were not seen"
    )
    if found.first:
        output.talk(f"seen from {found.first} to {found.last}; what runs at other times was not seen")
    if found.lost:
        output.talk(f"warning: Hubble lost {found.lost} events in this time")
    for note in found.notes:
        output.talk(printable(f"note: {note}"))


def _as_dict(found: Suggestion) -> dict[str, Any]:
    return {
        "policies": [draft.policy for draft in found.drafts],
        "evidence": [_evidence(draft) for draft in found.drafts],
        "allowed": found.allowed,
        "refused": [f"{one.source} to {one.dest} {one.port}/{one.protocol}" for one in found.refused],
        "openedUnseen": found.opened_unseen,
        "flows": found.flows,
        "lost": found.lost,
        "first": found.first,
        "last": found.last,
        "notes": found.notes,
    }


def _evidence(draft: Draft) -> dict[str, Any]:
    return {
        f"spec.{section}[{index}]": {"flows": one.count, "first": one.first, "last": one.last}
        for (section, index), one in draft.evidence.items()
    }


COMMANDS = (suggest_command,)
