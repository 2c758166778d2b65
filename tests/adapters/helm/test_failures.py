"""helm's words as errors of ours."""

from __future__ import annotations

import pytest

from installer.adapters.helm.failures import ReleaseAbsentError, essence, failure
from installer.domain.errors import BeeyardError, ExitCode

CASES = [
    ('Error: kubernetes cluster unreachable: Get "https://127.0.0.1:1": dial tcp: connection refused', "001", 3),
    ("Error: UPGRADE FAILED: Kubernetes cluster unreachable: context deadline exceeded", "001", 3),
    ("Error: query: failed to query with labels: etcdserver: request timed out", "001", 3),
    ('Error: kubernetes cluster unreachable: context "nope" does not exist', "002", 3),
    ("Error: kubernetes cluster unreachable: stat nonexist: no such file or directory", "002", 3),
    ("Error: UPGRADE FAILED: context deadline exceeded", "003", 4),
    ('Error: secrets is forbidden: User "reader" cannot list resource "secrets"', "004", 1),
    ("Error: Kubernetes cluster unreachable: the server has asked for the client to provide credentials", "001", 3),
    ("Error: execution error at (cilium/templates/validate.yaml:1:3): tunnel was removed", "010", 1),
    ("Error: values don't meet the specifications of the schema(s) in the following chart(s):\ncilium:\n- x", "010", 1),
    ("Error: chart requires kubeVersion: >= 1.21.0-0 which is incompatible with Kubernetes v1.20.2", "010", 1),
    ("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress", "011", 1),
    ('Error: UPGRADE FAILED: Unable to continue with update: ServiceAccount "cilium" exists and cannot be imported '
     "into the current release: invalid ownership metadata", "012", 1),
    ('Error: UPGRADE FAILED: conflict occurred while applying object kube-system/cilium apps/v1: Apply failed with 1 '
     'conflict: conflict with "kubectl-edit"', "013", 1),
    ('Error: UPGRADE FAILED: Deployment.apps "x" is invalid: spec.replicas: Invalid value', "014", 1),
    ('Error: unable to build kubernetes objects: no matches for kind "ServiceMonitor"', "014", 1),
    ("Error: something nobody has seen", "009", 1),
]  # fmt: skip


@pytest.mark.parametrize(("stderr", "code", "exit_code"), CASES)
def test_every_failure_has_its_code(stderr: str, code: str, exit_code: int) -> None:
    error = failure("upgrade cilium", stderr)
    assert isinstance(error, BeeyardError)
    assert (error.code, error.exit_code) == (f"E-HELM-{code}", ExitCode(exit_code))
    assert error.what
    assert error.fix
    assert "Error:" not in error.why
    assert error.why in stderr


def test_an_absent_release_is_no_failure() -> None:
    assert isinstance(
        failure("uninstall x", "Error: uninstall: Release not loaded: x: release: not found"), ReleaseAbsentError
    )


def test_warnings_are_left_out() -> None:
    noise = "WARNING: Kubernetes configuration file is group-readable.\nI1123 09:00 x\n\n"
    assert essence(f"{noise}Error: boom\n\nUse --debug flag to render\n") == "boom"
