"""Opening the cockpit."""

from __future__ import annotations

from installer.domain.errors import BeeyardError, UsageError
from installer.tui.app import Cockpit
from installer.tui.areas import present
from installer.tui.failures import as_beeyard_error
from installer.tui.settings import read_settings
from installer.tui.terminal import quiet_libraries
from installer.wiring.cockpit import cockpit_services, open_log


def open_cockpit(area: str = "", kubeconfig: str | None = None, context: str | None = None, mouse: bool = True) -> int:
    """Run the cockpit until it is left; its exit code is returned.

    Raises:
        UsageError: ``E-TUI-003`` there is no such area.
        BeeyardError: ``E-BUG-001`` it ended by an error that nobody expected.
    """
    names = [one.id for one in present()]
    if area and area not in names:
        raise UsageError(f"There is no area {area!r}", why=f"Areas: {', '.join(names)}.", code="E-TUI-003")
    services = cockpit_services(kubeconfig, context, log_file=open_log())
    stored = services.settings.load()
    settings, problems = read_settings(stored.data)
    notes = [stored.problem] if stored.problem else []
    notes += [_not_understood(problems, str(services.settings.path))] if problems else []
    app = Cockpit(services, settings, area=area, notes=notes)
    with quiet_libraries(services.log_file):
        result = app.run(mouse=mouse)
    if app.crash is not None:
        raise as_beeyard_error(app.crash, str(services.log_file or "")) from app.crash
    return app.return_code or result or 0


def _not_understood(problems: list[str], path: str) -> BeeyardError:
    return BeeyardError(
        "Some settings were not understood, their defaults are used",
        why="\n".join(problems),
        fix=f"Correct them in {path}, or change them with the key for settings.",
        code="E-SET-004",
    )
