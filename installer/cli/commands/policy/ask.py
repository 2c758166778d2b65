"""``policy simulate``, ``explain``, ``graph`` and ``impact``: ask the engine."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from installer.cli import output
from installer.cli.commands.policy.common import (
    file_option,
    flow_options,
    flows_of,
    offline_option,
    opened,
    reach_options,
    tell_unread,
    usable,
    world_of,
)
from installer.cli.options import examples, output_option
from installer.domain.errors import ExitCode, UsageError
from installer.domain.policy.engine import Engine, compile_policies
from installer.domain.policy.explain import sentence, side_sentence
from installer.domain.policy.findings import path_text
from installer.domain.policy.impact import Assessor, Impact, group
from installer.domain.policy.model import Direction, DNSQuery, HTTPRequest, Layer7, Traffic, Verdict
from installer.domain.policy.who import resolve
from installer.domain.policy.world import World, key_of, with_changes
from installer.domain.text import printable


@click.command(
    "simulate",
    epilog=examples(
        "beeyard policy simulate --from demo/frontend --to demo/backend --port 80",
        "beeyard policy simulate --from world --to demo/web --port 80 --method POST --path /login -f new.yaml",
    ),
)
@click.option("--from", "source", required=True, metavar="WHO", help="Who connects, such as demo/frontend or world.")
@click.option("--to", "dest", required=True, metavar="WHO", help="To whom, such as demo/backend or api.example.org.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Destination port (ICMP: the type).")
@click.option(
    "--protocol", type=click.Choice(["TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6"], case_sensitive=False), default="TCP"
)
@click.option("--method", default="", help="HTTP method of a request.")
@click.option("--path", default="", help="HTTP path of a request, with its query string.")
@click.option("--host", default="", help="HTTP host of a request.")
@click.option("--header", "headers", multiple=True, metavar="NAME: VALUE", help="HTTP header of a request.")
@click.option("--dns", default="", metavar="NAME", help="Name that is asked for.")
@click.option("--expect", type=click.Choice(["allow", "deny", "l7-deny", "unknown"]), help="Exit 1 unless it is this.")
@click.option("--fix", is_flag=True, help="Also say the smallest changes that would allow it.")
@file_option("Policies to put in beside those of the cluster.")
@offline_option
@reach_options
@output_option("text", "json")
def simulate_command(**options: Any) -> int:
    """Say whether one connection or request would be allowed, and which rule decides."""
    world = asyncio.run(world_of(options))
    engine = world.engine()
    traffic = Traffic(
        resolve(options["source"], world),
        resolve(options["dest"], world),
        options["port"],
        {"TCP": "TCP", "UDP": "UDP", "SCTP": "SCTP", "ICMPV4": "ICMPv4", "ICMPV6": "ICMPv6"}[
            options["protocol"].upper()
        ],
        _request(options),
    )
    verdict = engine.verdict(traffic)
    remedies = _remedies(world, engine, traffic) if options["fix"] else []
    if options["output_format"] == "json":
        output.data_json(_verdict(traffic, verdict) | ({"fixes": remedies} if options["fix"] else {}))
    else:
        output.data(printable(_verdict_text(traffic, verdict, remedies)))
    wrong = options["expect"] and options["expect"] != verdict.decision
    return ExitCode.FAILED if wrong else ExitCode.OK


def _request(options: dict[str, Any]) -> Layer7 | None:
    if options["dns"]:
        return DNSQuery(options["dns"])
    if not (options["method"] or options["path"] or options["host"] or options["headers"]):
        return None
    headers = []
    for text in options["headers"]:
        name, colon, value = text.partition(":")
        if not colon:
            raise UsageError(f"--header {text!r} has no colon", fix="Write 'Name: value'.", code="E-POL-012")
        headers.append((name.strip().lower(), value.strip()))
    return HTTPRequest(options["method"] or "GET", options["path"] or "/", options["host"], tuple(sorted(headers)))


def _verdict(traffic: Traffic, verdict: Verdict) -> dict[str, Any]:
    sides = {}
    for direction, side in ((Direction.EGRESS, verdict.egress), (Direction.INGRESS, verdict.ingress)):
        if side is not None:
            sides[str(direction)] = {
                "decision": str(side.decision),
                "reason": side.reason,
                "text": side_sentence(traffic, side, direction),
                "rules": [
                    {"object": f"{one.kind} {one.object_name}", "path": path_text(one.path)} for one in side.origins
                ],
                "missing": list(side.missing),
            }
    return {"decision": str(verdict.decision), "text": sentence(traffic, verdict), **sides}


def _verdict_text(traffic: Traffic, verdict: Verdict, remedies: list[dict[str, Any]]) -> str:
    lines = [f"{verdict.decision}: {traffic.source} to {traffic.dest}, port {traffic.port}/{traffic.protocol}"]
    for direction, side in ((Direction.EGRESS, verdict.egress), (Direction.INGRESS, verdict.ingress)):
        if side is not None:
            lines.append(f"  {direction:<8} {side.decision:<8} {side_sentence(traffic, side, direction)}")
    for remedy in remedies:
        opened = f" (opens {remedy['opens']} more)" if remedy["opens"] else ""
        lines += ["", f"fix: {remedy['title']}{opened}", *(f"  {line}" for line in remedy["diff"].splitlines())]
    return "\n".join(lines)


def _remedies(world: World, engine: Engine, traffic: Traffic) -> list[dict[str, Any]]:
    from installer.domain.policy.merge import diff
    from installer.domain.policy.remedy import Remedies

    found = []
    for one in Remedies(world.objects, engine, world.peers[:200], world.knowledge).find(traffic):
        changes = ((one.before, one.after), *one.rest)
        names = ["/".join(part for part in key_of(after or before or {}) if part) for before, after in changes]
        diffs = [diff(before, after, name) for (before, after), name in zip(changes, names, strict=True)]
        found.append({"title": one.title, "object": one.name, "opens": one.opens, "diff": "\n".join(diffs)})
    return found


@click.command("explain")
@click.argument("names", nargs=-1, metavar="[NAMESPACE/]NAME…")
@file_option("Policies to explain; else those of the cluster.")
@offline_option
@reach_options
@output_option("text", "json")
def explain_command(names: tuple[str, ...], **options: Any) -> int:
    """Say in sentences what policies do, rule by rule."""
    from installer.domain.policy.describe import describe

    options["offline"] = options["offline"] or bool(options["files"])
    world = asyncio.run(world_of(options))
    policies = compile_policies(world.objects, world.settings, world.knowledge)
    if names:
        policies = [one for one in policies if {one.origin.name, one.origin.object_name} & set(names)]
    if not policies:
        raise UsageError("there is no such policy", fix="`beeyard policy list` shows what is there.", code="E-POL-013")
    if options["output_format"] == "json":
        output.data_json(
            [
                {
                    "object": str(one.origin),
                    "sentences": [{"path": path_text(line.origin.path), "text": line.text} for line in describe(one)],
                }
                for one in policies
            ]
        )
        return ExitCode.OK
    for one in policies:
        output.data(printable("\n".join([str(one.origin), *(f"  {line.text}" for line in describe(one)), ""])))
    return ExitCode.OK


@click.command("graph")
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Only pods of this namespace; repeatable.")
@file_option("Policies to put in beside those of the cluster.")
@reach_options
@output_option("text", "mermaid", "json")
def graph_command(output_format: str, namespaces: tuple[str, ...], **options: Any) -> int:
    """Show who may talk to whom, by workload."""
    from installer.domain.policy.reach import as_json, as_mermaid, as_text, reach

    world = asyncio.run(world_of(options))
    groups = {
        group(one.peer): one.peer
        for one in world.pods
        if not one.finished and (not namespaces or one.namespace in namespaces)
    }
    edges = reach(world.engine(), groups)
    render = {"text": as_text, "mermaid": as_mermaid, "json": as_json}[output_format]
    output.data(printable(render(edges)))
    return ExitCode.OK


@click.command(
    "impact",
    epilog=examples(
        "beeyard policy impact -f new.yaml --last 1h",
        "beeyard policy impact -f new.yaml --base policies/ --flows flows.jsonl --fail-on-deny",
    ),
)
@file_option("Policies as they would be: files, folders or -.")
@click.option("--delete", "removed", multiple=True, metavar="[NAMESPACE/]NAME", help="Policy that would be deleted.")
@click.option("--base", multiple=True, metavar="PATH", help="Policies as they are; else those of the cluster.")
@click.option("--fail-on-deny", is_flag=True, help="Exit 1 when a connection that is allowed now would be denied.")
@click.option("--all", "everything", is_flag=True, help="Also list what does not change.")
@flow_options
@reach_options
@output_option("text", "json")
def impact_command(**options: Any) -> int:
    """Say which observed connections a change of policies would cut or open."""
    if not (options["files"] or options["removed"]):
        raise UsageError("nothing would change", fix="Name changed policies with -f, or --delete.", code="E-POL-014")
    impact, source = asyncio.run(_impact(options))
    if options["output_format"] == "json":
        output.data_json({"source": source, **impact.to_dict()})
    else:
        output.data(printable(_impact_text(impact, source, everything=options["everything"])))
    cut = bool(impact.of("cut"))
    return ExitCode.FAILED if cut and options["fail_on_deny"] else ExitCode.OK


async def _impact(options: dict[str, Any]) -> tuple[Impact, str]:
    changed = usable(options["files"])
    if options["base"]:
        world = World(objects=tuple(usable(options["base"])))
    else:
        async with opened(options) as cluster:
            world = await cluster.world()
        tell_unread(world)
    removed = [item for item in world.objects if _named(item, options["removed"])]
    if len(removed) < len(options["removed"]):
        raise UsageError("a policy to delete is not there", fix="`beeyard policy list` shows them.", code="E-POL-013")
    after = with_changes(world.objects, changed, removed)
    assessor = Assessor(world.engine(), world.engine(after))
    source = await flows_of(options, assessor.add)
    return assessor.result(), source


def _named(item: Any, names: tuple[str, ...]) -> bool:
    metadata = item.get("metadata") or {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    return name in names or f"{namespace}/{name}" in names


_WORDS = {"cut": "CUT", "changed": "CHANGED", "opened": "OPENED", "unknown": "UNKNOWN", "unchanged": "same"}


def _impact_text(impact: Impact, source: str, *, everything: bool) -> str:
    lines: list[str] = []
    for edge in impact.edges:
        if edge.change == "unchanged" and not everything:
            continue
        lines.append(
            f"{_WORDS[edge.change]:<8} {edge.source} -> {edge.dest} {edge.port}: {edge.before} -> {edge.after}, "
            f"{edge.count} flows, last {edge.last}"
        )
        lines.append(f"         {edge.why}")
    counts = {kind: sum(edge.count for edge in impact.of(kind)) for kind in _WORDS}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "nothing to judge"
    lines.append(f"{impact.judged} of {impact.flows} flows judged ({source}): {told}")
    if impact.first:
        lines.append(f"seen from {impact.first} to {impact.last}; what did not happen then is not judged")
    if impact.lost:
        lines.append(f"warning: Hubble lost {impact.lost} events in this time")
    if impact.disagreements:
        lines.append(f"warning: {impact.disagreements} flows had another verdict than these policies give them")
    return "\n".join(lines)


COMMANDS = (simulate_command, explain_command, graph_command, impact_command)
