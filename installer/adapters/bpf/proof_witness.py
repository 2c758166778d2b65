"""The second witness: the kernel's configuration, and where its modules are."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

_CONFIGS = ("/proc/config.gz", "/boot/config-{}", "/usr/lib/modules/{}/config", "/lib/modules/{}/config")
_FOLDERS = ("/lib/modules", "/usr/lib/modules")


def config(release: str, symbols: Iterable[str], places: Iterable[str] = _CONFIGS) -> tuple[str, dict[str, str]]:
    """Read the kernel's configuration.

    Args:
        release: as ``uname -r`` says.
        symbols: without ``CONFIG_``.
        places: files to look at, ``{}`` stands for the release.

    Returns:
        The file, and ``y``, ``m`` or ``n`` by symbol; an empty name and no symbols where no file can be read.
    """
    for place in places:
        path = Path(place.format(release))
        try:
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="replace")
        except (OSError, EOFError, zlib.error):
            continue
        known = dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.MULTILINE))
        return str(path), {symbol: known.get(symbol, "n") for symbol in symbols}
    return "", {}


def modules(release: str, names: Iterable[str], folders: Iterable[str] = _FOLDERS) -> dict[str, str]:
    """Tell where modules are: ``built in``, ``loaded``, ``installed``, ``absent``; empty for not known."""
    folder = next((path for one in folders if (path := Path(one, release)).joinpath("modules.dep").exists()), None)
    built_in, installed = (_listed(folder, "modules.builtin"), _listed(folder, "modules.dep")) if folder else ("", "")
    loaded = {line.split()[0] for line in _text(Path("/proc/modules")).splitlines()}
    states = {}
    for name in names:
        plain = name.replace("-", "_")
        known = "installed" if plain in installed else "absent" if folder else ""
        states[name] = "loaded" if plain in loaded else "built in" if plain in built_in else known
    return states


def _listed(folder: Path, name: str) -> frozenset[str]:
    """Return the names of the modules in a list of depmod."""
    paths = (line.split(":")[0] for line in _text(folder / name).splitlines())
    return frozenset(path.rpartition("/")[2].partition(".ko")[0].replace("-", "_") for path in paths)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
