"""What the answers of a kernel mean for a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from installer.domain.kernel.feature import Feature, Weight
from installer.domain.kernel.proof import KernelProof, ModuleState, Verdict
from installer.domain.kernel.settings import SETTINGS
from installer.domain.kernel.table import BY_ID, FEATURES


class Witness(StrEnum):
    """What configuration and modules say of a feature."""

    FOR = "for"
    AGAINST = "against"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Row:
    """One feature on one kernel for one cluster.

    Attributes:
        feature: of the table.
        verdict: of the trial.
        evidence: what was tried, or the kernel's own words.
        wanted_by: settings of the cluster that need it; empty where none does.
        witness: what configuration and modules say.
        testimony: the same in words, such as ``CONFIG_VXLAN=m, module vxlan installed``.
        fix: what to install, enable or choose; empty where it works.
        replaced: another feature that works does as well.
    """

    feature: Feature
    verdict: Verdict
    evidence: str
    wanted_by: tuple[str, ...]
    witness: Witness
    testimony: str
    fix: str = ""
    replaced: bool = False

    @property
    def disagrees(self) -> bool:
        """Whether trial and witness contradict each other."""
        return (self.verdict is Verdict.WORKS and self.witness is Witness.AGAINST) or (
            self.verdict is Verdict.MISSING and self.witness is Witness.FOR
        )

    @property
    def lacking(self) -> bool:
        """Whether it is not there, by trial, or by the witness where it could not be tried."""
        untried = self.verdict is Verdict.UNTRIED and self.witness is Witness.AGAINST
        return self.verdict is Verdict.MISSING or untried

    @property
    def stops(self) -> bool:
        """Whether the cluster cannot work on this kernel because of it."""
        proven = self.verdict is Verdict.MISSING and not self.replaced
        return proven and bool(self.wanted_by) and self.feature.weight is Weight.REQUIRED

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "feature": self.feature.id,
            "title": self.feature.title,
            "purpose": self.feature.purpose,
            "verdict": str(self.verdict),
            "evidence": self.evidence,
            "neededBy": [{"setting": name, "path": SETTINGS[name].path} for name in self.wanted_by],
            "weight": str(self.feature.weight),
            "witness": str(self.witness),
            "testimony": self.testimony,
            "fix": self.fix,
        }


def judge(proof: KernelProof, settings: frozenset[str], *, distribution: str = "") -> list[Row]:
    """Return a row for every feature, in the order of the table.

    Args:
        proof: what came of trying.
        settings: names of the settings of the cluster, see ``settings_of``.
        distribution: ``ID`` and ``ID_LIKE`` of os-release, for the names of packages.
    """
    return [_row(feature, proof, settings, distribution) for feature in FEATURES]


def _row(feature: Feature, proof: KernelProof, settings: frozenset[str], distribution: str) -> Row:
    outcome = proof.outcome(feature.id)
    fix = outcome.fix
    witness = _witness(feature, proof)
    lacking = outcome.verdict is Verdict.MISSING or (outcome.verdict is Verdict.UNTRIED and witness is Witness.AGAINST)
    if lacking:
        fix = "; ".join(filter(None, (_remedy(feature, proof, distribution), _choice(feature, settings), outcome.fix)))
    return Row(
        feature=feature,
        verdict=outcome.verdict,
        evidence=outcome.evidence,
        wanted_by=tuple(name for name in feature.settings if name in settings),
        witness=witness,
        testimony=", ".join(_testimony(feature, proof)),
        fix=fix,
        replaced=bool(feature.instead) and proof.outcome(feature.instead).verdict is Verdict.WORKS,
    )


def _witness(feature: Feature, proof: KernelProof) -> Witness:
    values = [proof.config.get(symbol, "") for symbol in feature.config]
    if "n" in values:
        return Witness.AGAINST
    if not values or "" in values:
        return Witness.SILENT
    if feature.since and _number(proof.release) < _number(feature.since):
        return Witness.SILENT  # too old by its number, but distributions carry features back
    absent = "m" in values and proof.modules.get(feature.module) is ModuleState.ABSENT
    return Witness.AGAINST if absent else Witness.FOR


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _testimony(feature: Feature, proof: KernelProof) -> Iterator[str]:
    for symbol in feature.config:
        if value := proof.config.get(symbol):
            yield f"CONFIG_{symbol}={value}" if value != "n" else f"CONFIG_{symbol} is not set"
    if feature.since:
        yield f"since Linux {feature.since}"
    state = proof.modules.get(feature.module, ModuleState.UNKNOWN)
    if state is not ModuleState.UNKNOWN:
        yield f"module {feature.module} {state}"


def _remedy(feature: Feature, proof: KernelProof, distribution: str) -> str:
    """Return what brings the feature into the kernel."""
    values = [proof.config.get(symbol, "") for symbol in feature.config]
    off = [symbol for symbol in feature.config if proof.config.get(symbol) == "n"]
    state = proof.modules.get(feature.module, ModuleState.UNKNOWN)
    if off:
        return f"use a kernel with {' '.join(f'CONFIG_{symbol}' for symbol in off)}, such as the distribution's own"
    if state is ModuleState.ABSENT or ("m" in values and state is ModuleState.UNKNOWN):
        return f"{_package(proof.release, distribution)}, then modprobe {feature.module}"
    if state is ModuleState.INSTALLED:
        package = _package(proof.release, distribution)
        return f"modprobe {feature.module} (a rule in /etc/modprobe.d may forbid it), or {package}"
    if feature.since:
        return f"use Linux {feature.since} or newer"
    symbols = " ".join(f"CONFIG_{symbol}" for symbol in feature.config)
    return f"use a kernel with {symbols}" if symbols else "use Linux 5.10 or newer, such as the distribution's own"


def _package(release: str, distribution: str) -> str:
    """Return how to get the modules that a distribution keeps apart."""
    names = distribution.split()
    if "ubuntu" in names:
        kind = "linux-modules-extra-raspi" if release.endswith("raspi") else f"linux-modules-extra-{release}"
        return f"apt install {kind}"
    if {"rhel", "fedora", "centos"} & set(names):
        return f"dnf install kernel-modules-extra-{release}"
    if "debian" in names:
        arch = release.rpartition("-")[2]
        cloud = f"apt install linux-image-{arch} and reboot into it (the cloud kernel leaves drivers out)"
        return cloud if "-cloud-" in release else f"apt install --reinstall linux-image-{release}"
    return f"install the modules of kernel {release}"


def _choice(feature: Feature, settings: frozenset[str]) -> str:
    """Return which setting to change instead."""
    paths = [SETTINGS[name].path for name in feature.settings if name in settings and name in _OPTIONAL]
    return f"or change {', '.join(paths)}" if paths else ""


_OPTIONAL = frozenset(SETTINGS) - {"cilium", "ipv6", "veth", "tap", "iptables-masquerade", "hubble"}


def setting_path(feature: str) -> str:
    """Return the first path in a specification that a feature belongs to; empty for Cilium itself."""
    name = BY_ID[feature].settings[0] if feature in BY_ID else "cilium"
    return "" if name == "cilium" else SETTINGS[name].path
