"""What the real hubble prints for two recordings: cases of ``tests/fixtures/hubble/golden``."""

from __future__ import annotations

import gzip
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "fixtures" / "hubble"


@dataclass(frozen=True, slots=True)
class Case:
    """One call of ``hubble observe --input-file``: its options, exit code and both streams."""

    number: str
    recording: str
    code: int
    options: tuple[str, ...]
    out: bytes
    err: bytes

    @property
    def id(self) -> str:
        return f"{self.number} {' '.join(self.options)}"


@cache
def cases() -> tuple[Case, ...]:
    golden = FOLDER / "golden"
    rows = [line.split("\t") for line in (golden / "index.tsv").read_text().splitlines()]
    return tuple(
        Case(
            number,
            recording,
            int(code),
            tuple(shlex.split(options)),
            (golden / f"{number}.out").read_bytes(),
            (golden / f"{number}.err").read_bytes(),
        )
        for number, recording, code, options in rows
    )


@cache
def recorded(name: str) -> bytes:
    """Return a recording; the long one is kept packed."""
    packed = FOLDER / f"{name}.gz"
    return gzip.decompress(packed.read_bytes()) if packed.exists() else (FOLDER / name).read_bytes()
