"""How namespace flags change the pods and services of a filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any


def add_namespaces(values: MutableMapping[str, tuple[Any, ...]], side: str, namespaces: Sequence[str]) -> None:
    """Give the side's pods and services without a namespace these; without any, ask for all pods of the namespaces."""
    if not namespaces:
        return
    pods, services = f"{side}_pod", f"{side}_service"
    if not values.get(pods) and not values.get(services):
        values[pods] = ("",)
    for field in (pods, services):
        if names := values.get(field):
            values[field] = tuple(full for name in names for full in _full_names(name, namespaces))


def _full_names(name: str, namespaces: Sequence[str]) -> list[str]:
    return [name] if "/" in name else [f"{namespace}/{name}" for namespace in namespaces]


def namespace_conflicts(
    namespaces: Mapping[str, Sequence[str]], values: Mapping[str, tuple[Any, ...]]
) -> Iterator[str]:
    """Yield what to say about names that stand in another namespace than the flags ask for."""
    checks = (
        ("", "source_pod"),
        ("", "source_service"),
        ("", "destination_pod"),
        ("", "destination_service"),
        ("from-", "source_pod"),
        ("from-", "source_service"),
        ("to-", "destination_pod"),
        ("to-", "destination_service"),
    )
    for flag, field in checks:
        fault = _conflict(namespaces[flag], values.get(field, ()))
        if fault:
            yield fault


def _conflict(namespaces: Sequence[str], names: Sequence[str]) -> str:
    for namespace in namespaces:
        for name in names:
            if _namespace(name) not in ("", namespace):
                return f'namespace conflict: "{namespace}" does not contain "{name}"'
    return ""


def inconsistent_service(pods: Sequence[str], services: Sequence[str]) -> Iterator[str]:
    """Yield what to say about a pod and a service of one side in different namespaces."""
    for pod in pods:
        namespace = _namespace(pod)
        for service in services:
            if namespace and _namespace(service) != namespace:
                yield f'namespace of service "{service}" conflict with pod "{namespace}"'
                return


def _namespace(name: str) -> str:
    return name.split("/")[0] if "/" in name else ""
