"""The cookbook: every recipe is valid, wise, explained and tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.domain.errors import UsageError
from installer.domain.policy.cases import run_case
from installer.domain.policy.documents import read_documents
from installer.domain.policy.findings import Level
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.lint import linter
from installer.domain.policy.model import Settings
from installer.domain.policy.validation import validate
from installer.services.policies.cases import CaseReader
from installer.services.policies.cookbook import read_cookbook, read_recipe
from installer.services.policies.sources import read_sources

FOLDER = Path(__file__).parents[2] / "manifests" / "policies"
RECIPES = read_cookbook(FOLDER)
TESTS = {path.stem: path for path in (FOLDER / "tests").glob("*.yaml")}
OWNERS_FOUR = ("allow-frontend-to-backend", "restrict-sensitive-service", "http-get-only", "only-through-envoy")
MEANT = {"quarantine": {"P-LINT-040"}}
"""Warnings that a recipe speaks of itself."""


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_valid_and_lint_has_no_warning_for_it(name: str) -> None:
    documents = read_sources([str(FOLDER / f"{name}.yaml")])
    settings = Settings(host_firewall=name == "host-firewall")
    report = validate(documents, KNOWN_CRDS, settings, linter(None))
    assert {item.code for item in report.findings if item.level is not Level.INFO} == MEANT.get(name, set())
    if name in MEANT:
        assert "lint" in RECIPES[name].text


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_does_and_what_it_does_not(name: str) -> None:
    comment = RECIPES[name].text.split("\n\n")[0]
    assert RECIPES[name].summary.endswith(".")
    assert "\n# Use it " in comment
    assert "It does not " in comment.replace("\n# ", " ")
    assert "name" in RECIPES[name].settings


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_tests_that_allow_and_deny(name: str) -> None:
    (document,) = read_sources([str(TESTS[name])])
    results = [run_case(case) for case in CaseReader().read(document)]
    assert [result for result in results if not result.ok] == []
    assert {result.expect for result in results} > {"allow"}
    assert len({result.id for result in results}) == len(results) >= 4


def test_nothing_is_left_over() -> None:
    assert TESTS.keys() == RECIPES.keys()
    assert RECIPES.keys() >= set(OWNERS_FOUR)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_stays_valid_with_other_names(name: str) -> None:
    recipe = RECIPES[name]
    chosen = {key: "8443" if value.isdigit() else "other" for key, value in recipe.settings.items()}
    text = recipe.write(chosen | ({"method": "PUT"} if "method" in chosen else {}))
    assert "# set:" not in text
    (document,) = read_documents(text, "x")
    assert validate([document], KNOWN_CRDS).errors == ()
    assert document.data["metadata"]["name"] == "other"
    assert text.split("\n\n")[0] == recipe.text.split("\n\n")[0]


def test_a_recipe_as_it_stands_says_the_same_without_its_marks() -> None:
    for recipe in RECIPES.values():
        (marked,), (plain,) = read_documents(recipe.text, "x"), read_documents(recipe.write({}), "x")
        assert marked.data == plain.data


@pytest.mark.parametrize("value", ["a: b", "yes", "80", "#", "'", "x\ny: z", "[", "ü"])
def test_a_value_stays_a_string_whatever_it_is(value: str) -> None:
    recipe = read_recipe("r", 'a:\n  - plain: x  # set: one\n  - quoted: "1"  # set: two\n  - y  # set: one\n')
    (document,) = read_documents(recipe.write({"one": value, "two": value}), "x")
    assert document.data == {"a": [{"plain": value}, {"quoted": value}, value]}


def test_what_cannot_be_set() -> None:
    with pytest.raises(UsageError) as caught:
        RECIPES["allow-dns"].write({"port": "54"})
    assert caught.value.code == "E-POL-018"
    assert caught.value.fix == "It has name, namespace."
