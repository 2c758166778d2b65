"""Judging readiness: pure rules, no clock; times are given."""

from installer.domain.readiness_rules.facts import (
    Expected,
    Facts,
    Judgement,
    LogSource,
    Workload,
    expected_cilium,
    expected_from,
)
from installer.domain.readiness_rules.judge import judge

__all__ = ["Expected", "Facts", "Judgement", "LogSource", "Workload", "expected_cilium", "expected_from", "judge"]
