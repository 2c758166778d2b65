"""A stylesheet that parses nothing twice.

Textual parses every source anew whenever a screen is shown for the first time or a theme is chosen, some 60 ms each;
the outcome depends on the source and on the theme's variables only, so it is kept by those.
"""

from __future__ import annotations

from typing import ClassVar

from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.css.types import CSSLocation

_Variables = tuple[tuple[str, str], ...]
_Source = tuple[str, CSSLocation, bool, int, str]
KEPT = 8
"""Sets of variables, that is themes, whose rules are kept."""


class KeepingStylesheet(Stylesheet):
    """Keeps parsed rules for the life of the process; they are read only."""

    _kept: ClassVar[dict[_Variables, dict[_Source, list[RuleSet]]]] = {}

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parsed = self._kept_for(variables or {})

    @classmethod
    def _kept_for(cls, variables: dict[str, str]) -> dict[_Source, list[RuleSet]]:
        kept = cls._kept.setdefault(tuple(sorted(variables.items())), {})
        while len(cls._kept) > KEPT:
            del cls._kept[next(iter(cls._kept))]
        return kept

    def set_variables(self, variables: dict[str, str]) -> None:
        """Use the variables of a theme."""
        if variables != self._variables:
            super().set_variables(variables)
            self._parsed = self._kept_for(variables)
            self._require_parse = True

    def _parse_rules(
        self, css: str, read_from: CSSLocation, is_default_rules: bool = False, tie_breaker: int = 0, scope: str = ""
    ) -> list[RuleSet]:
        key = (css, read_from, is_default_rules, tie_breaker, scope)
        if key not in self._parsed:
            self._parsed[key] = super()._parse_rules(*key)
        return self._parsed[key]

    def reparse(self) -> None:
        """Use sources and variables as they are now; does nothing where neither has changed."""
        if self._require_parse:
            self.parse()
