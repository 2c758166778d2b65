"""What must be true of a host before anything is changed on it.

``check`` is pure: facts in, findings out. A further check is one function in one of the modules beside this one,
added to its ``CHECKS``.
"""

from __future__ import annotations

from dataclasses import replace

from installer.domain.preflight import cluster, filters, keepers, kernel, machine, network, running, standing
from installer.domain.preflight.facts import (
    Address,
    CniConfig,
    Filesystem,
    FoundK3s,
    HostFacts,
    Link,
    Listener,
    Route,
)
from installer.domain.preflight.findings import Finding, Level, Port, Wanted, default_ports
from installer.domain.preflight.fixes import fixes

__all__ = [
    "Address",
    "CniConfig",
    "Filesystem",
    "Finding",
    "FoundK3s",
    "HostFacts",
    "Level",
    "Link",
    "Listener",
    "Port",
    "Route",
    "Wanted",
    "check",
    "default_ports",
]

CHECKS = (
    *machine.CHECKS,
    *standing.CHECKS,
    *kernel.CHECKS,
    *cluster.CHECKS,
    *running.CHECKS,
    *network.CHECKS,
    *filters.CHECKS,
    *keepers.CHECKS,
)
_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


def check(facts: HostFacts, wanted: Wanted) -> list[Finding]:
    """Judge a host; errors first, then warnings, then notes, each in the order of the checks."""
    found = [finding for one in CHECKS for finding in one(facts, wanted)]
    safe = {fix.code for fix in fixes(found, facts, wanted)}
    findings = [replace(finding, fixable=finding.code in safe) for finding in found]
    return sorted(findings, key=lambda finding: _ORDER[finding.level])
