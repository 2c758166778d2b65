"""Asking on the terminal before something is changed."""

from __future__ import annotations

import asyncio
import sys

import click

from installer.domain.errors import InterruptedRunError, UsageError

LOOK_ONLY = "Add --yes, or --dry-run to look only."


async def agreed(question: str, *, fix: str = LOOK_ONLY) -> bool:
    """Return the answer to a question.

    Args:
        question: what is asked; no answer is a no.
        fix: what to do where nobody can be asked.

    Raises:
        UsageError: ``E-CLI-002`` there is no terminal, so there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask on", why="Standard input is no terminal.", fix=fix, code="E-CLI-002"
        )
    return await asyncio.to_thread(click.confirm, question, default=False, err=True)


async def confirm(question: str, *, fix: str = LOOK_ONLY) -> None:
    """Ask, and go on only with a yes; ``fix`` is what to do where nobody can be asked.

    Raises:
        InterruptedRunError: ``E-CLI-003`` the answer is no.
        UsageError: ``E-CLI-002`` there is no terminal.
    """
    if not await agreed(question, fix=fix):
        raise InterruptedRunError(
            "nothing was changed", why="You did not agree.", fix="Run it again when you want.", code="E-CLI-003"
        )
