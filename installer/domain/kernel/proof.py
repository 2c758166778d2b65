"""What came of trying the features on a kernel, and what its configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Answer to a trial."""

    WORKS = "works"
    MISSING = "missing"
    UNTRIED = "could not be tried"


class ModuleState(StrEnum):
    """Where a module is."""

    BUILT_IN = "built in"
    LOADED = "loaded"
    INSTALLED = "installed"
    ABSENT = "absent"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of trying a feature.

    Attributes:
        verdict: the answer.
        evidence: the kernel's own words: error number, last line of the verifier; or why it could not be tried.
        fix: what to do so that it can be tried; empty otherwise.
    """

    verdict: Verdict
    evidence: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class KernelProof:
    """All answers of one kernel.

    Attributes:
        release: as ``uname -r`` says.
        outcomes: by feature id.
        config: value by symbol without ``CONFIG_``: ``y``, ``m`` or ``n``; only those of the table.
        config_source: file the configuration was read from; empty where there is none that can be read.
        modules: state by module; only those of the table.
        loaded: modules that the kernel loaded because features were tried.
        trouble: why the trials ended early or did not begin; empty where all is well.
        seconds: how long it took.
    """

    release: str = ""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    config_source: str = ""
    modules: Mapping[str, ModuleState] = field(default_factory=dict)
    loaded: tuple[str, ...] = ()
    trouble: str = ""
    seconds: float = 0.0

    def outcome(self, feature: str) -> Outcome:
        """Return the answer for a feature."""
        return self.outcomes.get(feature) or Outcome(Verdict.UNTRIED, self.trouble or "it was not tried")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)
