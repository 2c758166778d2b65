"""Tries the features of the kernel, in a process of its own: ``python -I -m installer.adapters.bpf.proof_worker``.

It moves into namespaces of its own, tries one feature after the other, and prints a line of JSON for each as it goes:
what was found is known even if this process does not survive the next.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from installer.adapters.bpf import proof_network, proof_programs
from installer.adapters.bpf.proof_lab import Lab, MissingError, UntriedError, enter, said
from installer.adapters.bpf.proof_witness import config, modules
from installer.domain.kernel.feature import Feature
from installer.domain.kernel.table import FEATURES, MODULES, SYMBOLS
from installer.domain.kernel.trials import Attach, Call, Device, Extension, Special, Trial, Use, Verify

_SPECIAL: dict[str, Callable[[Lab], None]] = {
    "jit": proof_programs.jit,
    "global-data": proof_programs.global_data,
    "btf": proof_programs.btf,
    "tail-call": proof_programs.tail_call,
    "batch": proof_programs.batch,
    "pin": proof_programs.pin,
    "perf": proof_programs.perf,
    "tc": proof_programs.tc,
    "cgroup2": proof_programs.cgroup2,
    "esp": proof_network.esp,
    "fq": proof_network.fq,
    "rule4": proof_network.rule4,
    "rule6": proof_network.rule6,
    "ipv6": proof_network.ipv6,
    "transparent": proof_network.transparent,
    "hash": proof_network.hash_socket,
    "ipset": proof_network.ipset,
    "iptables": proof_network.iptables,
}


def attempt(lab: Lab, trial: Trial) -> None:
    """Carry out one trial.

    Raises:
        MissingError: the kernel does not have it.
        UntriedError: that cannot be told.
    """
    match trial:
        case Verify():
            proof_programs.verify(lab, trial)
        case Call():
            proof_programs.call(lab, trial)
        case Use():
            proof_programs.use(lab, trial)
        case Attach():
            proof_programs.attach(lab, trial)
        case Device():
            proof_network.device(lab, trial)
        case Extension():
            proof_network.extension(lab, trial)
        case Special():
            _SPECIAL[trial.name](lab)


def examine(lab: Lab, feature: Feature) -> dict[str, str]:
    """Try a feature; the first trial that fails decides."""
    for trial in feature.trials:
        try:
            attempt(lab, trial)
        except MissingError as error:
            return _line(feature, "missing", f"{trial}: {error}")
        except UntriedError as error:
            # With a fix, the reason is not this trial's own.
            return _line(feature, "could not be tried", str(error) if error.fix else f"{trial}: {error}", error.fix)
        except OSError as error:
            return _line(feature, "could not be tried", f"{trial}: {said(error)}")
    return _line(feature, "works", "; ".join(map(str, feature.trials)))


def _line(feature: Feature, verdict: str, evidence: str, fix: str = "") -> dict[str, str]:
    return {"feature": feature.id, "verdict": verdict, "evidence": evidence, "fix": fix}


def tell(line: dict[str, Any]) -> None:
    """Print a line at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the witnesses, try everything, read which modules came in by that."""
    release = platform.release()
    source, symbols = config(release, SYMBOLS)
    before = _loaded()
    tell({"release": release, "source": source, "config": symbols, "modules": modules(release, MODULES)})
    lab = enter()
    for feature in FEATURES:
        tell(examine(lab, feature))
    tell({"loaded": sorted(_loaded() - before)})


def _loaded() -> set[str]:
    try:
        return {line.split()[0] for line in Path("/proc/modules").read_text().splitlines()}
    except OSError:
        return set()


if __name__ == "__main__":
    main()
