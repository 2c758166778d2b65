"""Pulling from a real registry server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from pathlib import Path

import pytest

from installer.adapters.web.download import HttpDownloader
from installer.adapters.web.registry.client import RegistryClient
from installer.adapters.web.registry.credentials import Credential, config_path, of_registries, read_config
from installer.domain.errors import BeeyardError
from installer.domain.images.manifest import OCI_INDEX, OCI_MANIFEST, PulledImage
from installer.domain.images.mirrors import Mirrors, parse_mirrors
from installer.domain.images.reference import parse_reference
from tests.adapters.web.faulty_server import serving, status, truncate
from tests.support.registry import PASSWORD, USER, Registry, running

BOTH = ("amd64", "arm64")


async def pull(
    http: HttpDownloader,
    name: str,
    folder: Path,
    *,
    arches: tuple[str, ...] = BOTH,
    mirrors: Mirrors | None = None,
    credentials: dict[str, Credential] | None = None,
) -> PulledImage:
    client = RegistryClient(http, credentials or {})
    return await client.pull(parse_reference(name), arches, mirrors or Mirrors(), folder, lambda *_: None)


async def refusal(*arguments: object, **more: object) -> BeeyardError:
    with pytest.raises(BeeyardError) as caught:
        await pull(*arguments, **more)  # type: ignore[arg-type]  # passed on
    return caught.value


def proven(folder: Path, image: PulledImage) -> set[str]:
    """Check that every blob is there and is what its name says; return the names."""
    wanted = {blob.hex for blobs in image.blobs.values() for blob in blobs}
    for name in wanted:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == name
    return wanted


async def test_an_index_is_kept_byte_for_byte_with_what_two_architectures_need(
    registry: Registry, http: HttpDownloader, tmp_path: Path
) -> None:
    digest = registry.image("hive/comb", "v1", data=b"wax")
    image = await pull(http, f"{registry.host}/hive/comb:v1", tmp_path)
    assert (image.root.digest, image.root.media_type) == (digest, OCI_INDEX)
    assert image.created == "2026-03-04T05:06:07Z"
    assert set(image.blobs) == set(BOTH)
    assert {path.name for path in tmp_path.iterdir()} == proven(tmp_path, image)
    for arch in BOTH:
        # index, manifest, config, layer; attestation, its config, its statement
        assert len(image.blobs[arch]) == 7
        assert len(image.manifests[arch]) == 2
    assert image.manifests["amd64"] != image.manifests["arm64"]


async def test_only_the_architecture_asked_for_is_fetched(
    registry: Registry, http: HttpDownloader, tmp_path: Path
) -> None:
    digest = registry.image("hive/one", "v1", data=b"one")
    image = await pull(http, f"{registry.host}/hive/one@{digest}", tmp_path, arches=("arm64",))
    assert set(image.blobs) == {"arm64"}
    index = json.loads((tmp_path / digest.removeprefix("sha256:")).read_bytes())
    amd64 = index["manifests"][0]["digest"].removeprefix("sha256:")
    assert not (tmp_path / amd64).exists()


async def test_an_image_of_one_architecture(registry: Registry, http: HttpDownloader, tmp_path: Path) -> None:
    registry.single("hive/single", "amd64", "v1", data=b"single")
    image = await pull(http, f"{registry.host}/hive/single:v1", tmp_path, arches=("amd64",))
    assert image.root.media_type == OCI_MANIFEST
    assert image.manifests == {"amd64": (image.root,)}
    error = await refusal(http, f"{registry.host}/hive/single:v1", tmp_path, arches=BOTH)
    assert error.code == "E-REG-006"
    assert "arm64" in error.what


async def test_an_index_without_an_architecture(registry: Registry, http: HttpDownloader, tmp_path: Path) -> None:
    registry.image("hive/half", "v1", ("amd64",), data=b"half")
    error = await refusal(http, f"{registry.host}/hive/half:v1", tmp_path)
    assert (error.code, "it is there for amd64" in error.why) == ("E-REG-006", True)


async def test_no_such_image(registry: Registry, http: HttpDownloader, tmp_path: Path) -> None:
    error = await refusal(http, f"{registry.host}/hive/nothing:v1", tmp_path)
    assert error.code == "E-REG-002"


async def test_what_is_here_is_not_fetched_again(
    http: HttpDownloader, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running(tmp_path_factory.mktemp("gone")) as registry:
        digest = registry.image("hive/kept", "v1", data=b"kept")
        name = f"{registry.host}/hive/kept:v1@{digest}"
        first = await pull(http, name, tmp_path)
    assert await pull(http, name, tmp_path) == first  # the registry is gone by now


async def test_a_damaged_blob_in_the_cache_is_fetched_again(
    registry: Registry, http: HttpDownloader, tmp_path: Path
) -> None:
    registry.image("hive/mended", "v1", data=b"mended")
    image = await pull(http, f"{registry.host}/hive/mended:v1", tmp_path)
    for blob in image.blobs["amd64"]:
        (tmp_path / blob.hex).write_bytes(b"damaged")
    again = await pull(http, f"{registry.host}/hive/mended:v1", tmp_path)
    assert proven(tmp_path, again) == proven(tmp_path, image)


async def test_a_blob_that_the_registry_changed_is_refused(
    registry: Registry, http: HttpDownloader, tmp_path: Path
) -> None:
    registry.image("hive/forged", "v1", data=b"forged")
    good = await pull(http, f"{registry.host}/hive/forged:v1", tmp_path / "good")
    layer = max(good.blobs["amd64"], key=lambda blob: "layer" in blob.media_type)
    data = bytearray(registry.blob_file(layer.digest).read_bytes())
    data[10] ^= 1
    registry.blob_file(layer.digest).write_bytes(data)
    error = await refusal(http, f"{registry.host}/hive/forged:v1", tmp_path / "bad")
    assert error.code == "E-WEB-004"
    assert not (tmp_path / "bad" / layer.hex).exists()


async def test_a_manifest_that_the_registry_changed_is_refused(http: HttpDownloader, tmp_path: Path) -> None:
    asked = f"sha256:{'0' * 64}"
    with serving() as site:
        site.put(f"/v2/hive/x/manifests/{asked}", json.dumps({"schemaVersion": 2}).encode())
        error = await refusal(http, f"{site.url.removeprefix('http://')}/hive/x@{asked}", tmp_path)
    assert error.code == "E-REG-004"
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "manifest",
    [
        b"<html>log in</html>",
        b'{"schemaVersion": 1}',
        b'{"schemaVersion": 2, "mediaType": "application/x-something"}',
        json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {}, "layers": []}).encode(),
        json.dumps(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"digest": "md5:1", "size": 1}]}
        ).encode(),
        json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{}] * 1001}).encode(),
        json.dumps(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"digest": f"sha256:{'1' * 64}", "size": -1}]}
        ).encode(),
    ],
)
async def test_manifests_that_make_no_sense(manifest: bytes, http: HttpDownloader, tmp_path: Path) -> None:
    with serving() as site:
        site.put("/v2/hive/x/manifests/v1", manifest)
        error = await refusal(http, f"{site.url.removeprefix('http://')}/hive/x:v1", tmp_path)
    assert error.code == "E-REG-005"


async def test_a_huge_manifest_is_not_read_to_its_end(http: HttpDownloader, tmp_path: Path) -> None:
    with serving() as site:
        site.put("/v2/hive/x/manifests/v1", b" " * (5 * 1024 * 1024))
        error = await refusal(http, f"{site.url.removeprefix('http://')}/hive/x:v1", tmp_path)
    assert error.code == "E-WEB-010"


class Canned:
    """An image served by a server that misbehaves on demand."""

    def __init__(self, site: object, size: int = 3_000_000):
        self.site = site
        self.layer = os.urandom(size)
        self.config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()

        def part(data: bytes) -> dict[str, object]:
            return {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}

        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": part(self.config),
            "layers": [part(self.layer)],
        }
        self.blob = f"/v2/hive/x/blobs/{part(self.layer)['digest']}"
        site.put("/v2/hive/x/manifests/v1", json.dumps(manifest).encode())  # type: ignore[attr-defined]  # a Site
        site.put(f"/v2/hive/x/blobs/{part(self.config)['digest']}", self.config)  # type: ignore[attr-defined]  # a Site
        site.put(self.blob, self.layer)  # type: ignore[attr-defined]  # a Site
        self.name = f"{site.url.removeprefix('http://')}/hive/x:v1"  # type: ignore[attr-defined]  # a Site


async def test_a_connection_that_is_cut_is_taken_up_where_it_broke(http: HttpDownloader, tmp_path: Path) -> None:
    with serving() as site:
        image = Canned(site)
        site.faults[image.blob].extend([truncate(1_200_000), truncate(900_000)])
        await pull(http, image.name, tmp_path, arches=("amd64",))
        ranges = [one for one in site.ranges() if one]
    assert ranges[0] == "bytes=1200000-"
    assert (tmp_path / hashlib.sha256(image.layer).hexdigest()).read_bytes() == image.layer


async def test_a_run_that_gave_up_is_continued_by_the_next(http: HttpDownloader, tmp_path: Path) -> None:
    with serving() as site:
        image = Canned(site)
        site.faults[image.blob].extend([truncate(1_500_000), *[status(503)] * 6])
        error = await refusal(http, image.name, tmp_path, arches=("amd64",))
        assert error.code == "E-WEB-008"
        site.faults[image.blob].clear()
        told = len(site.ranges())
        await pull(http, image.name, tmp_path, arches=("amd64",))
        assert [one for one in site.ranges()[told:] if one] == ["bytes=1500000-"]


async def test_images_that_share_a_manifest_are_pulled_at_once(http: HttpDownloader, tmp_path: Path) -> None:
    with serving() as site:
        image = Canned(site, size=1_000)
        client, ref = RegistryClient(http, {}), parse_reference(image.name)
        pulls = (client.pull(ref, ("amd64",), Mirrors(), tmp_path, lambda *_: None) for _ in range(24))
        pulled = await asyncio.gather(*pulls)
    assert len({one.root for one in pulled}) == 1
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == []


async def test_a_rate_limit_is_waited_for(tmp_path: Path) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with HttpDownloader(environment={}, pause=pause, chance=lambda: 0.0) as http:
        with serving() as site:
            image = Canned(site, 1000)
            site.faults["/v2/hive/x/manifests/v1"].append(status(429, Retry_After="7"))
            await pull(http, image.name, tmp_path, arches=("amd64",))
    assert pauses == [7.0]


async def test_a_password_is_asked_for_and_given(locked: Registry, http: HttpDownloader, tmp_path: Path) -> None:
    locked.image("hive/secret", "v1", data=b"honey")
    right = {locked.host: Credential(USER, PASSWORD)}
    image = await pull(http, f"{locked.host}/hive/secret:v1", tmp_path, credentials=right)
    assert proven(tmp_path, image)


@pytest.mark.parametrize("given", [None, Credential(USER, "wrong-word")])
async def test_without_the_right_password_the_registry_refuses(
    given: Credential | None, locked: Registry, http: HttpDownloader, tmp_path: Path
) -> None:
    credentials = {locked.host: given} if given else {}
    error = await refusal(http, f"{locked.host}/hive/secret:v1", tmp_path, credentials=credentials)
    assert error.code == "E-REG-003"
    told = f"{error.what}{error.why}{error.fix}{error.details}{given!r}"
    assert "wrong-word" not in told
    assert "docker login" in error.fix


async def test_a_mirror_is_asked_first_and_the_next_one_where_it_fails(
    registry: Registry, http: HttpDownloader, tmp_path: Path
) -> None:
    digest = registry.image("proxy/cilium/cilium", "v1", data=b"agent")
    registries = {
        "mirrors": {
            "quay.io": {
                "endpoint": ["http://127.0.0.1:9", f"http://{registry.host}"],
                "rewrite": {"^(.*)$": "proxy/$1"},
            }
        }
    }
    image = await pull(http, "quay.io/cilium/cilium:v1", tmp_path, mirrors=parse_mirrors(registries))
    assert image.root.digest == digest
    assert image.ref == "quay.io/cilium/cilium:v1"


async def test_all_that_failed_is_told(http: HttpDownloader, tmp_path: Path) -> None:
    mirrors = parse_mirrors(None, ["127.0.0.1:9=http://127.0.0.1:10"])
    error = await refusal(http, "127.0.0.1:9/cilium/cilium:v1", tmp_path, mirrors=mirrors)
    assert error.code == "E-WEB-001"
    assert all(host in error.why for host in ("127.0.0.1:9", "127.0.0.1:10"))


async def test_credentials_never_follow_a_redirect_to_another_host(http: HttpDownloader, tmp_path: Path) -> None:
    with serving() as site, serving() as storage:
        image = Canned(site, 1000)
        site.faults["/v2/hive/x/manifests/v1"].append(status(401, WWW_Authenticate='Basic realm="hive"'))
        target = storage.put("/signed/blob", image.layer)
        site.faults[image.blob].append(status(307, Location=target))
        host = site.url.removeprefix("http://")
        await pull(http, image.name, tmp_path, arches=("amd64",), credentials={host: Credential(USER, PASSWORD)})
        assert [request for request in site.requests if "authorization" in request.headers]
        (seen,) = storage.requests
    assert "authorization" not in seen.headers


def test_credentials_are_read_from_dockers_config(tmp_path: Path) -> None:
    auth = base64.b64encode(f"{USER}:pass:word".encode()).decode()
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "auths": {
                    "https://index.docker.io/v1/": {"auth": auth},
                    "quay.io": {"username": "u", "password": "p"},
                    "token.example:5000": {"auth": base64.b64encode(b"00000000-0000:").decode(), "identitytoken": "t"},
                    "helper.example": {},
                }
            }
        )
    )
    found = read_config(path)
    assert found["index.docker.io"] == Credential(USER, "pass:word")
    assert found["quay.io"] == Credential("u", "p")
    assert found["token.example:5000"].identity_token == "t"
    assert "helper.example" not in found
    assert "pass:word" not in repr(found)
    assert config_path({"DOCKER_CONFIG": str(tmp_path)}) == path
    assert config_path({"HOME": "/home/x"}) == Path("/home/x/.docker/config.json")


def test_credentials_are_read_from_k3s_registries() -> None:
    registries = {"configs": {"mirror.example:5000": {"auth": {"username": "u", "password": "p"}}, "x": {"tls": {}}}}
    assert of_registries(registries) == {"mirror.example:5000": Credential("u", "p")}


@pytest.mark.parametrize("content", ["not JSON", '{"auths": {"x": {"auth": "%%%"}}}', "[]"])
def test_a_config_that_is_none(content: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(BeeyardError) as caught:
        read_config(path)
    assert (caught.value.code, caught.value.exit_code) == ("E-REG-007", 2)


def test_a_config_that_is_not_there(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none") == {}
    with pytest.raises(BeeyardError):
        read_config(tmp_path / "none", required=True)
