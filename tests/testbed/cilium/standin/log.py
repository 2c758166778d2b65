"""Log lines in the components' own shape: `time=… level=… msg="…" key=value`."""

import datetime
import json
import sys
import threading

_lock = threading.Lock()


def now() -> str:
    """The time in RFC 3339, UTC, milliseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write(level: str, message: str, fields: dict[str, object]) -> None:
    extra = "".join(f" {key}={json.dumps(str(value))}" for key, value in fields.items())
    with _lock:
        sys.stdout.write(f"time={now()} level={level} msg={json.dumps(message)}{extra}\n")
        sys.stdout.flush()


def info(message: str, **fields: object) -> None:
    """Log at level info."""
    _write("info", message, fields)


def warning(message: str, **fields: object) -> None:
    """Log at level warning."""
    _write("warning", message, fields)


def error(message: str, **fields: object) -> None:
    """Log at level error."""
    _write("error", message, fields)


def fatal(message: str, **fields: object) -> "SystemExit":
    """Log at level fatal; raise what it returns."""
    _write("fatal", message, fields)
    return SystemExit(1)
