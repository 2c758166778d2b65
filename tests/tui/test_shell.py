"""The frame around the areas: tabs, keys, help, palette, settings, quitting, and what happens when something fails."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import pytest
from textual.widgets import Input

from installer.domain.errors import BeeyardError
from installer.tui.dialogs.confirm import Confirm
from installer.tui.dialogs.error import ErrorDialog, as_text
from installer.tui.dialogs.help import HelpScreen
from installer.tui.run.host import RunState
from installer.tui.settings import Settings
from installer.tui.theme import NAMES
from tests.support.cockpit import MemorySettings, cockpit_of, stub_services, text_of, wait_for
from tests.support.demo_areas import DEMO
from tests.tui.conftest import Open


def area_of(pilot: Any) -> str:
    return str(getattr(pilot.app.screen, "AREA", ""))


async def test_it_opens_and_connects(cockpit: Open) -> None:
    async with cockpit(areas=()) as pilot:
        await wait_for(pilot, lambda: "connected" in text_of(pilot.app) and "Hubble" in text_of(pilot.app))
        assert "k3s v1.36.4+k3s1  Cilium v1.20.2  Hubble v1.20.2" in text_of(pilot.app)


async def test_setup_comes_first_without_a_kubeconfig_overview_with_one(cockpit: Open) -> None:
    async with cockpit(stub_services(has_kubeconfig=lambda: False), areas=DEMO) as pilot:
        assert area_of(pilot) == "setup"
    async with cockpit(areas=DEMO) as pilot:
        assert area_of(pilot) == "overview"
    async with cockpit(areas=DEMO, area="setup") as pilot:
        assert area_of(pilot) == "setup"
    async with cockpit(areas=DEMO, settings=Settings(area="setup")) as pilot:
        assert area_of(pilot) == "setup"


async def test_digits_function_keys_and_clicks_show_areas(cockpit: Open) -> None:
    async with cockpit(areas=DEMO) as pilot:
        await pilot.press("1")
        assert area_of(pilot) == "setup"
        await pilot.press("f2")
        assert area_of(pilot) == "overview"
        await pilot.click("AreaTab")
        await wait_for(pilot, lambda: area_of(pilot) == "setup")
        await pilot.press("5")
        assert area_of(pilot) == "setup"
        assert "Kernel" not in text_of(pilot.app)


async def test_typing_into_a_field_changes_no_area(cockpit: Open) -> None:
    async with cockpit(areas=DEMO, area="setup") as pilot:
        pilot.app.screen.query_one(Input).focus()
        await pilot.press("2", "q", "question_mark")
        assert area_of(pilot) == "setup"
        assert pilot.app.screen.query_one(Input).value == "2q?"


async def test_areas_are_imported_when_they_are_shown_or_after_the_first_picture(cockpit: Open) -> None:
    sys.modules.pop("tests.support.demo_areas")
    async with cockpit(areas=DEMO[1:2]) as pilot:
        await wait_for(pilot, lambda: "tests.support.demo_areas" in sys.modules)


@pytest.mark.parametrize("key", ["b", "r"])
async def test_a_failing_worker_ends_in_a_dialog(cockpit: Open, key: str) -> None:
    async with cockpit(areas=DEMO, area="setup") as pilot:
        await pilot.press(key)
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ErrorDialog))
        text = text_of(pilot.app)
        assert "E-BUG-001" in text if key == "b" else "E-DEMO-001" in text
        assert "no [such] thing" in text if key == "b" else "Do something else." in text
        await pilot.press("escape")
        assert area_of(pilot) == "setup"


async def test_an_error_can_be_copied(cockpit: Open) -> None:
    error = BeeyardError("it broke", why="a\x1b[2Jb", fix="Mend it.", code="E-X-001", details={"path": "/x"})
    async with cockpit(areas=DEMO) as pilot:
        cockpit_of(pilot).show_error(error)
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ErrorDialog))
        await pilot.press("c")
        assert pilot.app.clipboard == as_text(error)
        assert as_text(error) == "E-X-001: It broke\nWhy: a\\x1b[2Jb\nFix: Mend it.\nFacts: path: /x"


async def test_a_long_error_can_be_read_in_a_small_terminal(cockpit: Open) -> None:
    why = "\n".join(f"line {number}" for number in range(40))
    async with cockpit(areas=DEMO, size=(40, 12)) as pilot:
        cockpit_of(pilot).show_error(BeeyardError("it broke", why=why, fix="Mend it.", code="E-X-001"))
        await wait_for(pilot, lambda: "line 0" in text_of(pilot.app) and "Close" in text_of(pilot.app))
        await pilot.press(*["pagedown"] * 6)
        await wait_for(pilot, lambda: "Mend it." in text_of(pilot.app) and "Close" in text_of(pilot.app))


async def test_help_tells_the_keys_that_work_here(cockpit: Open) -> None:
    settings = Settings(keymap={"setup.bug": "f7", "app.quit": "Q"})
    async with cockpit(areas=DEMO, area="setup", size=(100, 40), settings=settings) as pilot:
        await wait_for(pilot, lambda: cockpit_of(pilot).keys_of(DEMO[0].load().ACTIONS[0]) == "f7")
        await pilot.press("question_mark")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, HelpScreen) and "Quit" in text_of(pilot.app))
        lines = [line.strip(" │▂▁▄█▊▎▔") for line in text_of(pilot.app).splitlines()]
        assert any(line.startswith("f7") and "Fail in a way nobody expected." in line for line in lines)
        assert any(line.startswith("Q ") and "Quit" in line for line in lines)
        assert "Where a cluster is made." in lines
        assert "Trouble" in lines
        assert not any("Hidden" in line for line in lines)


async def test_the_palette_offers_what_can_be_done_and_does_it(cockpit: Open) -> None:
    async with cockpit(areas=DEMO, area="setup") as pilot:
        await pilot.press("ctrl+p", *"ref")
        await wait_for(pilot, lambda: "Fail with an error of ours." in text_of(pilot.app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ErrorDialog))


async def test_the_users_keys_replace_ours_and_wrong_ones_are_told(cockpit: Open) -> None:
    settings = Settings(keymap={"app.help": "f7", "app.nonsense": "x", "setup.bug": "r"})
    async with cockpit(areas=DEMO, area="setup", settings=settings, size=(120, 36)) as pilot:
        await wait_for(pilot, lambda: "Some of your keys cannot be used" in text_of(pilot.app))
        assert "app.nonsense: there is no such action" in text_of(pilot.app)
        assert "setup.bug: r is already the key of setup.refuse" in text_of(pilot.app)
        await pilot.press("question_mark")
        assert area_of(pilot) == "setup"
        await pilot.press("f7")
        assert isinstance(pilot.app.screen, HelpScreen)


async def test_settings_are_used_at_once_and_kept(cockpit: Open) -> None:
    store = MemorySettings()
    async with cockpit(stub_services(settings=store), areas=DEMO) as pilot:
        await pilot.press("comma", "enter", "down", "enter")
        await wait_for(pilot, lambda: pilot.app.theme == "beeyard-light")
        assert store.data == {"theme": "beeyard-light"}


async def test_settings_that_cannot_be_saved_are_told_and_used(cockpit: Open) -> None:
    store = MemorySettings()
    store.failure = BeeyardError("The settings cannot be saved", why="Read-only file system", code="E-SET-003")
    async with cockpit(stub_services(settings=store), areas=DEMO) as pilot:
        cockpit_of(pilot).change_settings(ascii=True)
        await wait_for(pilot, lambda: "Read-only file system" in text_of(pilot.app))
        await wait_for(pilot, lambda: "* connected" in text_of(pilot.app))


async def test_notes_of_the_start_are_told(cockpit: Open) -> None:
    note = BeeyardError("The settings file is broken", why="line 3: [/]", fix="Mend it.", code="E-SET-001")
    async with cockpit(areas=DEMO, notes=[note]) as pilot:
        await wait_for(pilot, lambda: "line 3: [/]" in text_of(pilot.app))


async def test_every_theme_draws_every_part(cockpit: Open) -> None:
    async with cockpit(areas=DEMO, area="setup") as pilot:
        await pilot.press("ctrl+p")
        for theme in NAMES:
            cockpit_of(pilot).change_settings(theme=theme)
            await pilot.pause()
            assert pilot.app.theme == theme
            assert "verdict-dropped" in pilot.app.get_css_variables()


async def test_no_color_gives_no_colour(cockpit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(areas=DEMO) as pilot:
        await wait_for(pilot, lambda: "connected" in text_of(pilot.app))
        colours = set(re.findall(r"#([0-9a-f]{6})", pilot.app.export_screenshot()))
        window = {"ff5f57", "febc2e", "28c840", "292929", "c5c8c6"}
        assert all(colour[:2] == colour[2:4] == colour[4:] for colour in colours - window)


async def test_small_and_back(cockpit: Open) -> None:
    async with cockpit(areas=DEMO, size=(120, 36)) as pilot:
        await wait_for(pilot, lambda: "connected" in text_of(pilot.app))
        before = text_of(pilot.app)
        await pilot.resize_terminal(40, 12)
        await wait_for(pilot, lambda: len(text_of(pilot.app).splitlines()) == 12)
        await wait_for(pilot, lambda: "connected" in text_of(pilot.app))
        assert pilot.app.screen.has_class("-narrow")
        await pilot.press("question_mark", "escape", "C", "escape")
        await pilot.resize_terminal(120, 36)
        await wait_for(pilot, lambda: text_of(pilot.app) == before)


async def test_hostile_text_is_shown_as_it_is(cockpit: Open) -> None:
    async with cockpit(areas=DEMO, area="setup", size=(120, 36)) as pilot:
        cockpit_of(pilot).tell("[bold]pod[/] \x1b[31m", "why [/] \u202e")
        await wait_for(pilot, lambda: "[bold]pod[/] \\x1b[31m" in text_of(pilot.app))
        assert "why [/] \\u202e" in text_of(pilot.app)


async def test_quitting_asks_while_a_run_goes_on(cockpit: Open) -> None:
    async with cockpit(areas=DEMO) as pilot:
        app = cockpit_of(pilot)
        app.run_host.state = RunState.RUNNING
        await pilot.press("q")
        await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        assert app.is_running
        assert area_of(pilot) == "overview"
        app.run_host.state = RunState.DONE
        await pilot.press("q")
        await wait_for(pilot, lambda: not app.is_running)
    assert app.return_value == 0


async def test_a_word_has_to_be_typed_where_one_is_asked_for(cockpit: Open) -> None:
    answers: list[bool | None] = []
    async with cockpit(areas=DEMO) as pilot:
        pilot.app.push_screen(Confirm("Remove [x]?", "All goes.", "x"), answers.append)
        await pilot.pause()
        await pilot.press("enter")
        assert not answers
        await pilot.press(*"x", "enter")
        assert answers == [True]


async def test_where_the_terminal_cannot_be_handed_over_it_is_told(cockpit: Open) -> None:
    async with cockpit(areas=DEMO) as pilot:
        await pilot.press("exclamation_mark")
        await wait_for(pilot, lambda: "E-TUI-001" in text_of(pilot.app))


async def test_an_uninstall_wants_the_name_of_this_host_and_leads_to_the_command(cockpit: Open) -> None:
    async with cockpit(areas=DEMO) as pilot:
        await pilot.app.run_action("app.open('uninstall')")
        await wait_for(pilot, lambda: "Take the cluster off this host?" in text_of(pilot.app))
        await pilot.press(*"wrong", "enter")
        assert isinstance(pilot.app.screen, Confirm)
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, Confirm))
        await pilot.app.run_action("app.open('uninstall')")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        pilot.app.screen.query_one(Input).value = os.uname().nodename.lower()
        await pilot.pause()
        await pilot.press("enter")
        await wait_for(pilot, lambda: "E-TUI-001" in text_of(pilot.app))  # there is no terminal to hand over


async def test_lost_events_are_always_shown(cockpit: Open) -> None:
    async with cockpit(areas=DEMO, size=(60, 20)) as pilot:
        cockpit_of(pilot).lost_events = 1234
        await wait_for(pilot, lambda: "lost 1,234" in text_of(pilot.app))


async def test_an_error_outside_of_a_worker_ends_the_app_and_is_kept_for_the_command(cockpit: Open) -> None:
    apps = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # it comes at the end of the context
        async with cockpit(areas=DEMO) as pilot:
            apps.append(cockpit_of(pilot))
            pilot.app.call_later(lambda: 1 // 0)
            await wait_for(pilot, lambda: apps[0].crash)
    assert isinstance(apps[0].crash, ZeroDivisionError)
