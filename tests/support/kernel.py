"""Answers of kernels for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from installer.adapters.bpf.proof import read_proof
from installer.domain.kernel.proof import KernelProof, ModuleState, Outcome, Verdict
from installer.domain.kernel.table import FEATURES, MODULES, SYMBOLS

RECORDED = Path(__file__).parents[1] / "unit/data/kernel/plain-6.18.jsonl"
"""What a kernel 6.18 without modules, WireGuard, Geneve, netkit, fq and IPsec answered."""
NO_ROOT = Outcome(Verdict.UNTRIED, "root is needed (EPERM: Operation not permitted)", "run it as root")


def recorded() -> KernelProof:
    """Return the recorded answers."""
    return read_proof(RECORDED.read_text().splitlines())


def kernel(
    release: str = "6.1.0-18-amd64",
    *,
    outcomes: Mapping[str, Outcome] | None = None,
    config: Mapping[str, str] | None = None,
    modules: Mapping[str, ModuleState] | None = None,
    others: Outcome | None = None,
) -> KernelProof:
    """Return the answers of a kernel where everything works as a module, with exceptions.

    Args:
        release: as ``uname -r`` says.
        outcomes: by feature, where they differ.
        config: by symbol, where it differs; ``{"": ""}`` for no configuration at all.
        modules: by module, where they differ.
        others: outcome of all features that are not named.
    """
    usual = others or Outcome(Verdict.WORKS)
    symbols = {} if config == {"": ""} else {**dict.fromkeys(SYMBOLS, "m"), **(config or {})}
    return KernelProof(
        release=release,
        outcomes={feature.id: usual for feature in FEATURES} | dict(outcomes or {}),
        config=symbols,
        config_source=f"/boot/config-{release}" if symbols else "",
        modules={**dict.fromkeys(MODULES, ModuleState.INSTALLED), **(modules or {})},
    )


def missing(evidence: str = "EOPNOTSUPP: Operation not supported") -> Outcome:
    """Return the answer of a kernel that does not have a feature."""
    return Outcome(Verdict.MISSING, evidence)
