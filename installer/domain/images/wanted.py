"""Which images a rendered chart runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from installer.domain.images.reference import ImageRef, parse_reference

_LISTS = ("containers", "initContainers", "ephemeralContainers")
_DEEPEST = 40


def images_of(documents: Iterable[Mapping[str, Any]]) -> tuple[ImageRef, ...]:
    """Return every image that a container of the documents runs, sorted, each once.

    Raises:
        UsageError: ``E-REG-001`` one of them has no usable name.
    """
    return tuple(sorted({parse_reference(image) for document in documents for image in _walk(document, 0)}))


def parse_list(text: str) -> tuple[ImageRef, ...]:
    """Read k3s' list of images: one reference a line.

    Raises:
        UsageError: ``E-REG-001``.
    """
    lines = (line.strip() for line in text.splitlines())
    return tuple(sorted({parse_reference(line) for line in lines if line and not line.startswith("#")}))


def _walk(node: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in _LISTS and isinstance(value, list):
                yield from (str(item["image"]) for item in value if isinstance(item, Mapping) and item.get("image"))
            yield from _walk(value, depth + 1)
    elif isinstance(node, list):
        for item in node:
            yield from _walk(item, depth + 1)
