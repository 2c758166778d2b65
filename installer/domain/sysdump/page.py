"""The index page: plain HTML without scripts, every text of others escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from urllib.parse import quote

from installer.domain.sysdump.entry import Entry, Summary
from installer.domain.text import human_bytes, one_line

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }
h1 { font-size: 1.4em } h2 { font-size: 1.1em; margin-top: 1.6em }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .15em .8em .15em 0; vertical-align: top; border-bottom: 1px solid #8884 }
td.size { text-align: right; white-space: nowrap } .bad { color: #b00020 } code { overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd } a { color: #8bf } .bad { color: #f88 } }
"""


def index_page(summary: Summary) -> str:
    """Return ``index.html``."""
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>beeyard sysdump</title><style>{_STYLE}</style></head><body>",
            f"<h1>beeyard sysdump, {_text(summary.made)}</h1>",
            *_pairs("Summary", summary.lines),
            *_pairs("Findings", summary.findings or (("", "nothing wrong was found"),)),
            *_missing(summary.entries),
            *_files(summary.entries),
            "</body></html>\n",
        )
    )


def _text(text: str) -> str:
    return escape(one_line(text))


def _pairs(title: str, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"<h2>{title}</h2><table>"
    for name, value in pairs:
        yield f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>"
    yield "</table>"


def _missing(entries: Iterable[Entry]) -> Iterator[str]:
    failed = [one for one in entries if one.error]
    if failed:
        yield "<h2>Not collected, or not whole</h2><table>"
        for one in failed:
            yield f"<tr><td><code>{_text(one.path)}</code></td><td class=bad>{_text(one.error)}</td></tr>"
        yield "</table>"


def _files(entries: Iterable[Entry]) -> Iterator[str]:
    there = sorted((one for one in entries if one.data), key=lambda one: (one.group, one.path))
    for group, files in groupby(there, key=lambda one: one.group):
        yield f"<h2>{_text(group or 'top')}</h2><table>"
        for one in files:
            name = one.path.rpartition("/")[2]
            link = f'<a href="{escape(quote(one.path), quote=True)}">{_text(name)}</a>'
            size = human_bytes(len(one.data))
            yield f"<tr><td>{link}</td><td>{_text(one.title)}</td><td class=size>{size}</td></tr>"
        yield "</table>"
