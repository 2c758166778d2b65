"""Tests of addresses as servers make them: the very text, or inside a prefix."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache

from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.go_text import quoted

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def compile_addresses(values: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of an address (its text). An IPv4 address is in no IPv6 prefix, mapped or not.

    Raises:
        FilterError: E-FILTER-004.
    """
    texts = frozenset(_checked(value) for value in values if "/" not in value)
    networks = tuple(_network(value) for value in values if "/" in value)
    if not networks:
        return texts.__contains__

    @lru_cache(maxsize=16384)
    def matches(address: str) -> bool:
        return address in texts or any(address_in(address, network) for network in networks)

    return matches


def address_in(address: str, network: Network) -> bool:
    """Say whether an address, given as text, is in the network; False where it is none."""
    try:
        return "%" not in address and ipaddress.ip_address(address) in network
    except ValueError:
        return False


def parse_network(text: str) -> Network:
    """Read ``10.0.0.0/8``; bits after the prefix are dropped.

    Raises:
        ValueError: with Go's words.
    """
    head = f"netip.ParsePrefix({quoted(text)}): "
    address, slash, bits = text.rpartition("/")
    if not slash:
        raise ValueError(head + "no '/'")
    try:
        parsed = parse_address(address)
    except ValueError as error:
        raise ValueError(head + str(error)) from error
    if "%" in address:
        raise ValueError(head + "IPv6 zones cannot be present in a prefix")
    if not bits.isascii() or not bits.isdigit() or (len(bits) > 1 and bits[0] == "0"):
        raise ValueError(f"{head}bad bits after slash: {quoted(bits)}")
    if int(bits) > parsed.max_prefixlen:
        raise ValueError(head + "prefix length out of range")
    return ipaddress.ip_network((address, int(bits)), strict=False)


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address.

    Raises:
        ValueError: with Go's words where they are short.
    """
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"ParseAddr({quoted(text)}): {_fault(text)}") from None


def _fault(text: str) -> str:
    first = next((char for char in text if char in ".:%"), "")
    if first == "%":
        return "missing IPv6 address"
    return _ipv4_fault(text) if first == "." else "unable to parse IP"


def _ipv4_fault(text: str) -> str:
    parts = text.split(".")
    for part in parts:
        if not part:
            return "IPv4 field must have at least one digit"
        if not part.isascii() or not part.isdigit():
            return "unexpected character"
        if len(part) > 1 and part[0] == "0":
            return "IPv4 field has octet with leading zero"
        if int(part) > 255:
            return "IPv4 field has value >255"
    return "IPv4 address too short" if len(parts) < 4 else "IPv4 address too long"


def _checked(value: str) -> str:
    try:
        parse_address(value)
    except ValueError as error:
        raise FilterError(
            f"invalid IP address {quoted(value)} in filter: {error}",
            fix="give an address such as 10.0.1.7 or a prefix such as 10.0.0.0/8",
            code="E-FILTER-004",
        ) from error
    return value


def _network(value: str) -> Network:
    try:
        return parse_network(value)
    except ValueError as error:
        raise FilterError(
            f"invalid IP prefix {quoted(value)} in filter: {error}",
            fix="give a prefix such as 10.0.0.0/8",
            code="E-FILTER-004",
        ) from error
