"""Who is meant by what a user types: a pod, a workload, labels, an entity, an address or a DNS name."""

from __future__ import annotations

import difflib
import ipaddress
import re

from installer.domain.errors import UsageError
from installer.domain.policy.impact import group
from installer.domain.policy.model import ENTITY_LABELS, Peer, address, entity, pod
from installer.domain.policy.patterns import plain_name
from installer.domain.policy.world import World

_LABELS = re.compile(r"[^=,]+=[^=,]*(,[^=,]+=[^=,]*)*")
_NAME = re.compile(r"[-a-zA-Z0-9_]+(\.[-a-zA-Z0-9_]+)+\.?")
_PLACEHOLDER = "203.0.113.1"
FORMS = "namespace/pod, namespace/workload, namespace/key=value,…, an entity such as world, an address, or a DNS name"


def resolve(text: str, world: World) -> Peer:
    """Return who is meant.

    Args:
        text: ``demo/frontend``, ``demo/app=web,tier=a``, ``world``, ``10.0.0.1``, ``api.example.org``.
        world: the cluster; where its pods are not known a name stands for the label ``app``.

    Raises:
        UsageError: ``E-POL-011`` nobody is; the nearest names are told.
    """
    if text in ENTITY_LABELS:
        return entity(text)
    try:
        return address(str(ipaddress.ip_address(text)), frozenset(), dual_stack=world.settings.dual_stack)
    except ValueError:
        pass
    namespace, slash, name = text.partition("/")
    if slash and namespace and name:
        return _pod(namespace, name, world)
    if _NAME.fullmatch(text):
        return address(_PLACEHOLDER, frozenset((plain_name(text),)), dual_stack=world.settings.dual_stack)
    raise _nobody(text, "It has none of the known forms.", f"Write {FORMS}.")


def _pod(namespace: str, name: str, world: World) -> Peer:
    if _LABELS.fullmatch(name):
        labels = dict(part.split("=", 1) for part in name.split(","))
        return _made(namespace, labels, world)
    living = [one for one in world.pods if one.namespace == namespace and not one.finished]
    exact = [one for one in living if one.name == name]
    alike = exact or [one for one in living if group(one.peer) == f"{namespace}/{name}"]
    alike = alike or [one for one in living if one.name.startswith(f"{name}-")]
    if alike:
        return alike[0].peer
    if not world.pods:
        return _made(namespace, {"app": name}, world)
    known = sorted({group(one.peer) for one in world.pods})
    near = difflib.get_close_matches(f"{namespace}/{name}", known, n=3)
    raise _nobody(
        f"{namespace}/{name}",
        "No pod is called so, and no workload.",
        f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known[:12])}.",
    )


def _made(namespace: str, labels: dict[str, str], world: World) -> Peer:
    return pod(
        namespace,
        labels,
        namespace_labels=world.namespaces.get(namespace) or {"kubernetes.io/metadata.name": namespace},
        cluster=world.settings.cluster,
    )


def _nobody(text: str, why: str, fix: str) -> UsageError:
    return UsageError(f"nobody is meant by {text!r}", why=why, fix=fix, code="E-POL-011")
