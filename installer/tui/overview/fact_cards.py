"""Cards of what is so: pods and policies, versions, certificates, events; pure."""

from __future__ import annotations

from collections.abc import Sequence

from installer.domain.overview import CertificateStatus, NamespaceStatus, Overview, Versions, WarningEvent
from installer.domain.status import Status
from installer.domain.status_rules.certificates import WARN_DAYS
from installer.domain.status_rules.namespaces import seconds_of
from installer.tui.overview.ages import age
from installer.tui.overview.cards import Card, Level, Row
from installer.tui.overview.rows import (
    TITLES,
    empty_row,
    explain,
    notice_row,
    refusal_row,
    unique,
    waiting_card,
)

_NAMES = 20
_ONE_RELEASE = ("Cilium agent", "Cilium operator", "Hubble Relay", "Helm chart")
_RECENT = 600.0
"""Seconds for which a warning event draws attention."""


def namespaces_card(status: Status) -> Card:
    """Return the card of pods, managed or not, and policies, by namespace."""
    rows = [_namespace_row(status, one) for one in status.namespaces]
    pods = sum(one.pods for one in status.namespaces)
    managed = sum(one.managed for one in status.namespaces)
    if status.clusterwide_policies:
        rows.insert(0, _clusterwide_row(status))
    refused = [row for part in ("pods", "CiliumEndpoints") if (row := refusal_row(status, part))]
    return Card(
        "namespaces",
        TITLES["namespaces"],
        f"{managed}/{pods} managed",
        tuple(unique([*rows, *refused]) or [empty_row("namespaces", "No pod is on the pod network.")]),
        right=(1,),
        optional=(2,),
    )


def _clusterwide_row(status: Status) -> Row:
    count = status.clusterwide_policies
    text = "CiliumClusterwideNetworkPolicies hold in every namespace, and for the nodes where the host firewall is on."
    detail = explain("Policies of the whole cluster", Level.INFO, ("Number", str(count)), ("", text))
    return Row("clusterwide", ("all namespaces", "", f"{count} policies", "clusterwide"), Level.INFO, detail)


def _namespace_row(status: Status, one: NamespaceStatus) -> Row:
    unmanaged = [pod.name for pod in status.unmanaged if pod.namespace == one.name]
    faults = [fault for fault in status.policy_faults if fault.namespace == one.name]
    level = Level.WARNING if unmanaged or faults else Level.OK if one.managed else Level.INFO
    notices = [notice for notice in status.warnings if notice.subject == f"namespace/{one.name}"]
    detail = explain(
        f"Namespace {one.name}",
        level,
        ("Pods", f"{one.managed} of {one.pods} managed by Cilium; pods on the host's network are not counted"),
        ("Not managed", _shortened(unmanaged)),
        ("Cause", notices[0].why if notices else ""),
        ("Fix", notices[0].fix if notices else ""),
        ("Policies", f"{one.cilium_policies} CiliumNetworkPolicies, {one.network_policies} NetworkPolicies"),
        ("Not valid", "\n".join(f"{fault.name}: {fault.message}" for fault in faults)),
        ("Enforced", _enforcement(one)),
        code=notices[0].code if notices else "E-STATUS-011" if faults else "",
    )
    policies = f"{one.policies} polic{'ies' if one.policies != 1 else 'y'}" if one.policies else ""
    cells = (one.name, f"{one.managed}/{one.pods}", policies, one.enforcement if one.enforcement != "none" else "open")
    return Row(f"namespace-{one.name}", cells, level, detail)


def _shortened(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _NAMES} more"] if len(names) > _NAMES else []
    return "\n".join([*names[:_NAMES], *more])


def _enforcement(one: NamespaceStatus) -> str:
    if one.enforcement == "not known":
        return "not known: neither the CiliumEndpoints nor the agents tell"
    if one.enforcement in ("none", "-"):
        return "no: all traffic is allowed"
    open_ways = one.managed - max(one.ingress, one.egress, one.audit)
    return f"{one.enforcement} pods" + (f"; {open_ways} without any policy" if open_ways > 0 else "")


