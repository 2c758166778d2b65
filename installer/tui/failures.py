"""Errors that nobody expected, in the form of those that were."""

from __future__ import annotations

from textual.worker import WorkerFailed

from installer.domain.errors import BeeyardError


def as_beeyard_error(error: BaseException, log: str = "") -> BeeyardError:
    """Return the error itself if it is ours, else ``E-BUG-001`` around it."""
    if isinstance(error, WorkerFailed):
        error = error.error
    if isinstance(error, BeeyardError):
        return error
    return BeeyardError(
        f"beeyard met an error it did not expect: {type(error).__name__}",
        why=str(error) or repr(error),
        fix=f"Go on, or start again. The whole story is in {log}." if log else "Go on, or start again.",
        code="E-BUG-001",
    )
