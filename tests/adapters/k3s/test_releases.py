"""k3s' releases, asked of a real HTTP server through the real downloader."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from installer.adapters.k3s.releases import K3sReleases
from installer.adapters.web.download import HttpDownloader
from installer.adapters.web.retrying import Backoff
from installer.domain.errors import BeeyardError, UsageError
from installer.domain.k3s_release import machine_arch, parse_version

LIST = "/v1-release/channels"
CHANNELS = {
    "type": "collection",
    "data": [
        {"id": "stable", "type": "channel", "name": "stable", "latest": "v1.36.4+k3s1", "links": {}},
        {"id": "latest", "type": "channel", "name": "latest", "latest": "v1.37.0+k3s1"},
        {"id": "v1.36", "type": "channel", "name": "v1.36", "latest": "v1.36.4+k3s1"},
        {"id": "nothing", "type": "channel", "name": "nothing"},
        {"id": "evil", "type": "channel", "name": "evil", "latest": "../../v1"},
    ],
}
SUMS = f"{'a' * 64}  k3s-arm64\n{'b' * 64}  k3s-airgap-images-arm64.tar.gz\n"


class Handler(BaseHTTPRequestHandler):
    """Serves ``pages``: path to (status, body or location)."""

    def __init__(self, pages: dict[str, tuple[int, str]], *args: Any):
        self.pages = pages
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        pass

    def do_GET(self) -> None:
        status, content = self.pages.get(self.path, (404, ""))
        self.send_response(status)
        if status in (301, 302):
            self.send_header("location", content)
        self.end_headers()
        self.wfile.write(content.encode())


@pytest.fixture
def pages() -> dict[str, tuple[int, str]]:
    return {LIST: (200, json.dumps(CHANNELS))}


@pytest.fixture
def base(pages: dict[str, tuple[int, str]]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, pages)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def releases(base: str) -> AsyncIterator[K3sReleases]:
    async with HttpDownloader(environment={}, backoff=Backoff(tries=1)) as downloader:
        yield K3sReleases(downloader, channels=base, releases=f"{base}/download/")


@pytest.mark.parametrize(("channel", "version"), [("stable", "v1.36.4+k3s1"), ("latest", "v1.37.0+k3s1")])
async def test_a_channel_is_looked_up(releases: K3sReleases, channel: str, version: str) -> None:
    assert str(await releases.resolve(channel)) == version


async def test_a_pinned_version_asks_nobody(releases: K3sReleases, pages: dict[str, tuple[int, str]]) -> None:
    pages.clear()
    assert str(await releases.resolve("1.35.5+k3s1")) == "v1.35.5+k3s1"


async def test_an_unknown_channel_names_the_nearest(releases: K3sReleases) -> None:
    with pytest.raises(UsageError) as caught:
        await releases.resolve("stabel")
    assert caught.value.code == "E-K3S-003"
    assert "stable" in caught.value.fix


@pytest.mark.parametrize(
    "answer", [(404, ""), (500, ""), (200, "<html>"), (200, '{"data": [1]}'), (200, '{"data": {}}')]
)
async def test_without_a_list_the_redirect_tells(
    releases: K3sReleases, pages: dict[str, tuple[int, str]], answer: tuple[int, str]
) -> None:
    pages[LIST] = answer
    pages[f"{LIST}/stable"] = (302, "https://github.com/k3s-io/k3s/releases/tag/v1.36.4%2Bk3s1")
    if answer == (200, '{"data": {}}'):
        with pytest.raises(UsageError):
            await releases.resolve("stable")
    else:
        assert str(await releases.resolve("stable")) == "v1.36.4+k3s1"


async def test_a_channel_without_a_version_is_asked_by_redirect(
    releases: K3sReleases, pages: dict[str, tuple[int, str]]
) -> None:
    pages[f"{LIST}/nothing"] = (302, "/tag/v1.30.0+k3s2")
    assert str(await releases.resolve("nothing")) == "v1.30.0+k3s2"


@pytest.mark.parametrize("redirect", [(200, "x"), (302, "/login"), (302, "/tag/v1.2.3%2Bk3s1%2F..")])
async def test_an_answer_without_sense(
    releases: K3sReleases, pages: dict[str, tuple[int, str]], redirect: tuple[int, str]
) -> None:
    pages[f"{LIST}/nothing"] = redirect
    for channel in ("nothing", "evil"):
        with pytest.raises(BeeyardError) as caught:
            await releases.resolve(channel)
        assert caught.value.code == "E-K3S-005"
        assert "pin a version" in caught.value.fix


async def test_neither_list_nor_redirect(releases: K3sReleases, pages: dict[str, tuple[int, str]]) -> None:
    pages.clear()
    with pytest.raises(BeeyardError) as caught:
        await releases.resolve("stable")
    assert caught.value.code == "E-WEB-002"


async def test_a_release_with_its_checksums(
    releases: K3sReleases, pages: dict[str, tuple[int, str]], base: str
) -> None:
    pages["/download/v1.36.4%2Bk3s1/sha256sum-arm64.txt"] = (200, SUMS)
    release = await releases.release(parse_version("v1.36.4+k3s1"), machine_arch("aarch64"))
    assert release.binary_url == f"{base}/download/v1.36.4%2Bk3s1/k3s-arm64"
    assert release.images_url.endswith("k3s-airgap-images-arm64.tar.gz")
    assert (release.binary_sha256, release.images_sha256) == ("a" * 64, "b" * 64)


async def test_a_login_page_in_place_of_the_checksums(releases: K3sReleases, pages: dict[str, tuple[int, str]]) -> None:
    pages["/download/v1.36.4%2Bk3s1/sha256sum-arm64.txt"] = (200, "<html>log in</html>")
    with pytest.raises(BeeyardError) as caught:
        await releases.release(parse_version("v1.36.4+k3s1"), machine_arch("aarch64"))
    assert caught.value.code == "E-K3S-004"


async def test_a_release_that_does_not_exist(releases: K3sReleases) -> None:
    with pytest.raises(BeeyardError) as caught:
        await releases.release(parse_version("v1.99.0+k3s1"), machine_arch("x86_64"))
    assert caught.value.code == "E-WEB-002"
