"""``policy list``, ``get`` and ``history``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import click

from installer.cli import output
from installer.cli.commands.policy.common import SHORT, file_option, offline_option, opened, reach_options, world_of
from installer.cli.options import output_option
from installer.domain.errors import BeeyardError, ExitCode
from installer.domain.policy.engine import compile_policies
from installer.domain.policy.entry import Policy
from installer.domain.policy.merge import clean, owners, to_yaml
from installer.domain.policy.model import Direction
from installer.domain.policy.sanitize import sanitize
from installer.domain.policy.world import World, key_of
from installer.domain.text import printable
from installer.ports.policy_history import Change


@click.command("list")
@click.option("-n", "--namespace", help="Only of this namespace; clusterwide ones are listed too.")
@file_option("Policies in files, in place of the cluster's.")
@offline_option
@reach_options
@output_option("text", "json")
def list_command(namespace: str | None, **options: Any) -> int:
    """List policies: whom they select, what they isolate, whether agents use them."""
    options["offline"] = options["offline"] or bool(options["files"])
    world = asyncio.run(world_of(options))
    rows = [_row(raw, world) for raw in world.objects]
    if namespace:
        rows = [row for row in rows if row["namespace"] in ("", namespace)]
    if options["output_format"] == "json":
        output.data_json(rows)
    else:
        output.data(printable(_table(rows)))
    return ExitCode.OK


def _row(raw: Mapping[str, Any], world: World) -> dict[str, Any]:
    kind, namespace, name = key_of(raw)
    (policy,) = compile_policies([raw], world.settings, world.knowledge)
    problems = sanitize(raw, world.settings) if kind.startswith("Cilium") else []
    return {
        "namespace": namespace,
        "kind": kind,
        "name": name,
        "rules": sum(len(rule.entries) for rule in policy.rules),
        "isolates": _isolates(policy),
        "pods": _selected(policy, world) if world.pods else None,
        "valid": not (problems or policy.error or _refused(raw)),
        "problem": problems[0].text if problems else policy.error or _refused(raw),
        "owners": [str(owner) for owner in owners(raw)],
    }


def _isolates(policy: Policy) -> list[str]:
    found = {direction for rule in policy.rules for direction in rule.default_deny}
    return [str(direction) for direction in Direction if direction in found]


def _selected(policy: Policy, world: World) -> int:
    return sum(any(rule.subject.matches(peer) for rule in policy.rules) for peer in world.peers)


def _refused(raw: Mapping[str, Any]) -> str:
    """Return why the cluster's agents refuse an object, by its own condition."""
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Valid" and condition.get("status") == "False":
            return str(condition.get("message") or "agents refuse it")
    return ""


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no policies: everything is allowed"
    cells = [("NAMESPACE", "KIND", "NAME", "PODS", "RULES", "ISOLATES", "STATE")]
    for row in sorted(rows, key=lambda row: (row["namespace"], row["kind"], row["name"])):
        state = "ok" if row["valid"] else f"IGNORED: {row['problem']}"
        owned = f" (managed by {', '.join(row['owners'])})" if row["owners"] else ""
        pods = "-" if row["pods"] is None else str(row["pods"])
        isolates = "+".join(row["isolates"]) or "-"
        cells.append(
            (
                row["namespace"] or "-",
                SHORT[row["kind"]],
                row["name"],
                pods,
                str(row["rules"]),
                isolates,
                state + owned,
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[6]]).rstrip()
        for line in cells
    )


@click.command("get")
@click.argument("name", metavar="[NAMESPACE/]NAME")
@reach_options
@output_option("yaml", "json")
def get_command(name: str, output_format: str, **options: Any) -> int:
    """Print a policy as it is edited: without what the server adds."""
    options |= {"files": (), "offline": False}
    world = asyncio.run(world_of(options))
    found = [raw for raw in world.objects if name in (key_of(raw)[2], "/".join(key_of(raw)[1:]))]
    if not found:
        raise BeeyardError(
            f"there is no policy {name}", fix="`beeyard policy list` shows what is there.", code="E-POL-013"
        )
    if output_format == "json":
        output.data_json([clean(raw) for raw in found] if len(found) > 1 else clean(found[0]))
    else:
        output.data(printable("---\n".join(to_yaml(clean(raw)) for raw in found)).rstrip())
    return ExitCode.OK


@click.command("history")
@click.argument("change", required=False)
@click.option("--all-clusters", is_flag=True, help="Also changes of other clusters.")
@reach_options
@output_option("text", "json")
def history_command(change: str | None, all_clusters: bool, output_format: str, **options: Any) -> int:
    """List the changes of policies made from here, or show one of them as a diff."""
    from installer.domain.policy.merge import diff
    from installer.wiring.policies import history

    changes = history().all() if all_clusters or change else asyncio.run(_here(options))
    if change:
        one = next((item for item in changes if item.id == change), None)
        if one is None:
            raise BeeyardError(
                f"there is no change {change}", fix="`beeyard policy history` lists them.", code="E-POL-015"
            )
        output.data(printable(diff(one.before, one.after, f"{one.kind}/{one.namespace}/{one.name}")))
        return ExitCode.OK
    if output_format == "json":
        fields = ("id", "at", "cluster", "author", "reason", "action", "kind", "namespace", "name", "reverts")
        output.data_json([{field: getattr(item, field) for field in fields} for item in changes])
        return ExitCode.OK
    for item in changes:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(item.at))
        name = f"{item.namespace}/{item.name}" if item.namespace else item.name
        reason = f"  {item.reason}" if item.reason else ""
        output.data(printable(f"{item.id}  {when}  {item.action:<6}  {SHORT[item.kind]} {name}  {item.author}{reason}"))
    if not changes:
        output.talk("no changes were made from here")
    return ExitCode.OK


async def _here(options: dict[str, Any]) -> list[Change]:
    async with opened(options) as cluster:
        await cluster.policies.identify()
        changes: list[Change] = cluster.policies.history()
    return changes


COMMANDS = (list_command, get_command, history_command)
