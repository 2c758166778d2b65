"""Whether a pod is of its workload's present template.

A pod of an older one, such as the last run's with a wrong image, is on its way out: its faults are told and end
no wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from installer.domain.readiness_rules.facts import Object

_REWRITTEN = {"affinity", "imagePullPolicy", "creationTimestamp", "serviceAccount"}
"""What controllers and admission change on the way from template to pod."""


def is_current(pod: Object, workload: Object) -> bool:
    """Whether everything in the workload's template is in the pod (which may have more)."""
    template = workload.get("spec", {}).get("template") or {}
    return _within(template.get("metadata") or {}, pod["metadata"]) and _within(
        template.get("spec") or {}, pod.get("spec") or {}
    )


def _within(part: Any, whole: Any) -> bool:
    if part in ({}, []):
        return True
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            _within(value, whole.get(key)) for key, value in part.items() if value is not None and key not in _REWRITTEN
        )
    if isinstance(part, list):
        return _all_within(part, whole if isinstance(whole, list) else [])
    return bool(part == whole) or (not part and not whole)


def _all_within(part: Sequence[Any], whole: Sequence[Any]) -> bool:
    """Named items must be within their namesakes, others within any item; plain lists must be equal."""
    if not all(isinstance(item, Mapping) for item in part):
        return list(part) == list(whole)
    for item in part:
        twins = [other for other in whole if "name" not in item or other.get("name") == item["name"]]
        if not any(_within(item, twin) for twin in twins):
            return False
    return True
