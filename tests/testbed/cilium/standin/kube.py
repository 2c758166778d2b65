"""A small Kubernetes client on the standard library: requests, and watches that survive API restarts."""

import http.client
import json
import os
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import log

Object = dict[str, Any]
SECRETS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_WATCH_SECONDS, _SILENCE = 300, 330.0


class ApiError(Exception):
    """The API answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status


class Client:
    """Talks to the API of the cluster this pod runs in; one connection per call, so no stale ones."""

    def __init__(self, host: str = "", port: str = "") -> None:
        self.host = host or os.environ.get("KUBERNETES_SERVICE_HOST", "")
        self.port = int(port or os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        self._tls = ssl.create_default_context(cafile=str(SECRETS / "ca.crt"))

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self._tls)

    def _send(
        self, connection: http.client.HTTPSConnection, method: str, path: str, body: object, kind: str
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {(SECRETS / 'token').read_text().strip()}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = kind
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        if response.status >= 300:
            text = response.read().decode(errors="replace")
            try:
                text = json.loads(text)["message"]
            except (ValueError, KeyError, TypeError):
                text = text[:200]
            raise ApiError(response.status, text)
        return response

    def request(
        self, method: str, path: str, body: object = None, kind: str = "application/json", timeout: float = 10
    ) -> Object:
        """One request; raises ApiError or OSError."""
        connection = self._connect(timeout)
        try:
            answer = self._send(connection, method, path, body, kind).read()
            return json.loads(answer) if answer.startswith(b"{") else {"text": answer.decode()}
        except http.client.HTTPException as err:
            raise ConnectionError(str(err) or type(err).__name__) from err
        finally:
            connection.close()

    def get(self, path: str) -> Object:
        """GET."""
        return self.request("GET", path)

    def patch(self, path: str, body: object) -> Object:
        """JSON merge patch."""
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def apply(self, collection: str, name: str, body: Object) -> Object:
        """Create the object, or merge it into the one that is there."""
        try:
            return self.request("POST", collection, body)
        except ApiError as err:
            if err.status != 409:
                raise
            return self.patch(f"{collection}/{name}", body)

    def delete(self, path: str) -> None:
        """DELETE; a missing object is fine."""
        try:
            self.request("DELETE", path)
        except ApiError as err:
            if err.status != 404:
                raise

    def watch(self, path: str, version: str) -> Iterator[Object]:
        """Events from `version` on until the server ends the stream."""
        joiner = "&" if "?" in path else "?"
        query = {
            "watch": "1",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
            "allowWatchBookmarks": "true",
        }
        connection = self._connect(_SILENCE)
        try:
            response = self._send(connection, "GET", f"{path}{joiner}{urllib.parse.urlencode(query)}", None, "")
            while line := response.readline():
                yield json.loads(line)
        except http.client.HTTPException as err:
            raise ConnectionError(str(err) or type(err).__name__) from err
        finally:
            connection.close()


class Reflector(threading.Thread):
    """Keeps a copy of one collection; calls back after each change and after the first complete list."""

    def __init__(self, client: Client, path: str, changed: Callable[[], None]) -> None:
        super().__init__(daemon=True, name=f"watch {path}")
        self.client, self.path, self._changed = client, path, changed
        self.synced = threading.Event()
        self.connected = False
        self.failures = 0
        self._objects: dict[str, Object] = {}
        self._guard = threading.Lock()
        self._retry = threading.Event()

    def objects(self) -> list[Object]:
        """A snapshot."""
        with self._guard:
            return list(self._objects.values())

    def poke(self) -> None:
        """Retry at once, if waiting for a retry."""
        self._retry.set()

    def run(self) -> None:
        """List and watch for ever; back off between failures."""
        while True:
            try:
                self._follow(self._list())
                self.failures = 0
            except (ApiError, OSError, ValueError) as err:
                self._failed(err)

    def _failed(self, err: Exception) -> None:
        self.connected = False
        self.failures += 1
        if self.failures in (1, 20):
            log.warning("Watch failed, retrying", path=self.path, error=err)
        self._changed()
        self._retry.wait(min(0.2 * self.failures, 2.0))
        self._retry.clear()

    def _list(self) -> str:
        answer = self.client.get(self.path)
        with self._guard:
            self._objects = {_key(item): item for item in answer.get("items") or []}
        self.connected = True
        self.synced.set()
        self._changed()
        return str(answer["metadata"]["resourceVersion"])

    def _follow(self, version: str) -> None:
        while True:
            for event in self.client.watch(self.path, version):
                item = event["object"]
                if event["type"] == "ERROR":
                    if item.get("code") == 410:
                        return
                    raise ApiError(int(item.get("code") or 500), str(item.get("message")))
                version = item["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._store(event["type"], item)
            self.failures = 0

    def _store(self, kind: str, item: Object) -> None:
        with self._guard:
            if kind == "DELETED":
                self._objects.pop(_key(item), None)
            else:
                self._objects[_key(item)] = item
        self._changed()


def _key(item: Object) -> str:
    meta = item["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"
