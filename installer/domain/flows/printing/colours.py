"""hubble's colours."""

from __future__ import annotations

from installer.domain.flows import names
from installer.domain.flows.flow import Enum

RESET = "\x1b[0m"
RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = (f"\x1b[{code}m" for code in range(31, 37))
SEQUENCES = (RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, RESET)

_VERDICTS = {
    "FORWARDED": GREEN,
    "REDIRECTED": GREEN,
    "DROPPED": RED,
    "ERROR": RED,
    "AUDIT": YELLOW,
    "TRACED": YELLOW,
    "TRANSLATED": YELLOW,
}


def paint(text: str, colour: str) -> str:
    """Return the text in a colour."""
    return f"{colour}{text}{RESET}" if colour else text


def verdict_colour(verdict: Enum) -> str:
    """Return the colour of a verdict; empty for one that is not known."""
    return _VERDICTS.get(names.name_of(verdict, names.VERDICT), "")


def auth_colour(name: str) -> str:
    """Return the colour of an authentication."""
    return RED if name == "TEST_ALWAYS_FAIL" else GREEN
