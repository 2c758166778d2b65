"""What one source told and the other did not."""

from __future__ import annotations

from installer.domain.flows.flow import ICMP, IP, TCP, Flow, Layer4
from installer.domain.tap.compare import Comparison, key_of


def flow(source: str, sport: int, destination: str, dport: int, time: str = "2026-01-01T00:00:05Z") -> Flow:
    return Flow(time=time, ip=IP(source, "", destination, "IPv4"), l4=Layer4(tcp=TCP(sport, dport)))


def compared() -> Comparison:
    return Comparison(lambda address: address.startswith("10.42."))


def test_both_directions_are_one_connection() -> None:
    assert key_of(flow("10.42.0.1", 40000, "10.42.0.2", 80)) == key_of(flow("10.42.0.2", 80, "10.42.0.1", 40000))
    assert key_of(Flow()) is None
    assert key_of(Flow(ip=IP("10.42.0.1", "", "10.42.0.2"), l4=Layer4(icmpv4=ICMP(8)))) is not None


def test_what_only_one_side_told() -> None:
    both = flow("10.42.0.1", 40000, "10.42.0.2", 80)
    mine, theirs = flow("10.42.0.1", 40001, "10.42.0.2", 80), flow("10.42.0.3", 40002, "10.42.0.2", 80)
    comparison = compared()
    comparison.kernel([both, mine])
    comparison.hubble([flow("10.42.0.2", 80, "10.42.0.1", 40000), theirs])
    result = comparison.result()
    assert result.both == 1
    assert [one.flow for one in result.only_kernel] == [mine]
    assert [one.flow for one in result.only_hubble] == [theirs]
    assert result.only_kernel[0].line == "2026-01-01T00:00:05Z 10.42.0.1:40001 -> 10.42.0.2:80 TCP"


def test_traffic_of_the_host_with_itself_is_left_out() -> None:
    comparison = compared()
    comparison.kernel([flow("127.0.0.1", 40000, "127.0.0.1", 80)])
    assert comparison.result().only_kernel == ()


def test_a_service_is_told_before_and_after_translation() -> None:
    comparison = compared()
    comparison.kernel([flow("10.42.0.1", 40000, "10.43.0.10", 80)])
    comparison.hubble([flow("10.42.0.1", 40000, "10.42.0.2", 8080)])
    assert comparison.result().both == 1
    assert comparison.result().only_kernel == comparison.result().only_hubble == ()


def test_what_was_told_while_the_other_was_not_there_does_not_count() -> None:
    comparison = compared()
    comparison.kernel(
        [flow("10.42.0.1", 40000, "10.42.0.2", 80, f"2026-01-01T00:00:{second:02}Z") for second in (1, 9)]
    )
    assert comparison.result("2026-01-01T00:00:02Z", "2026-01-01T00:00:08Z").only_kernel == ()
