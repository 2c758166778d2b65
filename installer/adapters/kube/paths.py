"""URL paths of the Kubernetes API."""

from __future__ import annotations

from urllib.parse import quote

from installer.ports.cluster import Resource


def group_path(api: str) -> str:
    """Return ``/api/v1`` or ``/apis/GROUP/VERSION``."""
    return f"/apis/{api}" if "/" in api else f"/api/{api}"


def resource_path(resource: Resource, namespace: str | None = None, name: str = "", sub: str = "") -> str:
    """Return the path of a collection, an object or a subresource."""
    parts = [group_path(resource.api)]
    if resource.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    parts += [quote(name, safe="")] if name else []
    parts += [sub] if sub else []
    return "/".join(parts)


def resource_name(resource: Resource, sub: str = "") -> str:
    """Return the name RBAC and people use: ``pods``, ``deployments.apps``, ``pods/exec``."""
    group = resource.api.rpartition("/")[0]
    return resource.plural + (f".{group}" if group else "") + (f"/{sub}" if sub else "")
