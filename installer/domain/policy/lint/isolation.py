"""Default deny that surprises, probes that are cut, and policies that do nothing (R3, R16 to R25)."""

from __future__ import annotations

from collections.abc import Iterable

from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.entry import Entity, Entry, Rule
from installer.domain.policy.findings import QuickFix
from installer.domain.policy.lint.scene import Scene, Told, named, rule_path, same_object, section_path, specs_of, told
from installer.domain.policy.model import Decision, Direction, Traffic, entity
from installer.domain.policy.world import Pod
from installer.domain.yaml_document import Path

_HEALTH_PORT = 4240


def denies_alone(scene: Scene) -> Iterable[Told]:
    """Find sections that only deny, yet switch default deny on: the classic outage (R21)."""
    for document, _, rule in scene.rules():
        if not document.data["kind"].startswith("Cilium"):
            continue
        for direction in sorted(rule.default_deny):
            entries = [entry for entry in rule.entries if entry.direction is direction]
            denies = [entry for entry in entries if entry.action == "deny"]
            alone = denies and len(denies) == len(entries) and not any(map(_is_everyone, denies))
            if alone and _isolates_alone(scene, rule, direction):
                section = f"{direction}Deny"
                if _section(document, rule.origin.path, direction.value):
                    continue  # an allow section that is empty on purpose stands beside it
                at = (*rule.origin.path, "enableDefaultDeny", direction.value)
                text = (
                    f"{section} alone switches default deny on: everything else is dropped too, not only what it denies"
                )
                fix = f"Write enableDefaultDeny: {{{direction}: false}}, or allow the rest."
                quick = QuickFix(f"switch default deny off for {direction}", at, value=False)
                yield told(document, "P-LINT-030", text, (*rule.origin.path, section), fix, quick)


def _isolates_alone(scene: Scene, rule: Rule, direction: Direction) -> bool:
    """Whether some pod, or nobody knows which, is isolated by this spec only."""
    pods = scene.subjects(rule)
    return not pods or any(
        all(
            one.origin == rule.origin
            for one in scene.after.selected(pod.peer, direction)
            if direction in one.default_deny
        )
        for pod in pods
    )


def _section(document: SourceDocument, path: Path, key: str) -> bool:
    return any(spec.get(key) for at, spec in specs_of(document) if at == path)


def _is_everyone(entry: Entry) -> bool:
    everyone = entry.peers is None or any(isinstance(peer, Entity) and peer.name == "all" for peer in entry.peers)
    return everyone and entry.ports is None


def newly_isolated(scene: Scene) -> Iterable[Told]:
    """Find pods that nothing isolated before and that the documents isolate."""
    if scene.world is None:
        return
    for document, _, rule in scene.rules():
        for direction in sorted(rule.default_deny):
            found = [
                pod
                for pod in scene.subjects(rule)
                if scene.before.isolated(pod.peer, direction) is False and scene.after.isolated(pod.peer, direction)
            ]
            if found:
                what = "be reached by" if direction is Direction.INGRESS else "reach"
                text = f"{named(found)} become isolated for {direction}: from then on they {what} only what rules allow"
                path = section_path(document, rule.origin.path, direction)
                fix = f"Look at `beeyard policy impact` before you apply it; {_others(direction)}"
                yield told(document, "P-LINT-031", text, path, fix)


def _others(direction: Direction) -> str:
    other = Direction.EGRESS if direction is Direction.INGRESS else Direction.INGRESS
    return f"{other} stays as it is."


def switches(scene: Scene) -> Iterable[Told]:
    """Find ``enableDefaultDeny`` that does nothing (R17), or less than it says (R19)."""
    for document in scene.documents:
        if not document.data["kind"].startswith("Cilium"):
            continue
        for path, spec in specs_of(document):
            for key, value in (spec.get("enableDefaultDeny") or {}).items():
                at = (*path, "enableDefaultDeny", key)
                ruled = bool(spec.get(key) or spec.get(f"{key}Deny"))
                if value and not ruled:
                    text = f"there are no rules for {key}, so this says nothing"
                    yield told(document, "P-LINT-032", text, at, f"To isolate write `{key}: [{{}}]`.")
                elif ruled and value is False and scene.settings.version < (1, 18) and _has_l7(spec.get(key)):
                    text = "before Cilium 1.18 the requests that no L7 rule names are refused all the same"
                    yield told(document, "P-LINT-033", text, at, "Add an L7 rule that admits the rest.")


def _has_l7(items: object) -> bool:
    rules = [
        rule or {} for item in (items if isinstance(items, list) else ()) for rule in (item or {}).get("toPorts") or ()
    ]
    return any(rule.get("rules") for rule in rules)


def probes(scene: Scene) -> Iterable[Told]:
    """Find rules that keep the kubelet from probing pods (R23)."""
    if scene.world is None:
        return
    node = entity("host")
    for document, policy, rule in scene.rules():
        cut: dict[Path, list[tuple[Pod, int]]] = {}
        for pod in scene.subjects(rule):
            for port, _ in pod.probes:
                side = scene.after.side(Direction.INGRESS, Traffic(node, pod.peer, port))
                if side.decision is Decision.DENY:
                    for origin in side.origins:
                        if same_object(origin, policy.origin):
                            cut.setdefault(rule_path(origin.path), []).append((pod, port))
        for path, found in cut.items():
            ports = ", ".join(map(str, sorted({port for _, port in found})))
            who = named([pod for pod, _ in found])
            text = f"the kubelet's probes of {who} on port {ports} are denied, so it restarts them"
            yield told(document, "P-LINT-050", text, path, "Leave the host out of the deny.")


def health(scene: Scene) -> Iterable[Told]:
    """Find clusterwide policies that cut Cilium's health checks (R2)."""
    target, node = entity("health"), entity("remote-node")
    traffic = Traffic(node, target, _HEALTH_PORT)
    for document, policy, rule in scene.rules():
        if policy.origin.namespace or not rule.subject.matches(target) or Direction.INGRESS not in rule.speaks:
            continue
        side = scene.after.side(Direction.INGRESS, traffic)
        if side.decision is Decision.DENY and any(same_object(origin, policy.origin) for origin in side.origins):
            text = (
                "it selects Cilium's health endpoints too and cuts the nodes off from them: `cilium status` turns red"
            )
            fix = "Add a rule with fromEntities: [health, remote-node], or select pods by their namespace label."
            yield told(document, "P-LINT-052", text, (*rule.origin.path, "endpointSelector"), fix)


def host_policies(scene: Scene) -> Iterable[Told]:
    """Find policies for nodes while the host firewall is off (R3)."""
    if scene.world is None or scene.settings.host_firewall:
        return
    for document, _, rule in scene.rules():
        if rule.subject.node:
            text = "the host firewall is off, so a policy for nodes does nothing"
            yield told(
                document, "P-LINT-053", text, (*rule.origin.path, "nodeSelector"), "Helm: hostFirewall.enabled=true."
            )


CHECKS = (denies_alone, newly_isolated, switches, probes, health, host_policies)
