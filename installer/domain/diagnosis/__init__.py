"""From evidence to one cause: a table of rules over lines that others wrote, and what follows from what.

``diagnose`` is pure: evidence in, causes out, the one to mend first at the top. A further cause is a ``Rule`` in one of
the tables beside this module.
"""

from __future__ import annotations

from installer.domain.diagnosis.cause import Cause, Diagnosis
from installer.domain.diagnosis.engine import diagnose
from installer.domain.diagnosis.evidence import Evidence, Source
from installer.domain.diagnosis.parts import Part

__all__ = ["Cause", "Diagnosis", "Evidence", "Part", "Source", "diagnose"]
