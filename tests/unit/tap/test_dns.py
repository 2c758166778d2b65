"""Messages of DNS as they are on the wire."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from installer.domain.tap.dns import Message, parse

QUESTION = b"\3www\7example\3com\0\0\1\0\1"


def message(flags: int = 0x0100, answers: int = 0, tail: bytes = b"", question: bytes = QUESTION) -> bytes:
    return struct.pack("!6H", 7, flags, 1, answers, 0, 0) + question + tail


def test_a_question() -> None:
    assert parse(message()) == Message(False, 0, "www.example.com.", ("A",))


def test_answers_with_an_alias() -> None:
    alias = b"\xc0\x0c\0\5\0\1\0\0\0\x1e\0\4\1x\xc0\x10"
    address = b"\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"
    found = parse(message(0x8180, 2, alias + address))
    assert found == Message(True, 0, "www.example.com.", ("A",), ("1.2.3.4",), ("x.example.com.",), 30, ("CNAME", "A"))


def test_no_such_name() -> None:
    found = parse(message(0x8183))
    assert found is not None
    assert (found.rcode, found.ips) == (3, ())


def test_a_message_that_was_cut_gives_what_is_whole() -> None:
    records = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4" * 2
    found = parse(message(0x8180, 2, records)[:-3])
    assert found is not None
    assert found.ips == ("1.2.3.4",)


def test_what_is_no_message() -> None:
    assert parse(b"") is None
    assert parse(message()[:20]) is None
    assert parse(message(question=b"\xc0\x0c\0\1\0\1")) is None
    assert parse(message(question=b"\x80")) is None


@given(st.binary(max_size=600))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    parse(data)
    parse(message(0x8180, 9, data))
