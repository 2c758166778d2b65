"""The frame that all areas share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.worker import Worker

from installer.tui.actions import Action, bindings
from installer.tui.connection import ConnectionChanged
from installer.tui.widgets.action_bar import ActionBar
from installer.tui.widgets.banner import ConnectionBanner
from installer.tui.widgets.status import StatusBar
from installer.tui.widgets.tabs import AreaTab, AreaTabs

if TYPE_CHECKING:
    from installer.tui.app import Cockpit


class AreaScreen(Screen[None]):
    """A screen with tabs, banner, status bar and footer; areas fill what lies between.

    A subclass gives ``AREA``, ``ACTIONS`` (bindings are made from them) with a method ``action_<name>`` each,
    ``compose_body``, and ``CSS_PATH`` where it has styles. ``HELP`` is what the help screen begins with.

    The screen has the class ``-narrow`` below 80 columns, ``-normal`` to 119, ``-wide`` from 120 on; ``-short`` below
    20 lines.
    """

    AREA: ClassVar[str] = ""
    ACTIONS: ClassVar[tuple[Action, ...]] = ()
    HELP: ClassVar[str | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        cls.BINDINGS = [*bindings(cls.__dict__.get("ACTIONS", ())), *cls.__dict__.get("BINDINGS", ())]
        super().__init_subclass__(**options)

    @property
    def cockpit(self) -> Cockpit:
        """The app."""
        return cast("Cockpit", self.app)

    def compose(self) -> ComposeResult:
        """Put the frame around the area's own widgets."""
        yield AreaTabs(self.cockpit.areas, self.AREA)
        yield ConnectionBanner()
        with Container(id="body"):
            yield from self.compose_body()
        yield StatusBar()
        yield ActionBar()

    def compose_body(self) -> ComposeResult:
        """Make the area's own widgets."""
        yield from ()

    def on_mount(self) -> None:
        """Show the state of the connection, and again whenever it changes."""
        self.cockpit.frames.add(self)
        self.show_connection()
        self.refresh_bindings()  # so that the first picture has the keys

    def on_unmount(self) -> None:
        """Hear of changes no more."""
        self.cockpit.frames.discard(self)

    def show_connection(self) -> None:
        """Bring banner and status bar up to date."""
        app = self.cockpit
        self.query_one(ConnectionBanner).show(app.connection, app.key_for("app.explain"))
        self.query_one(StatusBar).show(app.connection, app.lost_events, ascii_only=app.settings.ascii)

    def unsaved(self) -> Sequence[str]:
        """Return what would be lost if the app ended now, for people."""
        return ()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show the error of a worker of this screen; such messages do not reach the app by themselves."""
        self.cockpit.on_worker_state_changed(event)

    @on(ConnectionChanged)
    def _connection_changed(self, message: ConnectionChanged) -> None:
        message.stop()
        self.show_connection()

    @on(AreaTab.Chosen)
    async def _tab_chosen(self, message: AreaTab.Chosen) -> None:
        message.stop()
        await self.cockpit.action_area(message.area)
