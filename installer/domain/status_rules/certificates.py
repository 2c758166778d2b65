"""How long certificates last."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC

from installer.domain.overview import CertificateStatus
from installer.domain.readiness_rules.evidence import clean
from installer.domain.readiness_rules.facts import Object, name_of
from installer.domain.status import Notice
from installer.domain.x509 import Certificate, read_pem

WARN_DAYS = 30
_DAY = 86400.0
_FIELDS = ("tls.crt", "ca.crt")
_CILIUM = ("cilium", "hubble", "clustermesh")


def judge_certificate(name: str, certificate: Certificate, now: float) -> CertificateStatus:
    """Return how long a certificate lasts, counted from ``now`` (UNIX time)."""
    left = certificate.not_after.timestamp() - now
    expires = certificate.not_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return CertificateStatus(name, clean(certificate.subject), expires, int(left // _DAY))


def read_secrets(secrets: Iterable[Object]) -> dict[str, Certificate]:
    """Return the certificates of Cilium's and Hubble's secrets by name; keys are not looked at."""
    found = {}
    for secret in secrets:
        name = name_of(secret)
        certificate = _first(secret.get("data") or {}) if name.startswith(_CILIUM) else None
        if certificate is not None:
            found[f"secret/{name}"] = certificate
    return found


def _first(data: Mapping[str, str]) -> Certificate | None:
    """Return a secret's own certificate, else its authority's; None where there is none that can be read."""
    for field in _FIELDS:
        if field in data:
            try:
                text = base64.b64decode(data[field]).decode("ascii")
                return next(iter(read_pem(text)), None)
            except (binascii.Error, ValueError):
                return None
    return None


def certificate_notices(certificates: Iterable[CertificateStatus]) -> list[Notice]:
    """Return a notice for each certificate that has expired or soon will."""
    return [_notice(one) for one in certificates if one.days < WARN_DAYS]


def _notice(one: CertificateStatus) -> Notice:
    day = one.expires[:10]
    text = (
        f"the certificate expires in {one.days} days, on {day}"
        if one.days >= 0
        else f"the certificate expired on {day}"
    )
    return Notice(one.name, text, "E-STATUS-012", _fix(one.name), _why(one.name))


def has_expired(one: CertificateStatus) -> bool:
    """Whether a certificate is no longer valid."""
    return one.days < 0


def _fix(name: str) -> str:
    if name.startswith("secret/"):
        return "Let Helm or certgen make it anew: beeyard install, or run the CronJob hubble-generate-certs."
    if name == "client certificate":
        return "Restart k3s, then take its new /etc/rancher/k3s/k3s.yaml: beeyard install merges it."
    return "Restart k3s on the server: at start it renews certificates that have fewer than 90 days left."


def _why(name: str) -> str:
    if name.startswith("secret/"):
        return "When it expires, Hubble Relay and the agents refuse each other, and flows stop."
    return "When it expires, kubectl and beeyard can no longer talk to the cluster."
