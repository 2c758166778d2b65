"""The match rules of L7 records."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.filter_fields import Test, refused
from installer.domain.flows.flow import HTTP, Flow, Header
from installer.domain.flows.go_text import quoted
from installer.domain.flows.re2 import compile_re2
from installer.domain.flows.request_uri import uri_path

_Names = Sequence[str]
_STATUS: Final = re.compile(r"[1-5][0-9]{2}\Z")
_STATUS_PREFIX: Final = re.compile(r"[1-5][0-9]?\+\Z")


def http(flow: Flow) -> HTTP | None:
    """Return the HTTP record."""
    return flow.l7.http if flow.l7 is not None else None


def http_status(values: _Names) -> Test:
    """``404`` or a prefix such as ``4+``; responses only."""
    for value in values:
        if not _STATUS.match(value) and not _STATUS_PREFIX.match(value):
            raise refused(
                f"invalid http status code filter: invalid status code prefix: {quoted(value)}", "as 404, 40+ or 5+"
            )
    full = frozenset(value for value in values if not value.endswith("+"))
    prefixes = tuple(value[:-1] for value in values if value.endswith("+"))

    def test(flow: Flow) -> bool:
        record = http(flow)
        if record is None or record.code == 0:
            return False
        code = f"{record.code:03d}"
        return code in full or code.startswith(prefixes)

    return test


def http_method(values: _Names) -> Test:
    """One of the methods, in any case."""
    wanted = frozenset(value.casefold() for value in values)
    return lambda flow: (
        (record := http(flow)) is not None and record.method.casefold() in wanted and record.method != ""
    )


def http_header(values: Sequence[Header]) -> Test:
    """One of the headers, key and value as they stand."""
    wanted = frozenset((item.key, item.value) for item in values)
    return lambda flow: (
        (record := http(flow)) is not None and any((item.key, item.value) in wanted for item in record.headers)
    )


def http_url(values: _Names) -> Test:
    """Any pattern is found in the URL."""
    found = _patterns(values, "invalid http url filter: %s: ")
    return lambda flow: (record := http(flow)) is not None and record.url != "" and found(record.url)


def http_path(values: _Names) -> Test:
    """Any pattern is found in the path of the URL."""
    found = _patterns(values, "invalid http path filter: %s: ")

    def test(flow: Flow) -> bool:
        record = http(flow)
        if record is None or (path := uri_path(record.url)) is None:
            return False
        return found(path)

    return test


def dns_query(values: _Names) -> Test:
    """Any pattern is found in the name asked for."""
    found = _patterns(values, "invalid DNS query filter: failed to compile regexp: ")
    return lambda flow: flow.l7 is not None and flow.l7.dns is not None and found(flow.l7.dns.query)


def _patterns(values: _Names, head: str) -> Callable[[str], bool]:
    searches = []
    for value in values:
        try:
            searches.append(compile_re2(value).search)
        except FilterError as error:
            what = (head % value if "%" in head else head) + error.what
            raise FilterError(what, why=error.why, fix=error.fix, code=error.code) from error
    if len(searches) == 1:
        search = searches[0]
        return lambda text: search(text) is not None
    return lambda text: any(search(text) is not None for search in searches)
