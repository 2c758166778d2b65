"""Pushing to a real registry server."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self

import pytest

from installer.adapters.web.download import HttpDownloader
from installer.adapters.web.registry.auth import Authorizer
from installer.adapters.web.registry.credentials import Credential
from installer.adapters.web.registry.push import Pusher
from installer.domain.errors import BeeyardError
from installer.domain.images.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor
from installer.domain.images.mirrors import parse_target
from installer.ports.registry import PushedManifest
from tests.adapters.web.faulty_server import empty, serving
from tests.support.registry import PASSWORD, USER, Registry


class Blob:
    """Some bytes, and what reads them."""

    def __init__(self, data: bytes):
        self.data = data
        self.descriptor = Descriptor(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), "")
        self.sent = 0

    async def read(self, descriptor: Descriptor, offset: int, length: int) -> AsyncIterator[bytes]:
        assert descriptor == self.descriptor
        for start in range(offset, offset + length, 65536):
            piece = self.data[start : min(start + 65536, offset + length)]
            self.sent += len(piece)
            yield piece


def pusher(http: HttpDownloader, credentials: dict[str, Credential] | None = None) -> Pusher:
    return Pusher(http, Authorizer(http, credentials or {}), chunk=1_000_000)


def quiet(*_: Any) -> None:
    pass


@pytest.mark.parametrize("size", [0, 10, 1_000_000, 2_500_000])
async def test_a_blob_is_sent_whole_or_in_chunks_and_once(size: int, registry: Registry, http: HttpDownloader) -> None:
    blob, target, told = Blob(os.urandom(size)), parse_target(registry.host), []
    ours = pusher(http)
    assert await ours.push_blob(target, "hive/x", blob.descriptor, blob.read, lambda *row: told.append(row))
    assert registry.call("GET", f"hive/x/blobs/{blob.descriptor.digest}")[2] == blob.data
    assert told[-1] == (blob.descriptor.digest, size, size)
    assert not await ours.push_blob(target, "hive/x", blob.descriptor, blob.read, quiet)
    assert blob.sent == size


async def test_a_manifest_gets_its_tag_below_the_prefix(registry: Registry, http: HttpDownloader) -> None:
    target, ours = parse_target(f"{registry.host}/mirror/of"), pusher(http)
    config = Blob(json.dumps({"architecture": "amd64", "os": "linux"}).encode())
    await ours.push_blob(target, "cilium/cilium", config.descriptor, config.read, quiet)
    data = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.descriptor.to_dict(), "layers": []}
    ).encode()
    root = Descriptor(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), OCI_MANIFEST)
    await ours.push_manifest(target, "cilium/cilium", PushedManifest(data, root, "v1"))
    assert registry.get("mirror/of/cilium/cilium", "v1")[0] == root.digest


async def test_an_index_of_things_that_are_not_there_is_refused_with_the_registrys_words(
    registry: Registry, http: HttpDownloader
) -> None:
    child = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'1' * 64}", "size": 5, "platform": {"os": "linux"}}
    data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}).encode()
    root = Descriptor(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), OCI_INDEX)
    with pytest.raises(BeeyardError) as caught:
        await pusher(http).push_manifest(parse_target(registry.host), "hive/x", PushedManifest(data, root, "v1"))
    assert caught.value.code == "E-REG-008"
    assert "MANIFEST_BLOB_UNKNOWN" in caught.value.why


async def test_pushing_needs_the_password(locked: Registry, http: HttpDownloader) -> None:
    blob, target = Blob(b"honey"), parse_target(locked.host)
    with pytest.raises(BeeyardError) as caught:
        await pusher(http).push_blob(target, "hive/x", blob.descriptor, blob.read, quiet)
    assert caught.value.code == "E-REG-003"
    right = {locked.host: Credential(USER, PASSWORD)}
    assert await pusher(http, right).push_blob(target, "hive/x", blob.descriptor, blob.read, quiet)


class Cutting:
    """Forwards connections to a server; the first ones are cut after so many bytes from the client."""

    def __init__(self, target: str, *limits: int):
        self._target = target
        self._limits = list(limits)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                limit = self._limits.pop(0) if self._limits else 1 << 60
                threading.Thread(target=self._forward, args=(client, limit)).start()

    def _forward(self, client: socket.socket, limit: int) -> None:
        host, port = self._target.rsplit(":", 1)
        with client, socket.create_connection((host, int(port))) as server:
            back = threading.Thread(target=_pump, args=(server, client, 1 << 60))
            back.start()
            _pump(client, server, limit)
            back.join()


def _pump(source: socket.socket, sink: socket.socket, limit: int) -> None:
    with suppress(OSError):
        while limit > 0 and (data := source.recv(65536)):
            sink.sendall(data[:limit])
            limit -= len(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


async def test_a_connection_that_is_cut_is_made_good(registry: Registry) -> None:
    async def pause(_seconds: float) -> None:
        pass

    blob = Blob(os.urandom(5_000_000))
    with Cutting(registry.host, 2_300_000, 1_800_000) as between:
        async with HttpDownloader(environment={}, pause=pause, chance=lambda: 0.0) as http:
            await pusher(http).push_blob(parse_target(between.host), "hive/cut", blob.descriptor, blob.read, quiet)
    assert registry.call("GET", f"hive/cut/blobs/{blob.descriptor.digest}")[2] == blob.data


async def test_an_upload_goes_on_where_the_registry_says_it_is(http: HttpDownloader) -> None:
    """The half of the protocol that docker-registry does not play: it begins such uploads anew."""
    blob = Blob(os.urandom(2_000_000))
    with serving() as site:
        site.faults["/v2/hive/x/blobs/uploads/"].append(empty(202, location="/up?state=1"))
        site.faults["/up"].extend(
            [
                empty(202, location="/up?state=2"),
                empty(503),
                empty(204, range="0-1499999", location="/up?state=3"),
                empty(202, location="/up?state=4"),
                empty(201),
            ]
        )
        assert await pusher(http).push_blob(parse_target(site.url), "hive/x", blob.descriptor, blob.read, quiet)
        seen = [one for one in site.requests if one.path.startswith("/up")]
    uploads = [(one.method, one.headers.get("content-range", "")) for one in seen]
    assert uploads == [
        ("PATCH", "0-999999"),
        ("PATCH", "1000000-1999999"),
        ("GET", ""),
        ("PATCH", "1500000-1999999"),
        ("PUT", ""),
    ]


async def test_a_registry_may_not_send_uploads_elsewhere(http: HttpDownloader) -> None:
    blob = Blob(b"honey")
    with serving() as site:
        site.faults["/v2/hive/x/blobs/uploads/"].append(empty(202, location="http://127.0.0.9:1/up"))
        with pytest.raises(BeeyardError) as caught:
            await pusher(http).push_blob(parse_target(site.url), "hive/x", blob.descriptor, blob.read, quiet)
    assert caught.value.code == "E-REG-008"
    assert blob.sent == 0
