from __future__ import annotations

from typing import Any

import pytest

from installer.tui.settings import Settings, read_settings


def test_what_is_written_is_read_again() -> None:
    settings = Settings("beeyard-light", True, 50_000, "flows", "prod", {"app.help": "f1"}, {"mine": "verdict=DROPPED"})
    assert read_settings(settings.to_data()) == (settings, [])


def test_only_what_differs_from_the_defaults_is_written() -> None:
    assert Settings().to_data() == {}
    assert Settings(ascii=True).to_data() == {"ascii": True}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"theme": "pink"}, "theme: there is no theme 'pink'; there are beeyard-dark,"),
        ({"theme": 3}, "theme: it must be a name"),
        ({"ascii": "yes"}, "ascii: it must be true or false"),
        ({"history": True}, "history: it must be a number"),
        ({"history": 10}, "history: it must be between 1000 and 500000"),
        ({"keymap": ["x"]}, "keymap: it must be a mapping of action to keys"),
        ({"keymap": {"app.help": 1}}, "keymap: it must hold text only"),
        ({"colour": "red"}, "colour: there is no such setting"),
        ({1: 2}, "1: there is no such setting"),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_used(data: dict[Any, Any], problem: str) -> None:
    settings, problems = read_settings({**data, "area": "flows"})
    assert settings == Settings(area="flows")
    assert len(problems) == 1
    assert problems[0].startswith(problem)
