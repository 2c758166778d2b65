"""Ways to the run screen: after a plan was agreed to, and when an earlier run was not finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.domain.text import printable
from installer.tui.dialogs.confirm import Confirm

if TYPE_CHECKING:
    from installer.services.install import Unfinished
    from installer.tui.app import Cockpit

AREA = "setup"


async def show_run(app: Cockpit) -> None:
    """Show the run screen, in the area Setup where there is one."""
    from installer.tui.run.screen import RunScreen

    if any(one.id == AREA for one in app.areas) and app.current_mode != AREA:
        await app.switch_mode(AREA)
    if not isinstance(app.screen, RunScreen):
        await app.push_screen(RunScreen())


async def offer_resume(app: Cockpit) -> bool:
    """Ask whether to go on with a run that did not reach its goal; False where there is none. Call it in a worker."""
    unfinished = await app.run_host.unfinished(app.services.environment)
    if unfinished is None:
        return False
    question = Confirm("Go on with the unfinished install?", _story(unfinished), yes="Go on", no="Not now")
    if await app.push_screen_wait(question):
        app.run_host.start(unfinished.spec, unfinished.options)
        await show_run(app)
    return True


def _story(unfinished: Unfinished) -> str:
    how = "was killed" if unfinished.killed else "did not reach its goal"
    where = f" in step {printable(unfinished.step)}" if unfinished.step else ""
    return (
        f"The run {unfinished.record.run_id} {how}{where}. Going on does only what is left: "
        "what was fetched and installed is kept. Else it is offered again at the next start, and at any time by the "
        "command Continue run."
    )
