"""Private homes of helm: temporary folders that go with their process, also when it is killed."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

_PREFIX = "beeyard-helm-"
_OWNER = re.compile(rf"{_PREFIX}(\d+)-")


def make_home(folder: Path | None = None) -> Path:
    """Make a home that names its process; remove those whose process is gone.

    Args:
        folder: where homes lie, by default the host's folder for temporary files.
    """
    below = folder or Path(tempfile.gettempdir())
    for left in below.glob(f"{_PREFIX}*"):
        found = _OWNER.match(left.name)
        if found and not Path(f"/proc/{found[1]}").exists() and _is_ours(left):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=below))


def _is_ours(path: Path) -> bool:
    """Tell whether it is a folder of our own: anybody may make one of that name."""
    try:
        info = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid()
