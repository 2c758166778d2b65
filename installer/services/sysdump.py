"""Collecting a support archive: every collector bounded in time and size, and none able to end the others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from installer import __version__
from installer.domain.errors import BeeyardError
from installer.domain.redact import Redactor, mask_tree
from installer.domain.sysdump.entry import Entry, Summary
from installer.domain.sysdump.page import index_page
from installer.services.doctor import Checkup

AT_ONCE = 6
SECONDS = 20.0
BYTES = 2_000_000
"""Characters of one file that are kept; of logs, the last ones."""

ALL_BYTES = 200_000_000

Read = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Collector:
    """Makes one file.

    Attributes:
        path: where it goes in the archive.
        title: what it is.
        read: returns its text.
        seconds: time it may take.
    """

    path: str
    title: str
    read: Read
    seconds: float = SECONDS


@dataclass(slots=True)
class Collection:
    """Files as they are collected, secrets masked.

    Attributes:
        redactor: knows the secrets.
        entries: what was collected so far.
        size: bytes of that.
    """

    redactor: Redactor
    entries: list[Entry] = field(default_factory=list)
    size: int = 0

    async def run(self, collectors: Iterable[Collector]) -> None:
        """Run collectors, some at once; what fails is told in its entry."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def bounded(one: Collector) -> None:
            async with slots:
                self.add(await _collect(one))

        await asyncio.gather(*(bounded(one) for one in collectors))

    def add(self, entry: Entry) -> None:
        """Add a file; its text is masked, cut to size, and left out where the archive is full."""
        data = self._masked(entry).encode()
        error = self.redactor.mask(entry.error)
        if len(data) > BYTES:
            data = b"... (the beginning was left out)\n" + data[-BYTES:]
            error = error or f"only its last {BYTES // 1_000_000} MB were kept"
        if self.size + len(data) > ALL_BYTES:
            data, error = b"", "the archive is full"
        self.size += len(data)
        self.entries.append(replace(entry, data=data, error=error))

    def _masked(self, entry: Entry) -> str:
        """Return the text without secrets; JSON stays JSON."""
        text = entry.data.decode(errors="replace")
        if entry.path.endswith(".json"):
            with suppress(ValueError):
                return data_text(mask_tree(json.loads(text), self.redactor)) if text else ""
        return self.redactor.mask(text)


async def _collect(one: Collector) -> Entry:
    began, text, error = time.monotonic(), "", ""
    try:
        async with asyncio.timeout(one.seconds):
            text = await one.read()
    except TimeoutError:
        error = f"no end within {one.seconds:g} s"
    except BeeyardError as problem:
        error = f"{problem.what}: {problem.why}".rstrip(": ")
    except (OSError, ValueError) as problem:
        error = f"{type(problem).__name__}: {problem}"
    return Entry(one.path, one.title, text.encode(errors="replace"), time.monotonic() - began, error)


def data_text(data: Any) -> str:
    """Return data as the text of a JSON file."""
    return json.dumps(data, indent=2, default=str, ensure_ascii=False) + "\n"


def finish(
    collection: Collection, checkup: Checkup | None, now: float, facts: Sequence[tuple[str, str]]
) -> list[Entry]:
    """Return all files, the index page and its JSON form first.

    Args:
        collection: what was collected.
        checkup: what the doctor found, None where he did not come to an end.
        now: UNIX time in seconds.
        facts: further lines of the summary.
    """
    mask = collection.redactor.mask
    made = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    lines = (("beeyard", __version__), *((name, mask(text)) for name, text in facts if text))
    entries = sorted(collection.entries, key=lambda one: one.path)
    summary = Summary(made, lines, tuple((code, mask(text)) for code, text in _findings(checkup)), tuple(entries))
    return [
        Entry("index.html", "this page", index_page(summary).encode()),
        Entry("index.json", "the same as data", data_text(summary.to_dict()).encode()),
        *entries,
    ]


def _findings(checkup: Checkup | None) -> list[tuple[str, str]]:
    if checkup is None:
        return [("", "the doctor did not come to an end")]
    found = [(one.code, f"{one.what}. Found in {one.where}: {one.evidence}") for one in checkup.diagnosis.causes]
    found += [(one.code, f"{one.what} (from {one.follows})") for one in checkup.diagnosis.consequences]
    return found + [(one.code, f"warning: {one.what}") for one in checkup.notes]
