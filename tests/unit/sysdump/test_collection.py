"""Collecting: bounds of time and size, failures that end nothing, secrets that do not get in; and its page."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from installer.domain.errors import BeeyardError
from installer.domain.redact import Redactor
from installer.domain.sysdump.entry import Entry, Summary, part
from installer.domain.sysdump.objects import sanitize
from installer.domain.sysdump.page import index_page
from installer.services import sysdump
from installer.services.sysdump import BYTES, Collection, Collector, finish


async def never() -> str:
    await asyncio.Event().wait()
    return ""


async def refused() -> str:
    raise BeeyardError("no right to read", why="RBAC says no, token=abcdef", code="E-X-1")


async def gone() -> str:
    raise FileNotFoundError(2, "No such file", "/x")


async def long() -> str:
    return "first line\n" + "x" * BYTES + "\nlast line"


async def fine() -> str:
    return "fine"


async def test_what_fails_is_told_and_the_rest_is_collected() -> None:
    found = Collection(Redactor())
    await found.run(
        [
            Collector("never.txt", "", never, 0.01),
            Collector("refused.txt", "", refused),
            Collector("gone.txt", "", gone),
            Collector("long.txt", "", long),
            Collector("fine.txt", "", fine),
        ]
    )
    entries = {one.path: one for one in found.entries}
    assert entries["never.txt"].error == "no end within 0.01 s"
    assert entries["refused.txt"].error == "no right to read: RBAC says no, token=***"
    assert "No such file" in entries["gone.txt"].error
    assert entries["fine.txt"].data == b"fine"
    cut = entries["long.txt"]
    assert len(cut.data) < BYTES + 100
    assert cut.data.endswith(b"last line")
    assert b"first line" not in cut.data
    assert cut.error == "only its last 2 MB were kept"


def test_a_full_archive_takes_no_more() -> None:
    found = Collection(Redactor(), size=sysdump.ALL_BYTES)
    found.add(Entry("late.txt", "", b"late"))
    assert (found.entries[0].data, found.entries[0].error) == (b"", "the archive is full")


def test_json_stays_json_without_its_secrets() -> None:
    redactor = Redactor()
    redactor.learn(["s3cr3t-value", "with a space in it"])
    found = Collection(redactor)
    data = {"token": "abc", "secret": {"secretName": "x"}, "a": ["s3cr3t-value", "a with a space in it b"], "n": 1}
    found.add(Entry("x.json", "", json.dumps(data).encode()))
    assert json.loads(found.entries[0].data) == {
        "token": "***",
        "secret": {"secretName": "x"},
        "a": ["***", "a *** b"],
        "n": 1,
    }


def test_learned_values_go_in_all_forms_and_as_words_only() -> None:
    redactor = Redactor()
    redactor.learn(["hunter22", "abc", "first-line-of-key\nsecond-line-of-key"])
    encoded = base64.b64encode(b"hunter22").decode()
    text = f"hunter22 x=hunter22, {encoded}; second-line-of-key hunter222 abc"
    assert redactor.mask(text) == "*** x=***, ***; *** hunter222 abc"


def test_objects_lose_what_is_secret() -> None:
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "{...}", "kept": "yes"}
    item: dict[str, Any] = {
        "metadata": {"name": "mine", "managedFields": [1], "annotations": notes},
        "data": {"key": "value"},
    }
    assert sanitize(item, "configmaps") == {
        "metadata": {"name": "mine", "annotations": {"kept": "yes"}},
        "data": {"key": "(5 characters)"},
    }
    known = {"metadata": {"name": "cilium-config"}, "data": {"debug": "false"}}
    assert sanitize(known, "configmaps") == known
    assert item["metadata"]["managedFields"] == [1], "the original is left alone"


def test_the_page_escapes_everything() -> None:
    hostile = "<script>alert(1)</script>\x1b[31m\u202e"
    entries = (Entry(f"logs/{hostile}", hostile, b"x"), Entry("none", "", error=hostile))
    page = index_page(Summary(hostile, ((hostile, hostile),), ((hostile, hostile),), entries))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_parts_of_paths_lead_nowhere_else() -> None:
    assert part("../../etc/passwd") == "_.._etc_passwd"
    assert part("..") == "_"
    assert part("cilium-x7k2p") == "cilium-x7k2p"


def test_without_a_checkup_the_page_says_so() -> None:
    found = Collection(Redactor(["s3cr3t"]))
    found.add(Entry("a.txt", "a", b"a"))
    index, data, entry = finish(found, None, 0.0, [("host", "s3cr3t")])
    assert b"the doctor did not come to an end" in index.data
    assert b"s3cr3t" not in index.data + data.data
    assert entry.path == "a.txt"
