"""Listing a collection, as the client and the watch both do it."""

from __future__ import annotations

from dataclasses import dataclass

from installer.adapters.kube.errors import GoneError, Target
from installer.adapters.kube.paths import resource_name, resource_path
from installer.adapters.kube.transport import Request, Transport
from installer.ports.cluster import Object, Resource

PAGE = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """What to list or watch.

    Attributes:
        resource: the kind of object.
        namespace: one namespace, or None for all.
        labels: label selector.
        fields: field selector.
    """

    resource: Resource
    namespace: str | None = None
    labels: str = ""
    fields: str = ""

    def request(self, verb: str, *query: tuple[str, str]) -> Request:
        """Return the request to ``list`` or ``watch`` this selection."""
        selectors = [("labelSelector", self.labels), ("fieldSelector", self.fields)]
        return Request(
            Target(verb, resource_name(self.resource), self.namespace or ""),
            resource_path(self.resource, self.namespace),
            query=[*((key, value) for key, value in selectors if value), *query],
        )


async def list_all(transport: Transport, selection: Selection) -> tuple[list[Object], str]:
    """Return all objects, page by page, and the resource version they have in common.

    Raises:
        AbsentError: the resource type does not exist.
        BeeyardError: see ``installer.adapters.kube``.
    """
    try:
        return await _list_pages(transport, selection)
    except GoneError:  # the snapshot behind the pages was compacted away
        return _items(await transport.json(selection.request("list")))


async def _list_pages(transport: Transport, selection: Selection) -> tuple[list[Object], str]:
    found: list[Object] = []
    more = ""
    while True:
        query = [("limit", str(PAGE)), *([("continue", more)] if more else [])]
        page = await transport.json(selection.request("list", *query))
        items, version = _items(page)
        found += items
        more = page.get("metadata", {}).get("continue") or ""
        if not more:
            return found, version


def _items(page: Object) -> tuple[list[Object], str]:
    """Return a page's objects, each with the apiVersion and kind that lists leave out."""
    api, kind = page.get("apiVersion", ""), str(page.get("kind", "")).removesuffix("List")
    items = [{"apiVersion": api, "kind": kind, **item} for item in page.get("items") or []]
    return items, page.get("metadata", {}).get("resourceVersion", "")
