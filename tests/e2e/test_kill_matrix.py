"""A short part of the kill matrix: one install, interrupted in most of its steps, ends as an undisturbed one.

The whole of it is `scripts/kill_matrix`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.kill import state
from tests.e2e.kill.cases import CASES, chains
from tests.e2e.kill.installs import Installs

pytestmark = [pytest.mark.testbed, pytest.mark.root, pytest.mark.timeout(600)]

CHOSEN = (
    "bundle-preflight-goal-is-kept-kill",
    "bundle-fetch-helm-is-kept-kill",
    "bundle-k3s-config-yaml-kill",
    "bundle-k3s-images-disk-full",
    "bundle-k3s-api-comes-up-kill",
    "bundle-kubeconfig-lock-is-given-back-kill",
    "bundle-cilium-helm-at-work-killed-beside-helm",
    "bundle-verify-first-connections-hangup",
)


def test_an_install_that_is_interrupted_again_and_again_ends_as_an_undisturbed_one(
    bundle: Path, bare_host: None, tmp_path: Path
) -> None:
    (chain,) = chains([case for case in CASES if case.id in CHOSEN], len(CHOSEN) + 1)
    assert tuple(case.id for case in chain) == CHOSEN
    installs = Installs(tmp_path, bundle)
    with ThreadPoolExecutor(2) as pool:
        undisturbed, interrupted = pool.map(lambda cases: installs.run(cases, "bundle"), ((), chain))
    assert not undisturbed.outcome.error
    assert not interrupted.outcome.error
    assert interrupted.outcome.ended == [-9, -9, -9, 1, -9, -9, -9, -1]
    assert interrupted.outcome.lost == []
    assert interrupted.outcome.changes == 0
    assert state.differences([undisturbed.outcome.state], interrupted.outcome.state) == []
    print(f"resumed in {interrupted.outcome.resumed:.1f} s after {len(chain)} interruptions")
