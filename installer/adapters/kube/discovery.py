"""Which resource an object's kind is served as."""

from __future__ import annotations

from installer.adapters.kube.errors import AbsentError, Target, absent
from installer.adapters.kube.paths import group_path
from installer.adapters.kube.transport import Request, Transport
from installer.ports.cluster import Resource


class Discovery:
    """Asks the server once per API group and remembers the answer."""

    def __init__(self, transport: Transport):
        self._transport = transport
        self._kinds: dict[str, dict[str, Resource]] = {}

    async def resource(self, api: str, kind: str) -> Resource:
        """Return the resource of a kind.

        Raises:
            BeeyardError: ``E-KUBE-004`` the server does not know the kind (its CRD is missing).
        """
        if kind not in self._kinds.get(api, {}):
            self._kinds[api] = await self._ask(api)
        try:
            return self._kinds[api][kind]
        except KeyError:
            raise absent(Target("find", f"kind {kind} of {api}"), "the server does not serve it") from None

    async def _ask(self, api: str) -> dict[str, Resource]:
        try:
            answer = await self._transport.json(Request(Target("get", f"resources of {api}"), group_path(api)))
        except AbsentError:
            return {}
        return {
            item["kind"]: Resource(api, item["name"], bool(item["namespaced"]))
            for item in answer.get("resources") or []
            if "/" not in item["name"]
        }
