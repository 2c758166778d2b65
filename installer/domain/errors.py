"""One error tree for the whole program.

Every error tells what happened, why, and what to do next, and has a stable code. The same object prints to stderr,
to JSON and to the TUI; the exit code of the process is the error's.

    BeeyardError                   1 failed
    ├── UsageError                 2 usage
    ├── ConnectError               3 cannot connect
    ├── DeadlineError              4 timeout
    ├── RefusedError               5 preflight refused
    ├── InterruptedRunError        6 stopped part-way, resume possible
    └── TemporaryError             1, worth another try (carries ``delay`` in seconds)
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit codes of the command. They are an API: numbers never change their meaning."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONNECT = 3
    TIMEOUT = 4
    REFUSED = 5
    PARTIAL = 6
    INTERRUPTED = 130


class BeeyardError(Exception):
    """Something went wrong and we can say what to do about it.

    Attributes:
        what: what happened, one line, no full stop.
        why: the cause as far as known, with the evidence (may be several lines).
        fix: what the user does next.
        code: stable code such as ``E-K3S-012``.
        details: further facts for JSON; never a secret.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, what: str, *, why: str = "", fix: str = "", code: str, details: dict[str, Any] | None = None):
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.code = code
        self.details = details or {}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: code, what, why, fix, exitCode and details."""
        return {
            "code": self.code,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
            "exitCode": int(self.exit_code),
            **({"details": self.details} if self.details else {}),
        }


class UsageError(BeeyardError):
    """The command line or the configuration is wrong."""

    exit_code = ExitCode.USAGE


class ConnectError(BeeyardError):
    """A cluster, a registry or a server cannot be reached."""

    exit_code = ExitCode.CONNECT


class DeadlineError(BeeyardError):
    """Something did not happen in the time given."""

    exit_code = ExitCode.TIMEOUT


class RefusedError(BeeyardError):
    """A check made before any change says no."""

    exit_code = ExitCode.REFUSED


class InterruptedRunError(BeeyardError):
    """A run stopped part-way; the next run continues."""

    exit_code = ExitCode.PARTIAL


class TemporaryError(BeeyardError):
    """A failure that is worth another try.

    Attributes:
        delay: seconds to wait before the next try.
    """

    def __init__(self, what: str, *, delay: float = 1.0, why: str = "", fix: str = "", code: str):
        super().__init__(what, why=why, fix=fix, code=code)
        self.delay = delay
