r"""What makes texts of the cluster safe for a terminal, in the way hubble does it: ``^[`` for ESC, ``\r`` for CR.

Beyond hubble, every other control code and the marks that turn the direction of writing become visible too, line ends
among them: one flow, one line.
"""

from __future__ import annotations

import re

from installer.domain.flows.printing.colours import SEQUENCES
from installer.domain.text import printable

_own = re.compile("(" + "|".join(re.escape(sequence) for sequence in SEQUENCES) + ")")


def clean(text: str) -> str:
    """Return the text with nothing in it that a terminal obeys."""
    if text.isprintable():
        return text
    return printable(text.replace("\x1b", "^[").replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t"))


def clean_but_colours(text: str) -> str:
    """Return the same, but leave the colour codes that hubble itself uses, as hubble does when it prints in colour."""
    if text.isprintable():
        return text
    parts = _own.split(text)
    return "".join(part if index % 2 else clean(part) for index, part in enumerate(parts))
