"""Numbers and ends of flows as the Kernel screen writes them."""

from __future__ import annotations

from installer.domain.flows.flow import Endpoint, Flow
from installer.domain.flows.printing import text
from installer.domain.flows.rates import ASCII_BLOCKS, BLOCKS, sparkline
from installer.domain.flows.where.syntax import value_text
from installer.domain.tap.convert import duration_text
from installer.domain.tap.latency import Latency
from installer.domain.text import human_bytes


def duration(nanos: int) -> str:
    """Return ``1.2 ms``, a dash for none."""
    return duration_text(nanos) if nanos else "-"


def size(number: float) -> str:
    """Return ``3.4 kB``."""
    return human_bytes(int(number))


def rate(number: float) -> str:
    """Return a rate: ``0``, ``0.4``, ``1,234``."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def spark(series: list[int] | tuple[int, ...], *, ascii_only: bool) -> str:
    """Return a line of blocks."""
    return sparkline(series, ASCII_BLOCKS if ascii_only else BLOCKS)


def spread(latency: Latency, *, ascii_only: bool) -> str:
    """Return a histogram in one line: ``62 us ▁▃█▂ 1.0 ms``; empty where there is nothing."""
    found = latency.octaves()
    if not found:
        return ""
    bars = spark([number for _, number in found], ascii_only=ascii_only)
    return f"{duration_text(found[0][0])} {bars} {duration_text(found[-1][0])}"


def percentiles(latency: Latency) -> str:
    """Return ``p50 140 us, p90 1.2 ms, p99 3.0 ms, longest 3.1 ms``; empty where there is nothing."""
    if not latency.count:
        return ""
    parts = [f"p{int(part * 100)} {duration(latency.percentile(part))}" for part in (0.5, 0.9, 0.99)]
    return ", ".join([*parts, f"longest {duration(latency.largest)}"])


def ends(flow: Flow) -> tuple[str, str]:
    """Return sender and receiver with their ports."""
    return text.hosts(flow)


def title(flow: Flow) -> str:
    """Return ``a:1 -> b:2 TCP``."""
    source, destination = ends(flow)
    return f"{source} -> {destination} {text.protocol(flow)}"


def who(endpoint: Endpoint | None) -> str:
    """Return the owner, the identity and the labels of one end, as far as they are known."""
    if endpoint is None:
        return ""
    owners = [f"{one.kind} {one.name}" for one in endpoint.workloads]
    number = [f"identity {endpoint.identity}"] if endpoint.identity else []
    labels = [label.removeprefix("k8s:") for label in endpoint.labels if "io.kubernetes." not in label]
    return ", ".join([*owners, *number, *(label for label in labels if "io.cilium." not in label)])


def between(flow: Flow, port: int = 0) -> str:
    """Return the filter for all flows between the two ends of one, in both directions.

    Args:
        flow: the flow.
        port: the server's port, 0 for any.
    """
    if flow.ip is None:
        return ""
    a, b = value_text(flow.ip.source), value_text(flow.ip.destination)
    found = f"ip={a} and ip={b}" if a != b else f"ip={a}"
    return f"{found} and port={port}" if port else found
