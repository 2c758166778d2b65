"""Rows of the tap as flows, and as lines."""

from __future__ import annotations

import pytest

from installer.domain.flows import brief, jsonpb
from installer.domain.flows.explain import explain
from installer.domain.flows.flow import Answer
from installer.domain.flows.printing.compact import CompactPrinter
from installer.domain.flows.printing.json_form import JsonPrinter
from installer.domain.flows.printing.options import PrintOptions
from installer.domain.tap.convert import Converter, duration_text
from installer.domain.tap.directory import Directory
from installer.domain.tap.reasons import is_routine
from installer.domain.tap.samples import DnsMessage, Drop, Sample, TcpEvent

TIME = 1_767_225_600_000_000_000
ENDS = ("10.0.0.1", "10.0.0.2", 40000, 80, 6, 4)


@pytest.fixture
def converter() -> Converter:
    directory = Directory()
    directory.add_spaces({5: ("netns", "red", ["10.0.0.1"]), 6: ("netns", "blue", ["10.0.0.2"])}, {})
    return Converter(directory, "node1")


def line(answer: Answer | None) -> str:
    assert answer is not None
    return CompactPrinter(PrintOptions(time=str)).write(answer).strip()


def test_a_sample(converter: Converter) -> None:
    row = Sample(*ENDS, 1, 5, 1, 77, "curl", 0x12, 1, 3, 3400, 3200, TIME, TIME)
    assert line(converter.sample(row)) == (
        "2026-01-01T00:00:00Z: netns/blue:80 (unknown) <- netns/red:40000 (unknown) from-endpoint FORWARDED "
        "(TCP Flags: SYN, ACK; 3 packets, 3.4 kB; curl[77])"
    )


def test_a_drop_is_told_with_the_kernels_reason(converter: Converter) -> None:
    row = Drop(*ENDS, 2, 6, "NETFILTER_DROP", "nft_do_chain", 3, "eth0", 2, 1, 60, TIME)
    answer = converter.drop(row)
    assert line(answer) == (
        "2026-01-01T00:00:00Z: netns/red:40000 (unknown) <> netns/blue:80 (unknown) NETFILTER_DROP DROPPED "
        "(TCP Flags: SYN; 1 packet, 60 B; in nft_do_chain)"
    )
    assert answer.flow is not None
    assert explain(answer.flow)[0] == "why: a rule of nftables or iptables dropped it (NETFILTER_DROP)"


def test_an_event(converter: Converter) -> None:
    row = TcpEvent(*ENDS, 0, 5, 1, 2, 148_261, 77, "curl", "", TIME)
    assert line(converter.tcp(row)) == (
        "2026-01-01T00:00:00Z: netns/red:40000 (unknown) -> netns/blue:80 (unknown) tcp-connect TRACED "
        "(TCP connect; after 148 us; curl[77])"
    )


def test_dns(converter: Converter) -> None:
    payload = "00070100000100000000000003777777076578616d706c6503636f6d0000010001"
    row = DnsMessage("10.0.0.1", "10.0.0.2", 4000, 53, 17, 4, 1, 5, 1, 0, 0, payload, TIME)
    assert line(converter.dns(row)).endswith("dns-request tap FORWARDED (DNS Query www.example.com. A)")
    assert converter.dns(DnsMessage("10.0.0.1", "10.0.0.2", 4000, 53, 17, 4, 1, 5, 1, 0, 0, "00", TIME)) is None


def test_losses(converter: Converter) -> None:
    (answer,) = converter.losses({"shed": 12}, TIME)
    assert line(answer).startswith("2026-01-01T00:00:00Z EVENTS LOST: TAP_NEW_FLOWS_TOO_FAST")


def test_a_recording_of_the_tap_is_read_again(converter: Converter) -> None:
    answer = converter.drop(Drop(*ENDS, 2, 6, "NO_SOCKET", "tcp_v4_rcv", 3, "eth0", 2, 1, 60, TIME))
    written = JsonPrinter(PrintOptions(time=str)).write(answer).encode()
    assert jsonpb.decode(written).flow == answer.flow
    assert line(brief.decode(written)) == line(answer)


def test_what_is_no_loss() -> None:
    def drop(reason: str, place: str, flags: int = 16) -> Drop:
        return Drop(*ENDS, 2, 6, reason, place, 0, "", flags, 1, 60, TIME)

    assert is_routine(drop("QUEUE_PURGE", "sk_stream_kill_queues"))
    assert is_routine(drop("NOT_SPECIFIED", "tcp_v4_rcv", 17))
    assert not is_routine(drop("NOT_SPECIFIED", "tcp_v4_rcv"))
    assert not is_routine(drop("NETFILTER_DROP", "nft_do_chain", 17))


def test_durations() -> None:
    assert [duration_text(nanos) for nanos in (900, 3_200_000, 12_000_000_000)] == ["1 us", "3.2 ms", "12.0 s"]
