"""Patterns of DNS names and node names, as servers read them: ``*`` is the only special sign."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from installer.domain.flows.filter_error import FilterError

_ANY_NAME: Final = r"(?:[-0-9_a-z]+(?:\.[-0-9_a-z]+)*)"
_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.*")
_DEFAULT_CLUSTER: Final = "default"


def compile_fqdns(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of a DNS name against any of the patterns.

    Raises:
        FilterError: E-FILTER-004.
    """
    return _whole([_name(pattern) for pattern in patterns])


def compile_node_names(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of a node's name, ``node`` or ``cluster/node``, against any of ``[cluster/]node``.

    Raises:
        FilterError: E-FILTER-004.
    """
    fits = _whole([_node(pattern) for pattern in patterns])
    return lambda name: fits(name if "/" in name else f"{_DEFAULT_CLUSTER}/{name}")


def _whole(alternatives: list[str]) -> Callable[[str], bool]:
    match = re.compile(rf"(?:{'|'.join(alternatives)})\Z").match

    @lru_cache(maxsize=8192)
    def fits(name: str) -> bool:
        return match(name) is not None

    return fits


def _node(pattern: str) -> str:
    cluster, slash, node = pattern.rpartition("/")
    if not pattern:
        raise _refused("empty pattern")
    if "/" in cluster:
        raise _refused("too many slashes in pattern")
    return f"{_name(cluster) if slash and cluster else _ANY_NAME}/{_name(node) if node else _ANY_NAME}"


def _name(pattern: str) -> str:
    text = pattern.strip().removesuffix(".").lower()
    if not text:
        raise _refused("empty pattern")
    if text.endswith("."):
        raise _refused("multiple trailing dots in pattern")
    for char in text:
        if char not in _CHARS:
            raise _refused(f"'{char}': invalid rune in pattern")
    return re.sub(r"\*+", "[-.0-9a-z]*", text.replace(".", r"\."))


def _refused(what: str) -> FilterError:
    return FilterError(what, fix="letters, digits, '-', '_', '.' and '*' make a pattern", code="E-FILTER-004")
