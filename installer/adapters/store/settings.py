"""The user's settings: ``settings.yaml`` in the user's configuration folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from installer.domain.errors import BeeyardError
from installer.ports.settings import StoredSettings

_HEAD = "# Settings of beeyard's cockpit. It writes this file; edit it while the cockpit is closed.\n"
_LARGEST = 1 << 20


def settings_path() -> Path:
    """Return where this user's settings are."""
    return platformdirs.user_config_path("beeyard") / "settings.yaml"


def log_path() -> Path:
    """Return where this user's cockpit writes its log."""
    return platformdirs.user_state_path("beeyard") / "cockpit.log"


class SettingsFile:
    """Implements ``ports.settings.SettingsStore``.

    Args:
        path: the file; its folder is made when it is first written.
    """

    def __init__(self, path: Path):
        self.path = path

    def load(self) -> StoredSettings:
        """Read the settings; a broken file is moved aside and told."""
        try:
            data = self._read()
        except FileNotFoundError:
            return StoredSettings()
        except OSError as error:
            return StoredSettings(problem=self._unreadable(error))
        try:
            return StoredSettings(_parsed(data))
        except ValueError as error:
            return StoredSettings(problem=self._set_aside(str(error)))

    def save(self, data: Mapping[str, Any]) -> None:
        """Write the settings: a temporary file beside it, synced, then renamed.

        Raises:
            BeeyardError: ``E-SET-003``.
        """
        import yaml

        text = _HEAD + yaml.safe_dump(dict(data), sort_keys=True, allow_unicode=True)
        target = self.path.resolve() if self.path.is_symlink() else self.path
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(target, text.encode())
        except OSError as error:
            raise BeeyardError(
                "The settings cannot be saved",
                why=f"{self.path}: {error.strerror}",
                fix="Make that folder writable; until then settings last only for this session.",
                code="E-SET-003",
            ) from error

    def _read(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(_LARGEST)

    def _unreadable(self, error: OSError) -> BeeyardError:
        return BeeyardError(
            "The settings cannot be read",
            why=f"{self.path}: {error.strerror}",
            fix="Make the file readable for this user; the defaults are used until then.",
            code="E-SET-002",
        )

    def _set_aside(self, why: str) -> BeeyardError:
        aside = _free_name(self.path)
        kept = f"It was kept as {aside}."
        try:
            self.path.replace(aside)
        except OSError as error:
            kept = f"It could not be moved to {aside} ({error.strerror})."
        return BeeyardError(
            "The settings file is broken, so the defaults are used",
            why=f"{self.path}: {why}",
            fix=f"{kept} Mend it and move it back, or go on without it.",
            code="E-SET-001",
            details={"kept": str(aside)},
        )


def _parsed(data: bytes) -> dict[str, Any]:
    """Parse the file; raises ValueError with a reason that names the line where it can."""
    import yaml  # 40 ms that a start without settings does not pay

    try:
        content = yaml.safe_load(data.decode())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(place + str(getattr(error, "problem", None) or "not YAML")) from None
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a mapping")
    return content


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.broken{suffix}") for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return next((name for name in names if not name.exists()), path.with_name(f"{path.name}.broken"))


def _replace(target: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
