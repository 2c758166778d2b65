"""Ports, protocols and ICMP types (R49 to R54)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from installer.domain.policy.entry import PortRule

ICMP_TYPES: Mapping[str, Mapping[str, int]] = {
    "IPv4": {
        "EchoReply": 0,
        "DestinationUnreachable": 3,
        "Redirect": 5,
        "Echo": 8,
        "EchoRequest": 8,
        "RouterAdvertisement": 9,
        "RouterSelection": 10,
        "TimeExceeded": 11,
        "ParameterProblem": 12,
        "Timestamp": 13,
        "TimestampReply": 14,
        "Photuris": 40,
        "ExtendedEchoRequest": 42,
        "ExtendedEchoReply": 43,
    },
    "IPv6": {
        "DestinationUnreachable": 1,
        "PacketTooBig": 2,
        "TimeExceeded": 3,
        "ParameterProblem": 4,
        "EchoRequest": 128,
        "EchoReply": 129,
        "MulticastListenerQuery": 130,
        "MulticastListenerReport": 131,
        "MulticastListenerDone": 132,
        "RouterSolicitation": 133,
        "RouterAdvertisement": 134,
        "NeighborSolicitation": 135,
        "NeighborAdvertisement": 136,
        "RedirectMessage": 137,
        "RouterRenumbering": 138,
        "ICMPNodeInformationQuery": 139,
        "ICMPNodeInformationResponse": 140,
        "InverseNeighborDiscoverySolicitation": 141,
        "InverseNeighborDiscoveryAdvertisement": 142,
        "HomeAgentAddressDiscoveryRequest": 144,
        "HomeAgentAddressDiscoveryReply": 145,
        "MobilePrefixSolicitation": 146,
        "MobilePrefixAdvertisement": 147,
        "DuplicateAddressRequestCodeSuffix": 157,
        "DuplicateAddressConfirmationCodeSuffix": 158,
        "ExtendedEchoRequest": 160,
        "ExtendedEchoReply": 161,
    },
}
"""Names of ICMP types as the CRD's pattern lists them."""


def port_rules(raw: Mapping[str, Any]) -> tuple[PortRule, ...]:
    """Read the ports of one ``toPorts`` item; without any it matches nothing (R32).

    Raises:
        ValueError: a port out of range.
    """
    return tuple(port_rule(port or {}) for port in raw.get("ports") or ())


def port_rule(raw: Mapping[str, Any]) -> PortRule:
    """Read one ``{port, endPort, protocol}``.

    Raises:
        ValueError: a port out of range.
    """
    protocol = str(raw.get("protocol") or "ANY")
    protocol = protocol.upper() if protocol.upper() != "ANY" else "ANY"
    port = str(raw.get("port") if raw.get("port") is not None else "0")
    if not port.isdigit():
        return PortRule(protocol, name=port.lower())
    first = int(port)
    if first > 65535:
        raise ValueError(f"unable to parse port: {port} is out of range")
    if first == 0:
        return PortRule(protocol)
    end = int(raw.get("endPort") or 0)
    return PortRule(protocol, first, end if end > first else first)


def icmp_rules(raw: Mapping[str, Any]) -> Iterable[PortRule]:
    """Read one item of ``icmps``.

    Raises:
        ValueError: a type that its family does not know.
    """
    for field in raw.get("fields") or ():
        family = str(field.get("family") or "IPv4")
        kind = field.get("type")
        number = int(kind) if str(kind).isdigit() else ICMP_TYPES.get(family, {}).get(str(kind))
        if number is None:
            raise ValueError(f"ICMP type {kind} not found in {family}")
        yield PortRule(f"ICMPv{family[-1]}", number, number)
