"""Evidence from logs and other texts, from errors, and from what is known of the host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from installer.domain.diagnosis.cause import Cause
from installer.domain.diagnosis.evidence import Evidence, Source
from installer.domain.diagnosis.failure_modes import mode_of_check
from installer.domain.diagnosis.parts import Part
from installer.domain.errors import BeeyardError
from installer.domain.preflight.facts import HostFacts
from installer.domain.preflight.findings import Finding, Level
from installer.domain.readiness_rules.evidence import clean

_BEGINS = re.compile(r"Starting k3s|\bstarting k3s\b", re.IGNORECASE)
"""What k3s says first: lines before it are of an earlier life."""


def text_evidence(source: Source, where: str, lines: Iterable[str], subject: str = "") -> Iterator[Evidence]:
    """Yield the lines of a log or of a command's output; empty ones are left out."""
    for line in lines:
        if cleaned := clean(line):
            yield Evidence(source, where, cleaned, subject)


def since_start(lines: list[str]) -> list[str]:
    """Return the lines of k3s' log since its last start."""
    begins = [number for number, line in enumerate(lines) if _BEGINS.search(line)]
    return lines[begins[-1] :] if begins else lines


def error_evidence(error: BeeyardError, step: str = "") -> Iterator[Evidence]:
    """Yield what an error says: its code and words, then its reasons line by line."""
    where = f"error {error.code}" + (f" of step {step}" if step else "")
    subject = str(error.details.get("subject", ""))
    yield Evidence(Source.ERROR, where, clean(f"{error.code} {error.what}"), subject)
    yield from text_evidence(Source.ERROR, where, error.why.splitlines(), subject)


def host_evidence(facts: HostFacts) -> Iterator[Evidence]:
    """Yield what the rules want to know of the host's facts, one line each."""
    running = f"k3s runs as pid {facts.k3s.pid}" if facts.k3s.pid else "k3s does not run"
    yield Evidence(Source.HOST, "processes of this host", running)
    yield Evidence(Source.HOST, "uname -r", clean(f"kernel {facts.kernel}"))
    for link in facts.links:
        port = f" port {link.port}" if link.port else ""
        yield Evidence(Source.HOST, "ip -d link", clean(f"link {link.name} {link.kind}{port}"))
    for name, value in facts.rp_filter.items():
        where = f"/proc/sys/net/ipv4/conf/{name}/rp_filter"
        yield Evidence(Source.HOST, clean(where), clean(f"sysctl net.ipv4.conf.{name}.rp_filter = {value}"))
    yield from _filters(facts)
    yield from _managers(facts)


def _filters(facts: HostFacts) -> Iterator[Evidence]:
    wall = facts.firewall
    if wall.firewalld:
        yield Evidence(Source.HOST, "firewall-cmd --state", f"firewalld is running, zone {clean(wall.firewalld.zone)}")
    if wall.ufw:
        yield Evidence(Source.HOST, "ufw status", "ufw is active")
    if wall.kube_chains:
        yield Evidence(Source.HOST, "packet filter of this host", f"iptables: {wall.kube_chains} KUBE-SVC chains")


def _managers(facts: HostFacts) -> Iterator[Evidence]:
    found = facts.managers
    if found.networkd and not found.networkd_keeps:
        text = "networkd manages foreign routing policy rules: no ManageForeignRoutingPolicyRules=no"
        yield Evidence(Source.HOST, "configuration of systemd-networkd", text)
    for name in found.grabbed:
        yield Evidence(Source.HOST, "nmcli device", clean(f"NetworkManager: {name} connected"))
    if found.cloud_setup:
        yield Evidence(Source.HOST, "systemctl is-enabled nm-cloud-setup", "nm-cloud-setup.service is enabled")


def rule_evidence(lines: Iterable[str], facts: HostFacts) -> Iterator[Evidence]:
    """Yield routing rules as ``ip rule`` prints them, and that Cilium's are missing where its links are."""
    found = list(lines)
    for line in found:
        yield Evidence(Source.HOST, "ip rule", clean(f"ip rule {line}"))
    if any(link.name == "cilium_host" for link in facts.links) and not any("lookup 2004" in line for line in found):
        yield Evidence(Source.HOST, "ip rule", "ip rule: none leads to Cilium's table 2004")


def check_causes(findings: Iterable[Finding]) -> Iterator[Cause]:
    """Yield the errors among the findings of the checks of a host as causes."""
    for one in findings:
        if one.level is Level.ERROR:
            mode = mode_of_check(one.code)
            yield Cause(
                code=one.code,
                part=mode.part if mode else Part.HOST,
                what=one.what,
                fix=one.fix,
                mode=mode.number if mode else 0,
                evidence=one.evidence,
                where=f"this host, {one.subject}",
                subject=one.subject,
            )
