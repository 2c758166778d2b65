"""The ``beeyard`` command: a group of lazily imported commands, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from installer.domain.errors import BeeyardError

COMMANDS = {
    "preflight": ("installer.cli.commands.preflight", "Look at this host and its kernel before an install."),
    "install": ("installer.cli.commands.install", "Make this host a k3s cluster with Cilium and Hubble."),
    "upgrade": ("installer.cli.commands.upgrade", "Upgrade k3s and Cilium, one minor at a time, each step proven."),
    "uninstall": ("installer.cli.commands.uninstall", "Take the cluster off this host; nothing of it stays."),
    "bundle": ("installer.cli.commands.bundle", "Make, look at, verify and push bundles: installs without a network."),
    "status": ("installer.cli.commands.status", "Show the state of a cluster's nodes, Cilium and Hubble."),
    "doctor": ("installer.cli.commands.doctor", "Find out what is wrong with this host and cluster, and the fix."),
    "sysdump": ("installer.cli.commands.sysdump", "Collect everything for a support case, without secrets."),
    "verify": ("installer.cli.commands.verify", "Prove the network with real connections and a policy."),
    "observe": ("installer.cli.commands.observe", "Watch flows: everything of `hubble observe`, and more."),
    "tap": ("installer.cli.commands.tap", "Watch this node's flows and drops straight from the kernel."),
    "policy": ("installer.cli.commands.policy", "Check, try out, change and draw network policies."),
    "hubble": ("installer.cli.commands.hubble", "Look at Hubble, reach it, and switch it on or off."),
    "tui": ("installer.cli.commands.tui", "Open the cockpit, as beeyard alone does on a terminal."),
    "runs": ("installer.cli.commands.runs", "Tell what beeyard did on this host, when, and how it ended."),
    "undo": ("installer.cli.commands.undo", "Take back what a run changed."),
    "guard": ("installer.cli.commands.guard", "See what guards this host's network, use it, or take it off."),
    "config": ("installer.cli.commands.config", "Make, check and show beeyard.yaml and the Helm values."),
}
"""Module and one-line help by command; modules are imported when their command is called."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        sys.stdout.write(f"beeyard {version()}\n")
        sys.exit(0)
    if not arguments and sys.stdin.isatty() and sys.stderr.isatty():
        arguments = ["tui"]
    sys.exit(run(arguments))


def version() -> str:
    """Return the installed version."""
    from installer import __version__

    return str(__version__)


def run(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    import click

    from installer.cli.options import Chosen
    from installer.domain.errors import BeeyardError, ExitCode

    chosen = Chosen()
    debug = "--debug" in arguments or bool(os.environ.get("BEEYARD_DEBUG"))
    try:
        result = root().main(arguments, prog_name="beeyard", standalone_mode=False, obj=chosen)
        return int(result) if isinstance(result, int) else ExitCode.OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as problem:
        problem.show(sys.stderr)
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except BeeyardError as problem:
        if debug:
            raise
        tell(problem, chosen.output)
        return problem.exit_code
    except Exception as problem:  # the last line of defence: no traceback without --debug
        if debug:
            raise
        tell(unexpected(problem), chosen.output)
        return ExitCode.FAILED


def tell(problem: BeeyardError, form: str) -> None:
    """Write an error to stderr, and to stdout as JSON or as an event where that was asked for."""
    from installer.cli import output

    if form == "json":
        output.data_json({"error": problem.to_dict()})
    elif form == "ndjson":
        output.data_json({"event": "error", "error": problem.to_dict()}, compact=True)
    output.error(problem, log=str(problem.details.get("log", "")))


def unexpected(problem: Exception) -> BeeyardError:
    """Wrap an error that nobody expected."""
    from installer.domain.errors import BeeyardError

    return BeeyardError(
        f"beeyard met an error it did not expect: {type(problem).__name__}",
        why=str(problem),
        fix="Run the command again with --debug and report what it prints.",
        code="E-BUG-001",
    )


def root() -> click.Group:
    """Build the command group."""
    import click

    class LazyGroup(click.Group):
        """Knows its commands by name and imports one when it is called."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            del ctx
            return list(COMMANDS)

        def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
            del ctx
            if name not in COMMANDS:
                return None
            command = import_module(COMMANDS[name][0]).command
            assert isinstance(command, click.Command)
            return command

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            del ctx
            with formatter.section("Commands"):
                formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

        def resolve_command(
            self, ctx: click.Context, args: list[str]
        ) -> tuple[str | None, click.Command | None, list[str]]:
            if args and args[0] not in COMMANDS and not args[0].startswith("-"):
                import difflib

                near = difflib.get_close_matches(args[0], COMMANDS, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else f" Commands: {', '.join(COMMANDS)}."
                raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
            return super().resolve_command(ctx, args)

    def print_version(ctx: click.Context, param: click.Parameter, given: bool) -> None:
        """Look the version up only when it is asked for: that reads the distribution's metadata."""
        del param
        if given and not ctx.resilient_parsing:
            click.echo(f"beeyard {version()}")
            ctx.exit()

    @click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
    @click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=print_version,
        help="Show the version and exit.",
    )
    @click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
    def beeyard(debug: bool) -> None:
        """From a bare Linux host to a ready k3s cluster on Cilium and Hubble, and a cockpit to run it."""
        del debug

    return beeyard
