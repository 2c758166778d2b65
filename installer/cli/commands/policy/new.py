"""``policy new``: begin with a recipe of the cookbook."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import click

from installer.cli import output
from installer.cli.commands.policy.common import render_report
from installer.cli.options import examples, output_option
from installer.domain.errors import ExitCode, UsageError
from installer.domain.policy.documents import read_documents
from installer.domain.policy.findings import Report
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.validation import validate
from installer.services.policies.cookbook import Recipe


@click.command(
    "new",
    epilog=examples(
        "beeyard policy new",
        "beeyard policy new allow-frontend-to-backend -n shop --set client=web --set server=api > api.yaml",
    ),
)
@click.argument("template", required=False)
@click.option("--name", help="Name of the policy.")
@click.option("-n", "--namespace", help="Its namespace.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Put a value in; repeatable.")
@output_option("text", "json")
def new_command(
    template: str | None, name: str | None, namespace: str | None, sets: tuple[str, ...], output_format: str
) -> int:
    """Write a recipe of the cookbook to stdout, to begin with; without TEMPLATE list them."""
    from installer.wiring.policies import cookbook

    recipes = cookbook()
    if template is None:
        _list(recipes, output_format)
        return ExitCode.OK
    chosen = _settings(sets) | {key: value for key, value in (("name", name), ("namespace", namespace)) if value}
    text = _recipe(recipes, template).write(chosen)
    report = validate(read_documents(text, template), KNOWN_CRDS)
    if report.errors:
        output.talk(render_report(Report(report.errors)))
        raise UsageError(
            "the policy would not be valid",
            why="The errors are listed above.",
            fix="Set other values.",
            code="E-POL-003",
        )
    if output_format == "json":
        output.data_json({"template": template, "text": text})
    else:
        output.data(text.rstrip())
    return ExitCode.OK


def _list(recipes: Mapping[str, Recipe], output_format: str) -> None:
    if output_format == "json":
        output.data_json(
            [{"name": one.name, "summary": one.summary, "settings": dict(one.settings)} for one in recipes.values()]
        )
        return
    for one in recipes.values():
        output.data(f"{one.name}\n    {one.summary}")
        output.data(f"    --set {', '.join(f'{key}={value}' for key, value in one.settings.items())}")


def _recipe(recipes: Mapping[str, Recipe], name: str) -> Recipe:
    if name in recipes:
        return recipes[name]
    near = difflib.get_close_matches(name, recipes, n=3, cutoff=0.4)
    raise UsageError(
        f"there is no recipe {name!r}",
        fix=f"Did you mean {' or '.join(near)}?" if near else "`beeyard policy new` lists them.",
        code="E-POL-017",
    )


def _settings(sets: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in sets:
        key, equal, value = text.partition("=")
        if not (equal and key and value):
            raise UsageError(f"--set {text!r} is no KEY=VALUE", fix="Write such as client=web.", code="E-POL-018")
        found[key.strip()] = value.strip()
    return found


COMMANDS = (new_command,)
