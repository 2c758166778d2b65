"""The programs that the cockpit opens in front of itself; they work on its cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from installer.domain.text import printable
from installer.tui import suspend

if TYPE_CHECKING:
    from installer.tui.app import Cockpit


async def open_shell(app: Cockpit) -> None:
    """Open the user's shell."""
    await _hand_over(app, suspend.shell(app.services.environment), "beeyard waits: exit comes back to it.")


async def open_kubectl(app: Cockpit) -> None:
    """Open k9s, or a shell in which kubectl knows the cluster."""
    command = suspend.kubectl(app.services.environment, app.connection.context)
    target = app.connection.target
    option = f" --context {printable(target.name)}" if target is not None and not target.current else ""
    await _hand_over(app, command, f"The cockpit's cluster is that of kubectl{option}: exit comes back.")


async def open_log(app: Cockpit) -> None:
    """Open the log of the cockpit in the user's pager."""
    if app.services.log_file is None:
        app.tell("There is no log", "Its folder cannot be written.", "warning")
        return
    await _hand_over(app, [*suspend.pager(app.services.environment), str(app.services.log_file)])


async def edit_settings(app: Cockpit) -> None:
    """Open the settings in the user's editor and use what was written."""
    store = app.services.settings
    store.save(app.settings.to_data())
    await edit(app, str(store.path))
    app.reread_settings()


async def edit(app: Cockpit, path: str) -> None:
    """Open a file in the user's editor.

    Raises:
        BeeyardError: ``E-TUI-001`` or ``E-TUI-002``.
    """
    await _hand_over(app, [*suspend.editor(app.services.environment), path])


async def _hand_over(app: Cockpit, argv: Sequence[str], greeting: str = "") -> None:
    environment = dict(app.services.environment)
    if app.connection.target is not None and app.connection.target.source:
        environment["KUBECONFIG"] = app.connection.target.source
    await suspend.hand_over(app, argv, environment, greeting)


PROGRAMS: dict[str, Callable[[Cockpit], Awaitable[None]]] = {
    "shell": open_shell,
    "kubectl": open_kubectl,
    "log": open_log,
    "settings": edit_settings,
}
"""What can be opened, by name."""
