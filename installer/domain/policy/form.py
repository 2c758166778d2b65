"""A policy from the answers of people who do not write YAML."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from installer.domain.errors import UsageError
from installer.domain.policy.choose_labels import choose_labels
from installer.domain.policy.impact import group
from installer.domain.policy.labels import LabelSet
from installer.domain.policy.model import Direction
from installer.domain.policy.sanitize import ENTITIES
from installer.domain.policy.world import World

PEER_FORMS = "namespace/workload, namespace/key=value, namespace/*, an entity such as world, a CIDR, or a DNS name"
_DNS_NAME = re.compile(r"[-a-zA-Z0-9_*]+(\.[-a-zA-Z0-9_*]+)+\.?")
_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(\w+))?|([a-z][-a-z0-9]*)(?:/(\w+))?")
_DNS_RULE = {
    "toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}],
    "toPorts": [
        {
            "ports": [{"port": "53", "protocol": "UDP"}, {"port": "53", "protocol": "TCP"}],
            "rules": {"dns": [{"matchPattern": "*"}]},
        }
    ],
}


@dataclass(frozen=True, slots=True)
class PolicyForm:
    """The answers, as they are typed.

    Attributes:
        subject: whom the policy is for: ``namespace/workload``, ``namespace/key=value,...`` or ``namespace/*``.
        direction: whose side it is.
        peers: who may connect, or be connected to; separated by blanks or commas. Empty: nobody.
        ports: such as ``80``, ``53/UDP``, ``8000-8100`` or ``http``; empty: every port.
        http: such as ``GET /api/.*, POST /login``; empty: every request.
        dns: also let them ask the cluster's DNS (egress only).
        name: of the policy; empty for one that is made of the subject.
    """

    subject: str
    direction: Direction = Direction.INGRESS
    peers: str = ""
    ports: str = ""
    http: str = ""
    dns: bool = True
    name: str = ""


def policy_of(form: PolicyForm, world: World) -> dict[str, Any]:
    """Return the policy that answers mean.

    Raises:
        UsageError: ``E-POL-040`` an answer has none of the known forms.
    """
    namespace, slash, what = form.subject.strip().partition("/")
    if not (slash and namespace and what):
        raise _wrong("the subject", form.subject, "namespace/workload, namespace/key=value or namespace/*")
    inwards = form.direction is Direction.INGRESS
    ports = _to_ports(form)
    rules = [_with_ports(rule, ports) for rule in _peers(form, namespace, world)]
    if not inwards and form.dns and rules:
        rules.append(_DNS_RULE)
    labels = _labels(namespace, what, world)
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": form.name.strip() or _name(what, form.direction), "namespace": namespace},
        "spec": {
            "endpointSelector": {"matchLabels": labels} if labels else {},
            form.direction.value: rules or [{}],
        },
    }


def workloads(world: World) -> list[str]:
    """Return the workloads of a cluster as ``namespace/name``."""
    return sorted({group(peer) for peer in world.peers})


def _labels(namespace: str, what: str, world: World) -> dict[str, str]:
    if what == "*":
        return {}
    if "=" in what:
        return {key.strip(): value.strip() for key, _, value in (part.partition("=") for part in what.split(","))}
    peers = [peer for peer in world.peers if peer.set.namespace == namespace]
    wanted = [peer.set for peer in peers if group(peer) == f"{namespace}/{what}"]
    if not wanted:
        return {"app": what}
    others = [peer.set for peer in peers if group(peer) != f"{namespace}/{what}"]
    return dict(choose_labels(wanted, _unlike(others, wanted)).labels)


def _unlike(others: Sequence[LabelSet], wanted: Sequence[LabelSet]) -> list[LabelSet]:
    own = {one.labels for one in wanted}
    return [one for one in others if one.labels not in own]


def _name(what: str, direction: Direction) -> str:
    word = re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-") or "all"
    return f"{word}-{direction.value}"[:63]


def _peers(form: PolicyForm, namespace: str, world: World) -> list[dict[str, Any]]:
    word = "from" if form.direction is Direction.INGRESS else "to"
    found: dict[str, list[Any]] = {}
    for text in form.peers.replace(",", " ").split() if "=" not in form.peers else form.peers.split():
        section, value = _peer(text, word, namespace, world)
        found.setdefault(section, []).append(value)
    return [{section: values} for section, values in found.items()]


def _peer(text: str, word: str, namespace: str, world: World) -> tuple[str, Any]:
    if text in ENTITIES:
        return f"{word}Entities", text
    try:
        return f"{word}CIDR", str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        pass
    there, slash, what = text.partition("/")
    if slash and there and what:
        labels = _labels(there, what, world)
        if there != namespace:
            labels = {"k8s:io.kubernetes.pod.namespace": there, **labels}
        return f"{word}Endpoints", {"matchLabels": labels} if labels else {}
    if word == "to" and _DNS_NAME.fullmatch(text):
        return "toFQDNs", {"matchPattern" if "*" in text else "matchName": text.rstrip(".").lower()}
    raise _wrong("the peer", text, PEER_FORMS)


def _to_ports(form: PolicyForm) -> list[dict[str, Any]]:
    ports = [_port(text) for text in form.ports.replace(",", " ").split()]
    http = [_request(text) for text in form.http.split(",") if text.strip()]
    if http and not ports:
        raise _wrong("the requests", form.http, "a port too: requests are read on the ports that are named")
    if not ports:
        return []
    if not form.peers.strip():
        raise _wrong("the list of peers", "", "who may use these ports; all stands for anyone")
    return [{"ports": ports, **({"rules": {"http": http}} if http else {})}]


def _port(text: str) -> dict[str, Any]:
    found = _PORT.fullmatch(text)
    if found is None or int(found.group(1) or 0) > 65535:
        raise _wrong("the port", text, "80, 53/UDP, 8000-8100 or the name of a port")
    number, end, protocol, name, of = found.groups()
    port: dict[str, Any] = {"port": number or name}
    if end:
        port["endPort"] = int(end)
    return {**port, "protocol": (protocol or of or "TCP").upper()}


def _request(text: str) -> dict[str, str]:
    method, _, path = text.strip().partition(" ")
    if path and not path.startswith("/"):
        raise _wrong("the request", text.strip(), "a method and a path such as GET /api/.*")
    if method.startswith("/"):
        return {"path": method}
    return {"method": method.upper(), **({"path": path} if path else {})}


def _with_ports(rule: dict[str, Any], ports: list[dict[str, Any]]) -> dict[str, Any]:
    return {**rule, "toPorts": ports} if ports else rule


def _wrong(what: str, text: str, forms: str) -> UsageError:
    return UsageError(f"{what} {text!r} is not understood", fix=f"Write {forms}.", code="E-POL-040")
