"""The programs that the cockpit opens in front of itself; they work on its cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from installer.domain.text import printable
from installer.tui import suspend
from installer.tui.dialogs.confirm import Confirm

if TYPE_CHECKING:
    from installer.tui.app import Cockpit


UNINSTALL = (
    "k3s, Cilium, Hubble and all pods of this host end, and the cluster's data goes; what was here before the install "
    "comes back. Next comes the plan, and a question: nothing changes before that."
)


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


async def uninstall(app: Cockpit) -> None:
    """Take the cluster off this host: its name is typed first, then the command shows its plan and asks."""
    node = os.uname().nodename.lower()
    if not await app.push_screen_wait(Confirm("Take the cluster off this host?", UNINSTALL, node, yes="Show the plan")):
        return
    command = [sys.executable, "-m", "installer", "uninstall"]
    if os.geteuid() != 0:
        command.insert(0, "sudo")
    wait = 'rc=0; "$@" || rc=$?; printf "Enter comes back to the cockpit. "; read -r _; exit $rc'
    await _hand_over(app, ["/bin/sh", "-c", wait, "beeyard", *command])
    app.action_reconnect()


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
    "uninstall": uninstall,
}
"""What can be opened, by name."""
