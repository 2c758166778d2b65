"""What helm prints when it fails, as errors of ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from installer.domain.errors import BeeyardError, ConnectError, DeadlineError

_NOISE = re.compile(r"^(WARNING:|level=WARN|time=|[IWE]\d{4} |coalesce\.go|warning: )|^Use --debug flag")
_LAST_LINES = 12


class ReleaseAbsentError(Exception):
    """There is no such release."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    make: Callable[[str], BeeyardError]


def failure(action: str, stderr: str) -> BeeyardError | ReleaseAbsentError:
    """Return the error for a helm command that failed.

    Args:
        action: what was tried, such as ``install cilium``.
        stderr: what helm printed.
    """
    said = essence(stderr)
    if re.search(r"release: not found", said):
        return ReleaseAbsentError(said)
    for rule in _RULES:
        if rule.pattern.search(said):
            return rule.make(said)
    return BeeyardError(
        f"helm could not {action}",
        why=said or "it printed nothing",
        fix="Read helm's own words above; --debug shows the whole command.",
        code="E-HELM-009",
    )


def essence(stderr: str) -> str:
    """Return helm's own error without warnings and log lines, its last lines at most."""
    lines = [line.rstrip() for line in stderr.splitlines() if line.strip() and not _NOISE.search(line.strip())]
    text = "\n".join(lines[-_LAST_LINES:])
    return re.sub(r"^Error: (UPGRADE FAILED: |INSTALLATION FAILED: )?", "", text)


def _unreachable(said: str) -> BeeyardError:
    return ConnectError(
        "helm cannot reach the Kubernetes API",
        why=said,
        fix="Check that the cluster runs and that the kubeconfig names its address.",
        code="E-HELM-001",
    )


def _no_context(said: str) -> BeeyardError:
    return ConnectError(
        "helm finds no way to the cluster in the kubeconfig",
        why=said,
        fix="Name an existing kubeconfig and context.",
        code="E-HELM-002",
    )


def _timeout(said: str) -> BeeyardError:
    return DeadlineError(
        "helm did not finish in time", why=said, fix="Run again; what is done already is kept.", code="E-HELM-003"
    )


def _forbidden(said: str) -> BeeyardError:
    return BeeyardError(
        "the cluster refuses helm's credentials",
        why=said,
        fix="Use a kubeconfig of a cluster administrator.",
        code="E-HELM-004",
    )


def _template(said: str) -> BeeyardError:
    return BeeyardError(
        "the chart refuses the values",
        why=said,
        fix="Correct the value that the chart names.",
        code="E-HELM-010",
    )


def _pending(said: str) -> BeeyardError:
    return BeeyardError(
        "another helm operation on the release is in progress, or one was killed half-way",
        why=said,
        fix="Wait for it to end. If none runs, run beeyard again: it clears the stuck state.",
        code="E-HELM-011",
    )


def _ownership(said: str) -> BeeyardError:
    return BeeyardError(
        "objects of the chart exist already and belong to someone else",
        why=said,
        fix="Remove them, or uninstall the release that owns them.",
        code="E-HELM-012",
    )


def _conflict(said: str) -> BeeyardError:
    return BeeyardError(
        "fields of the chart's objects were changed by someone else",
        why=said,
        fix="Undo the change by hand (kubectl edit), or put it into the Helm values.",
        code="E-HELM-013",
    )


def _rejected(said: str) -> BeeyardError:
    return BeeyardError(
        "the Kubernetes API rejects an object of the chart",
        why=said,
        fix="Check that the Kubernetes version suits the chart, and the values that the message names.",
        code="E-HELM-014",
    )


_RULES = tuple(
    _Rule(re.compile(pattern, re.IGNORECASE), make)
    for pattern, make in (
        (r"another operation .* is in progress", _pending),
        (r"context \S+ does not exist|unreachable: stat |invalid configuration: ", _no_context),
        (r"\b(unauthorized|forbidden)\b|must be logged in", _forbidden),
        (
            r"cluster unreachable|connection refused|connection reset|no route to host|network is unreachable"
            r"|no such host|i/o timeout|TLS handshake|x509: |etcdserver|connection lost|unexpected EOF"
            r"|server is currently unable",
            _unreachable,
        ),
        (
            r"execution error at|don't meet the specifications|failed to render|parse error|error converting YAML"
            r"|requires kubeVersion|cannot unmarshal .* into|executing \"\S+\" at <|template: \S+:\d+",
            _template,
        ),
        (r"invalid ownership metadata|cannot be imported into the current release", _ownership),
        (r"conflict occurred while applying|Apply failed with \d+ conflict", _conflict),
        (r"deadline exceeded|timed out waiting", _timeout),
        (
            r"is invalid: |failed to create typed |no matches for kind|unable to build kubernetes objects"
            r"|already exists|denied the request",
            _rejected,
        ),
    )
)