def versions_card(status: Status) -> Card:
    """Return the card of versions, hints first."""
    hints = [notice_row(status, one, Level.HINT) for one in status.hints]
    hints = [Row(row.key, (row.cells[0], row.cells[2]), row.level, row.detail) for row in hints]
    summary = f"{len(hints)} hint{'s' * (len(hints) != 1)}" if hints else ""
    return Card("versions", TITLES["versions"], summary, tuple(unique([*hints, *_version_rows(status.versions)])))


def _version_rows(versions: Versions) -> list[Row]:
    """Return the versions; Cilium's parts are one row where they agree, as they should."""
    parts = {name: versions[name] for name in _ONE_RELEASE if name in versions}
    others = {name: version for name, version in versions.items() if name not in parts}
    if len(set(parts.values())) == 1:
        names = "\n".join(f"{name} {version}" for name, version in parts.items())
        found = explain("Cilium", Level.INFO, ("Parts", names))
        rows = [Row("version-cilium", ("Cilium", next(iter(parts.values()))), Level.INFO, found)]
    else:
        rows = [_version_row(name, version) for name, version in parts.items()]
    return rows + [_version_row(name, version) for name, version in others.items()]


def _version_row(name: str, version: str) -> Row:
    return Row(f"version-{name}", (name, version), Level.INFO, explain(name, Level.INFO, ("Version", version)))


def certificates_card(status: Status, overview: Overview) -> Card:
    """Return the card of certificates."""
    rows = [_certificate_row(status, one) for one in status.certificates]
    if "certificates" in overview.pending and not rows:
        return waiting_card("certificates", "reading")
    if refused := refusal_row(status, "certificates"):
        rows.append(refused)
    shortest = min((one.days for one in status.certificates), default=None)
    summary = "" if shortest is None else "expired" if shortest < 0 else f"{shortest} days left"
    return Card(
        "certificates", TITLES["certificates"], summary, tuple(rows or [empty_row("certificates", "None is known.")])
    )


def _certificate_row(status: Status, one: CertificateStatus) -> Row:
    level = Level.OK if one.days >= WARN_DAYS else Level.WARNING if one.days >= 0 else Level.ERROR
    notices = [notice for notice in (*status.errors, *status.warnings) if notice.subject == one.name]
    detail = explain(
        f"Certificate: {one.name}",
        level,
        ("Subject", one.subject),
        ("Expires", f"{one.expires}, {_days(one.days)}"),
        *((("Cause", notices[0].why), ("Fix", notices[0].fix)) if notices else ()),
        code=notices[0].code if notices else "",
    )
    return Row(f"certificate-{one.name}", (one.name, _days(one.days)), level, detail)


def _days(days: int) -> str:
    return "expired" if days < 0 else f"{days} day{'s' * (days != 1)} left"


def events_card(status: Status, now: float) -> Card:
    """Return the card of recent Warning events."""
    rows = [_event_row(one, now) for one in status.events]
    if refused := refusal_row(status, "events"):
        rows.append(refused)
    none = empty_row("events", "No warnings were told in the last hour.", Level.OK, "The API keeps events for an hour.")
    return Card("events", TITLES["events"], str(len(status.events)) if rows else "", tuple(rows or [none]), right=(0,))


def _event_row(one: WarningEvent, now: float) -> Row:
    times = f" x{one.count}" if one.count > 1 else ""
    level = Level.WARNING if seconds_of(one.last) + _RECENT > now else Level.INFO
    detail = explain(
        f"{one.reason}: {one.subject}",
        level,
        ("Message", one.message),
        ("Last seen", f"{one.last}, {age(one.last, now)} ago"),
        ("Times", str(one.count)),
        ("More", _describe(one)),
    )
    cells = (age(one.last, now), f"{one.reason}{times}", one.name or one.kind, one.message)
    return Row(f"event-{one.subject}-{one.reason}", cells, level, detail)


def _describe(one: WarningEvent) -> str:
    place = f" -n {one.namespace}" if one.namespace else ""
    return f"kubectl{place} describe {one.kind.lower()} {one.name}" if one.kind and one.name else ""
