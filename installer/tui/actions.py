"""Everything a user can do, declared once.

Key bindings, the footer, the command palette, the help screen and the user's own key map are all made from these
declarations. A screen lists its actions in ``ACTIONS`` and has a method ``action_<name>`` for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingType

APP = "app"


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a key, the palette or a click can start.

    Attributes:
        id: ``<area>.<name>``, such as ``flows.pause``; it names the action in the user's key map and never changes.
        title: a few words, for footer and palette.
        help: one sentence, for help screen and palette.
        keys: Textual's names of keys; the first is the one that is shown. None: only in the palette.
        area: id of the area it belongs to, ``app`` for those that work everywhere.
        group: heading in the help screen.
        footer: whether the footer shows it.
        call: what to call instead of ``<name>``, such as ``area('flows')``.
    """

    id: str
    title: str
    help: str
    keys: tuple[str, ...] = ()
    area: str = APP
    group: str = ""
    footer: bool = False
    call: str = ""

    @property
    def action(self) -> str:
        """Textual's action: the name of the method, with arguments where there are some."""
        name = self.call or self.id.rpartition(".")[2]
        return f"app.{name}" if self.area == APP else name

    def binding(self) -> Binding:
        """Return the key binding."""
        return Binding(",".join(self.keys), self.action, self.title, show=self.footer, tooltip=self.help, id=self.id)


def bindings(actions: Iterable[Action]) -> list[BindingType]:
    """Return the bindings of actions that have keys, for ``BINDINGS`` of a screen, a widget or the app."""
    return [action.binding() for action in actions if action.keys]


APP_ACTIONS = (
    Action("app.help", "Help", "Show what the keys of this screen do.", ("question_mark", "f12"), footer=True),
    Action("app.palette", "Commands", "Search all commands.", ("ctrl+p", "colon"), footer=True, call="command_palette"),
    Action(
        "app.contexts", "Cluster", "Choose another cluster of the kubeconfig.", ("C",), group="Cluster", footer=True
    ),
    Action("app.explain", "Explain", "Tell why the cluster is not connected.", ("E",), group="Cluster"),
    Action("app.reconnect", "Reconnect", "Try to reach the cluster now.", ("R",), group="Cluster"),
    Action(
        "app.kubectl",
        "kubectl",
        "Open k9s, else a shell with kubectl on this cluster.",
        ("K",),
        group="Cluster",
        call="open('kubectl')",
    ),
    Action(
        "app.shell",
        "Shell",
        "Open a shell; leaving it comes back here.",
        ("exclamation_mark",),
        group="Cluster",
        call="open('shell')",
    ),
    Action(
        "app.uninstall",
        "Uninstall",
        "Take the cluster off this host; the plan is shown first.",
        group="Cluster",
        call="open('uninstall')",
    ),
    Action(
        "app.resume",
        "Continue run",
        "Go on with an install that was killed or did not reach its goal.",
        group="beeyard",
    ),
    Action("app.settings", "Settings", "Theme, symbols, history.", ("comma",), group="beeyard"),
    Action(
        "app.edit_settings",
        "Edit settings",
        "Open the settings file in your editor.",
        group="beeyard",
        call="open('settings')",
    ),
    Action("app.log", "Log", "Open the log of this cockpit in a pager.", ("L",), group="beeyard", call="open('log')"),
    Action("app.quit", "Quit", "Leave; a run that goes on is asked about.", ("q",), group="beeyard", footer=True),
)
"""Actions that work on every screen."""
