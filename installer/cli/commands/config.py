"""``beeyard config``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from installer.cli import output
from installer.cli.commands.install import load
from installer.cli.options import CommandGroup, config_options, output_option
from installer.domain.errors import ExitCode, UsageError
from installer.services import config
from installer.wiring.cluster import find_asset


@click.group("config", cls=CommandGroup)
def command() -> None:
    """Make, check and show beeyard.yaml and the Helm values.

    A flag wins over BEEYARD_* variables, they over the file, the file over the defaults.
    """


@command.command("init")
@click.argument("path", default="beeyard.yaml")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(path: str, force: bool) -> None:
    """Write a commented beeyard.yaml; - writes to stdout."""
    text = config.template()
    if path == "-":
        output.data(text.rstrip())
        return
    try:
        with Path(path).open("w" if force else "x") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            f"{path} is there already", fix="Give another path, or --force to replace it.", code="E-CONFIG-006"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written", why=error.strerror or str(error), fix="Give another path.", code="E-CONFIG-006"
        ) from error
    output.talk(f"wrote {path}")


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of beeyard.yaml."""
    output.data_json(config.schema())


@command.command("validate")
@config_options
@click.option("--allow-unsupported", is_flag=True, help="Versions outside the support table are accepted.")
@output_option("text", "json")
def validate(allow_unsupported: bool, output_format: str, **options: Any) -> int:
    """Check a specification and its Helm values; exit 2 when anything is wrong."""
    resolved = load(options, [])
    problems = config.problems(resolved, find_asset, allow_unsupported=allow_unsupported)
    if output_format == "json":
        found = [{"path": item.path, "what": item.what, "fix": item.fix} for item in problems]
        output.data_json({"valid": not problems, "problems": found})
    else:
        for item in problems:
            output.data(str(item))
        output.talk("not valid" if problems else "valid")
    return ExitCode.USAGE if problems else ExitCode.OK


@command.command("show")
@config_options
@output_option("text", "json")
def show(output_format: str, **options: Any) -> None:
    """Show every setting with its value and where it comes from."""
    rows = config.show(load(options, []))
    if output_format == "json":
        output.data_json([{"path": path, "value": value, "origin": origin} for path, value, origin in rows])
        return
    width = max(len(path) for path, _, _ in rows)
    for path, value, origin in rows:
        output.data(f"{path:<{width}}  {_short(value)}  # {origin}")


@command.command("values")
@config_options
@click.option("--cilium", "version", metavar="VERSION", help="Cilium minor or version; else the specification's.")
@click.option("--allow-unsupported", is_flag=True, help="Versions outside the support table are accepted.")
@output_option("yaml", "json")
def values(version: str | None, allow_unsupported: bool, output_format: str, **options: Any) -> None:
    """Print the Helm values that would be used."""
    resolved = load(options, [])
    found, warnings = config.values(resolved, find_asset, version=version, allow_unsupported=allow_unsupported)
    for warning in warnings:
        output.talk(f"warning: {warning}")
    if output_format == "json":
        output.data_json(found)
    else:
        output.data_yaml(found)


def _short(value: Any) -> str:
    import json

    return "null" if value is None else json.dumps(value)
