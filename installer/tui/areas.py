"""The areas of the cockpit: one mode with a tab each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from installer.tui.actions import Action

if TYPE_CHECKING:
    from installer.tui.screen import AreaScreen


@dataclass(frozen=True, slots=True)
class Area:
    """One area.

    Attributes:
        id: mode and prefix of its actions.
        title: text of its tab.
        key: the digit that shows it; the function key of that number does too.
        path: ``module:Class`` of its screen, loaded when it is first shown.
        help: one sentence.
    """

    id: str
    title: str
    key: str
    path: str
    help: str

    @property
    def module(self) -> str:
        """Module of the screen."""
        return self.path.partition(":")[0]

    def load(self) -> type[AreaScreen]:
        """Import the screen's class."""
        screen: type[AreaScreen] = getattr(import_module(self.module), self.path.partition(":")[2])
        return screen

    def action(self) -> Action:
        """Return the action that shows the area."""
        return Action(
            f"app.area_{self.id}",
            self.title,
            self.help,
            (self.key, f"f{self.key}"),
            group="Areas",
            call=f"area({self.id!r})",
        )


AREAS = (
    Area("setup", "Setup", "1", "installer.tui.setup.screen:SetupScreen", "Install or change the cluster."),
    Area(
        "overview", "Overview", "2", "installer.tui.overview.screen:OverviewScreen", "Nodes, Cilium, Hubble, warnings."
    ),
    Area("policies", "Policies", "3", "installer.tui.policies.screen:PoliciesScreen", "Network policies."),
    Area("flows", "Flows", "4", "installer.tui.flows.screen:FlowsScreen", "Live traffic and its verdicts."),
    Area("kernel", "Kernel", "5", "installer.tui.kernel.screen:KernelScreen", "What the kernel does with packets."),
)


def present(areas: Sequence[Area] = AREAS) -> tuple[Area, ...]:
    """Return the areas whose screen exists in this version."""
    return tuple(area for area in areas if _exists(area.module))


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
