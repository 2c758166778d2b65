"""Help of every command: whole, of one width, without marks of the program that lays it out."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from installer.cli.main import root


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the path of every command below this one."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found
            yield from commands(found, (*path, name))


@pytest.mark.parametrize("path", list(commands(root())), ids=lambda path: " ".join(path) or "beeyard")
def test_help_is_whole_and_fits(path: tuple[str, ...]) -> None:
    for width in (80, 100):
        done = CliRunner().invoke(root(), [*path, "--help"], terminal_width=width)
        assert done.exit_code == 0
        assert "\\b" not in done.output
        usage, _, rest = done.output.partition("\n\n")
        prose = rest.partition("  Examples:\n")[0].splitlines()
        assert not [line for line in prose if line.endswith("...") and "HEADER:PATH" not in line]
        assert max(map(len, (*usage.splitlines(), *prose))) <= width


@pytest.mark.parametrize(
    "path", [("install",), ("observe",), ("policy", "apply"), ("policy", "simulate")], ids=lambda path: " ".join(path)
)
def test_examples_stand_on_lines_of_their_own(path: tuple[str, ...]) -> None:
    lines = [line.strip() for line in CliRunner().invoke(root(), [*path, "--help"]).output.splitlines()]
    examples = [line for line in lines[lines.index("Examples:") + 1 :] if line]
    assert examples
    assert all(f"beeyard {' '.join(path)}" in line for line in examples)
