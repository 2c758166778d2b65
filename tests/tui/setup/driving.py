"""How tests drive the setup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from installer.tui.setup.fields import Field, field_id
from installer.tui.setup.screen import SetupScreen
from tests.support.cockpit import StubCluster, no_kubeconfig, stub_services, wait_for
from tests.support.setup import World, setup_service


def services(world: World, state: Path, **changes: Any) -> Any:
    made = setup_service(world, state, root=changes.get("root", True), environment=changes.pop("variables", None))
    fields = {"setup": lambda: made, "has_kubeconfig": lambda: False, "contexts": no_contexts, **changes}
    return stub_services(StubCluster(no_kubeconfig()), **fields)


async def no_contexts() -> tuple[()]:
    return ()


def screen(pilot: Pilot[Any]) -> SetupScreen:
    found = pilot.app.screen_stack[0]
    assert isinstance(found, SetupScreen)
    return found


async def ready(pilot: Pilot[Any]) -> SetupScreen:
    """Wait until host and sources were looked at."""
    await wait_for(pilot, lambda: isinstance(pilot.app.screen, SetupScreen) and screen(pilot).settled)
    return screen(pilot)


def field(pilot: Pilot[Any], question: str) -> Field:
    return screen(pilot).query_one(f"#{field_id(question)}", Field)


async def answer(pilot: Pilot[Any], question: str, text: str) -> None:
    field(pilot, question).query_one(Input).value = text
    await wait_for(pilot, lambda: screen(pilot).form.answers[question] == text)


def codes(pilot: Pilot[Any], question: str) -> list[str]:
    return [note.code for note in field(pilot, question).notes]
