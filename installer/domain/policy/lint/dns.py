"""DNS that is cut, and rules on names that can never match (R39, R45, R46)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from installer.domain.policy.entry import Entry, Rule
from installer.domain.policy.findings import Level
from installer.domain.policy.l7 import NameRule, name_rules
from installer.domain.policy.lint.scene import (
    Item,
    Scene,
    Told,
    items_of,
    named,
    rule_path,
    same_object,
    section_path,
    told,
)
from installer.domain.policy.model import Decision, Direction, Origin, Peer, Traffic
from installer.domain.policy.patterns import plain_name
from installer.domain.policy.resolvers import resolvers
from installer.domain.policy.world import Pod
from installer.domain.yaml_document import Path

_INSIDE = (".svc", ".svc.cluster.local", ".cluster.local", ".pod.cluster.local")
_NDOTS = 5
_SAMPLES = ("", "a", "abc-1", "x_y")


def cut(scene: Scene) -> Iterable[Told]:
    """Find documents that leave pods without DNS, or with DNS over UDP only."""
    asked = resolvers(scene.world)
    if not asked:
        return
    for document, policy, rule in scene.rules():
        if Direction.EGRESS not in rule.speaks:
            continue
        lost: dict[tuple[str, Path], list[Pod]] = {}
        for pod in scene.subjects(rule):
            for protocol, origin in _lost(scene, pod.peer, asked):
                if same_object(origin, policy.origin):
                    lost.setdefault((protocol, rule_path(origin.path)), []).append(pod)
        for (protocol, at), pods in lost.items():
            path = section_path(document, at, Direction.EGRESS) if at == rule.origin.path else at
            who = named(pods) if scene.world is not None else "the pods it selects"
            if protocol == "UDP":
                text = f"{who} cannot ask {asked[0][0]} on port {asked[0][1]}: names no longer resolve"
                fix = "Add a rule to the DNS pods on port 53, UDP and TCP."
                level = scene.doubtful or (None if any(_sends(scene, pod) for pod in pods) else Level.WARNING)
                yield told(document, "P-LINT-040", text, path, fix, level=level)
            else:
                text = f"{who} may ask DNS over UDP only; long answers need TCP"
                yield told(document, "P-LINT-041", text, path, "Allow port 53/TCP beside 53/UDP.")


def _lost(scene: Scene, pod: Peer, asked: Sequence[tuple[Peer, int]]) -> Iterable[tuple[str, Origin]]:
    """Yield each rule that keeps a pod from DNS: for UDP, or only for TCP."""
    for protocol in ("UDP", "TCP"):
        sides = [scene.after.side(Direction.EGRESS, Traffic(pod, peer, port, protocol)) for peer, port in asked]
        if all(side.decision is Decision.DENY for side in sides):
            yield from ((protocol, origin) for origin in sides[0].origins)
            return  # without UDP nothing is said of TCP


def _sends(scene: Scene, pod: Pod) -> bool:
    """Whether a pod is allowed anything: one that may do nothing at all needs no names."""
    rules = scene.after.selected(pod.peer, Direction.EGRESS)
    return any(
        entry.action == "allow" and entry.direction is Direction.EGRESS for rule in rules for entry in rule.entries
    )


def unlearned(scene: Scene) -> Iterable[Told]:
    """Find names in ``toFQDNs`` whose addresses no dns rule lets the agent see (R46)."""
    cascade = scene.settings.version >= (1, 19)
    for document, _, rule in scene.rules():
        wanted = [item for item in items_of(document) if item.path[: len(rule.origin.path)] == rule.origin.path]
        wanted = [item for item in wanted if item.raw.get("toFQDNs")]
        if not wanted:
            continue
        shown = _shown_names(scene, rule)
        for item in wanted:
            for index, raw in enumerate(item.raw["toFQDNs"]):
                (name,) = name_rules([raw or {}], cascade=cascade)
                yield from _seen(scene, item, index, name, shown)


def _shown_names(scene: Scene, rule: Rule) -> list[NameRule]:
    """Return the names that dns rules show, for the pods of a spec that see the fewest."""
    found: list[list[NameRule]] = []
    for pod in scene.subjects(rule):
        entries = [entry for one in scene.after.selected(pod.peer, Direction.EGRESS) for entry in one.entries]
        found.append([name for entry in entries for name in _dns(entry)])
    return min(found, key=len, default=[NameRule(pattern="*")])


def _dns(entry: Entry) -> Sequence[NameRule]:
    return entry.l7.names if entry.l7 is not None and entry.l7.kind == "dns" else ()


def _seen(scene: Scene, item: Item, index: int, name: NameRule, shown: Sequence[NameRule]) -> Iterable[Told]:
    text = name.exact or name.pattern
    hits = [any(rule.matches(one) for rule in shown) for one in _names(name)]
    path = (*item.path, "toFQDNs", index)
    if not text or all(hits):
        return
    if any(hits):
        told_text = f"dns rules show only some of the names that {text!r} means; the others never match"
        yield told(item.document, "P-LINT-043", told_text, path, f"Add a dns rule for {text!r}.")
        return
    why = "no dns rule covers it" if shown else "no dns rule is there"
    told_text = f"the addresses of {text!r} are never learned: {why} for the same pods"
    fix = (
        f"Add rules: {{dns: [{{{'matchName' if name.exact else 'matchPattern'}: {text!r}}}]}} to the rule for port 53."
    )
    yield told(item.document, "P-LINT-042", told_text, path, fix, level=scene.doubtful)


def _names(rule: NameRule) -> list[str]:
    """Return names that a rule means, to try them."""
    if rule.exact:
        return [plain_name(rule.exact)]
    pattern = plain_name(rule.pattern)
    if pattern == "*":
        return ["a.example.org", "b.example.com"]
    head = ["a.", "a.b."] if pattern.startswith("**.") and rule.cascade else [""]
    rest = pattern[3:] if len(head) > 1 else pattern
    made = [first + rest.replace("**", "*").replace("*", fill) for first in head for fill in _SAMPLES]
    return [name for name in dict.fromkeys(made) if rule.matches(name)]


def search_lists(scene: Scene) -> Iterable[Told]:
    """Find dns rules that refuse what pods ask first: the name with the cluster's domains added (ndots: 5)."""
    cascade = scene.settings.version >= (1, 19)
    for item in scene.items():
        namespace = str((item.document.data.get("metadata") or {}).get("namespace") or "default")
        for path, port_rule in item.port_rules():
            wanted = [one or {} for one in (port_rule.get("rules") or {}).get("dns") or ()]
            rules = name_rules(wanted, cascade=cascade)
            for index, name in enumerate(str(one.get("matchName") or "") for one in wanted):
                asked = f"{plain_name(name)}.{namespace}.svc.cluster.local"
                if (
                    name
                    and not name.endswith(".")
                    and name.count(".") < _NDOTS
                    and not any(rule.matches(asked) for rule in rules)
                ):
                    text = f"pods ask for {asked!r} first, which is refused; some resolvers give up there"
                    fix = "Helm: dnsProxy.dnsRejectResponseCode=nameError; or ask with a dot at the end."
                    yield told(item.document, "P-LINT-039", text, (*path, "rules", "dns", index), fix)
                    break


def inside(scene: Scene) -> Iterable[Told]:
    """Find names of the cluster's own Services in ``toFQDNs``: their addresses are pods behind a ClusterIP."""
    for item in scene.items():
        for index, raw in enumerate(item.raw.get("toFQDNs") or ()):
            name = plain_name(str((raw or {}).get("matchName") or (raw or {}).get("matchPattern") or ""))
            if name.endswith(_INSIDE):
                text = f"{name!r} is inside the cluster; toFQDNs never matches pods or Services"
                path = (*item.path, "toFQDNs", index)
                yield told(item.document, "P-LINT-044", text, path, "Use toEndpoints, or toServices.")


CHECKS = (cut, unlearned, search_lists, inside)
