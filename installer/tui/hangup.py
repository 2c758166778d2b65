"""Leaving when the terminal is gone: an SSH connection that ended, a window that was shut."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from textual.app import App

from installer.tui.terminal import is_gone, let_go

HANGUP = 129
"""Exit code, as of a program that SIGHUP ended."""
LOOKS = 1.0
"""Seconds between two looks at the terminal, for those that end without a signal."""


def leave_when_gone(app: App[Any], busy: Callable[[], bool]) -> None:
    """Leave when the terminal is gone; work that is under way is brought to its end first.

    Args:
        app: the app, running on a terminal.
        busy: whether work is under way.
    """
    alone = left = False
    waiting = -1

    def without_terminal() -> None:
        nonlocal alone, waiting
        if not alone:
            alone, waiting = True, let_go()

    def look() -> None:
        nonlocal left
        if not alone and is_gone():
            without_terminal()
        if alone and not left and not busy():
            left = True
            os.close(waiting)
            app.exit(return_code=HANGUP)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, without_terminal)
    app.set_interval(LOOKS, look)
