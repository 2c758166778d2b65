"""The error of the language: what is wrong, where, and the nearest right thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from installer.domain.flows.filter_error import FilterError


class WhereError(FilterError):
    """A text that is no expression.

    Attributes:
        start: index of the first character that is wrong.
        end: index after the last.
    """

    def __init__(self, what: str, text: str, start: int, end: int, *, fix: str = "", code: str):
        place = f"at column {start + 1}"
        super().__init__(
            f"{what} {place}",
            why=f"{text}\n{' ' * start}{'^' * max(1, end - start)}",
            fix=fix,
            code=code,
            details={"start": start, "end": end},
        )
        self.start = start
        self.end = end


class FieldValueError(ValueError):
    """A value or an operator that does not fit its field; the parser adds the place."""

    def __init__(self, what: str, fix: str = "", code: str = "E-WHERE-003"):
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.code = code


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean …?`` for a word, or nothing."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else ""
