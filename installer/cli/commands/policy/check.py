"""``policy validate``, ``lint`` and ``test``: work on files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import click

from installer.cli import output
from installer.cli.commands.policy.common import (
    documents_of,
    offline_option,
    opened,
    reach_options,
    render_report,
    tell_unread,
)
from installer.cli.options import output_option
from installer.domain.errors import ExitCode
from installer.domain.policy.cases import CaseResult, run_case
from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.findings import Level, Report
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.validation import validate
from installer.domain.policy.world import World
from installer.domain.text import printable
from installer.services.policies.cases import CaseReader


@click.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="PATH…")
@click.option("--cluster", "connected", is_flag=True, help="Check against the definitions of the cluster at hand.")
@reach_options
@output_option("text", "json")
def validate_command(files: tuple[str, ...], **options: Any) -> int:
    """Say whether the API would take policies, and whether agents would use them.

    Exit code 1 when a document has errors.
    """
    return _check(files, options, lint=False)


@click.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="PATH…")
@offline_option
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@reach_options
@output_option("text", "json")
def lint_command(files: tuple[str, ...], **options: Any) -> int:
    """Validate policies, and say what is legal but probably wrong in this cluster.

    Exit code 1 when a document has errors, with --strict also for warnings.
    """
    options["connected"] = not options["offline"]
    return _check(files, options, lint=True)


def _check(files: tuple[str, ...], options: dict[str, Any], *, lint: bool) -> int:
    documents = documents_of(files)
    world = asyncio.run(_world(options)) if options["connected"] else None
    linter = None
    if lint:
        from installer.domain.policy.lint import linter as make_linter

        linter = make_linter(world)
    crds = {**KNOWN_CRDS, **(world.crds if world else {})}
    report = validate(documents, crds, world.settings if world else None, linter)
    if options["output_format"] == "json":
        output.data_json({"documents": len(documents), "findings": [item.to_dict() for item in report.findings]})
    else:
        if report.findings:
            output.data(render_report(report))
        output.talk(_summary(documents, report))
    worst = (Level.ERROR, Level.WARNING) if options.get("strict") else (Level.ERROR,)
    return ExitCode.FAILED if any(item.level in worst for item in report.findings) else ExitCode.OK


async def _world(options: dict[str, Any]) -> World:
    async with opened(options) as cluster:
        world: World = await cluster.world()
    tell_unread(world)
    return world


def _summary(documents: list[SourceDocument], report: Report) -> str:
    counts = {level: sum(item.level is level for item in report.findings) for level in Level}
    parts = [f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items() if count]
    files = len({document.file for document in documents})
    read = f"{len(documents)} document{'s' if len(documents) != 1 else ''}"
    return f"{read} in {files} file{'s' if files != 1 else ''}: {', '.join(parts) or 'all good'}"


@click.command("test")
@click.argument("files", nargs=-1, required=True, metavar="PATH…")
@click.option("--junit", type=click.Path(dir_okay=False), metavar="FILE", help="Also write a JUnit report.")
@output_option("text", "json")
def test_command(files: tuple[str, ...], junit: str | None, output_format: str) -> int:
    """Run policy tests: who may reach whom under which policies (docs/policy-tests.md).

    Exit code 1 when a test failed, 2 when a file is no test.
    """
    reader = CaseReader()
    results = [run_case(case) for document in documents_of(files, tests=True) for case in reader.read(document)]
    failed = [result for result in results if not result.ok]
    if junit:
        Path(junit).write_text(_junit(results))
    if output_format == "json":
        found = {"cases": len(results), "failed": len(failed), "results": [result.to_dict() for result in results]}
        output.data_json(found)
    else:
        for result in failed:
            output.data(printable(f"FAILED {result.id}: expected {result.expect}, got {result.got}\n    {result.why}"))
        output.talk(f"{len(results) - len(failed)} of {len(results)} cases passed")
    return ExitCode.FAILED if failed else ExitCode.OK


def _junit(results: list[CaseResult]) -> str:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    failures = sum(not result.ok for result in results)
    lines.append(f'<testsuite name="beeyard policy test" tests="{len(results)}" failures="{failures}">')
    for result in results:
        name = quoteattr(printable(result.id))
        if result.ok:
            lines.append(f'  <testcase name={name} classname="policy"/>')
        else:
            message = quoteattr(printable(f"expected {result.expect}, got {result.got}: {result.why}"))
            lines.append(f'  <testcase name={name} classname="policy"><failure message={message}/></testcase>')
    return "\n".join([*lines, "</testsuite>", ""])


COMMANDS = (validate_command, lint_command, test_command)
