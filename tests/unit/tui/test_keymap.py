from __future__ import annotations

import pytest

from installer.tui.actions import APP_ACTIONS, Action
from installer.tui.areas import AREAS
from installer.tui.keymap import check_keymap

FLOWS = (
    Action("flows.pause", "Pause", "Pause.", ("p",), area="flows"),
    Action("flows.copy", "Copy", "Copy.", ("y",), area="flows"),
    Action("flows.export", "Export", "Only in the palette.", area="flows"),
    Action("setup.plan", "Plan", "Plan.", ("p",), area="setup"),
)
ACTIONS = (*APP_ACTIONS, *(area.action() for area in AREAS), *FLOWS)


@pytest.mark.parametrize("keys", ["f7", "ctrl+s", "G", "space", "slash", "alt+x, f8", "percent_sign", "ctrl+shift+f5"])
def test_good_keys_are_used(keys: str) -> None:
    checked = check_keymap({"flows.pause": keys}, ACTIONS)
    assert checked.keys == {"flows.pause": keys.replace(", ", ",")}
    assert not checked.problems


@pytest.mark.parametrize(
    ("name", "keys", "problem"),
    [
        ("flows.paus", "x", "there is no such action; did you mean flows.pause?"),
        ("flows.pause", "", "'' is no key"),
        ("flows.pause", "hyperkey", "'hyperkey' is no key"),
        ("flows.pause", "control+x", "'control+x' is no key"),
        ("flows.export", "x", "it has no key"),
        ("flows.pause", "y", "y is already the key of flows.copy"),
        ("flows.pause", "q", "q is already the key of app.quit"),
        ("flows.pause", "?", "question_mark is already the key of app.help"),
        ("flows.pause", "1", "1 is already the key of app.area_setup"),
        ("app.help", "p", "p is already the key of flows.pause"),
        ("flows.pause", "ctrl+q", "ctrl+q is already the key of app.quit"),
    ],
)
def test_bad_ones_are_told(name: str, keys: str, problem: str) -> None:
    checked = check_keymap({name: keys}, ACTIONS)
    assert not checked.keys
    assert checked.problems[0].startswith(f"{name}: {problem}")


def test_two_actions_may_swap_their_keys() -> None:
    checked = check_keymap({"flows.pause": "y", "flows.copy": "p"}, ACTIONS)
    assert checked.keys == {"flows.pause": "y", "flows.copy": "p"}


def test_areas_that_are_not_loaded_yet_are_left_for_later() -> None:
    checked = check_keymap({"kernel.attach": "a"}, ACTIONS, pending=["kernel"])
    assert not checked.keys
    assert not checked.problems


def test_actions_of_the_app_have_no_key_twice() -> None:
    keys = [key for action in ACTIONS if action.area == "app" for key in action.keys]
    assert len(keys) == len(set(keys))
