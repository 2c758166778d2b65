"""Which value keys a chart knows.

Cilium's chart accepts any key (its schema has no ``additionalProperties: false``), so a misspelt one is silently
ignored. The key tree of each Cilium minor is kept as data in ``charts/cilium/keys/<minor>.txt``: one key per line,
children indented by two spaces, ``*`` after a key below which anything may stand (annotations, resources, lists of
objects …).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

_SIMILAR = 0.72
_INDENT = 2


@dataclass(frozen=True, slots=True)
class KeyNode:
    """One key of a chart's values.

    Attributes:
        open: anything may stand below it.
        children: the known keys below it.
    """

    open: bool = False
    children: Mapping[str, KeyNode] = field(default_factory=dict)

    def paths(self, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Yield every known path below this node, parents before children."""
        for name, child in self.children.items():
            path = (*prefix, name)
            yield path
            yield from child.paths(path)


def parse_keys(text: str) -> KeyNode:
    """Read the text form of a key tree; ``#`` starts a comment line."""
    root: dict[str, Any] = {}
    stack: list[dict[str, Any]] = [root]
    opened: set[int] = set()
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        depth = (len(line) - len(line.lstrip(" "))) // _INDENT
        name, _, mark = line.strip().partition(" ")
        node: dict[str, Any] = {}
        stack[depth][name] = node
        stack[depth + 1 :] = [node]
        if mark == "*":
            opened.add(id(node))
    return _freeze(root, opened)


def _freeze(node: Mapping[str, Any], opened: set[int]) -> KeyNode:
    return KeyNode(id(node) in opened, {name: _freeze(child, opened) for name, child in node.items()})


def format_keys(root: KeyNode) -> str:
    """Return the text form of a key tree, sorted; ``parse_keys`` reads it back."""
    return "".join(f"{line}\n" for line in _lines(root, 0))


def _lines(node: KeyNode, depth: int) -> Iterator[str]:
    for name, child in sorted(node.children.items()):
        yield " " * _INDENT * depth + name + (" *" if child.open else "")
        if not child.open:
            yield from _lines(child, depth + 1)


def keys_of(values: Mapping[str, Any]) -> KeyNode:
    """Return the key tree of a chart's own ``values.yaml``: empty maps, lists and nulls are open."""
    return KeyNode(children={str(name): _node_of(value) for name, value in values.items()})


def _node_of(value: object) -> KeyNode:
    if isinstance(value, Mapping) and value:
        return keys_of(value)
    return KeyNode(open=value is None or isinstance(value, (Mapping, list)))


def union(first: KeyNode, second: KeyNode) -> KeyNode:
    """Return the tree that knows what either knows."""
    names = {*first.children, *second.children}
    nothing = KeyNode()
    children = {name: union(first.children.get(name, nothing), second.children.get(name, nothing)) for name in names}
    return KeyNode(first.open or second.open, children)


def unknown_paths(values: Mapping[str, Any], known: KeyNode) -> Iterator[tuple[str, ...]]:
    """Yield the shortest paths of ``values`` that the chart does not know, in their order."""
    for raw, value in values.items():
        name = str(raw)
        child = known.children.get(name)
        if child is None:
            yield (name,)
        elif isinstance(value, Mapping) and not child.open:
            yield from ((name, *rest) for rest in unknown_paths(value, child))


def nearest_path(path: tuple[str, ...], known: KeyNode) -> tuple[str, ...] | None:
    """Return the known path that was most likely meant, or None.

    A similar key beside it wins, then the same key elsewhere in the tree, then the most similar path at all.
    """
    paths = list(known.paths())
    siblings = [other for other in paths if other[:-1] == path[:-1]]
    return (
        _most_similar(path, siblings)
        or _same_leaf(path, paths)
        or _most_similar(path, [other for other in paths if abs(len(other) - len(path)) <= 1])
    )


def _most_similar(path: tuple[str, ...], others: list[tuple[str, ...]]) -> tuple[str, ...] | None:
    if not others:
        return None
    score, best = max(((_similarity(path, other), other) for other in others), key=lambda pair: pair[0])
    return best if score >= _SIMILAR else None


def _similarity(path: tuple[str, ...], other: tuple[str, ...]) -> float:
    if path[:-1] == other[:-1]:
        path, other = path[-1:], other[-1:]
    return SequenceMatcher(None, ".".join(path).lower(), ".".join(other).lower()).ratio()


def _same_leaf(path: tuple[str, ...], paths: list[tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the shortest path with the same tail (``relay.enabled`` for ``hubble.relay.enabled``), if it is unique."""
    tail = path[-2:] if len(path) > 1 else path
    found = sorted((other for other in paths if other[-len(tail) :] == tail), key=len)
    if not found or (len(found) > 1 and len(found[0]) == len(found[1])):
        return None
    return found[0]
