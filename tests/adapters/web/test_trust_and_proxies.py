"""TLS and proxies, with real ones on loopback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path

import pytest

from installer.adapters.web.download import HttpDownloader
from installer.domain.errors import BeeyardError, ConnectError, UsageError
from installer.ports.web import Download
from tests.adapters.web import faulty_server as fault
from tests.adapters.web.faulty_server import Site, proxying, serving


def make(**settings: object) -> HttpDownloader:
    fixed = {"environment": {}, "stall": 5.0, "pause": lambda _: asyncio.sleep(0)}
    return HttpDownloader(**(fixed | settings))  # type: ignore[arg-type]  # a mapping of mixed settings


async def test_a_self_signed_certificate_is_refused_at_once(certificate: Path) -> None:
    with serving(certificate) as site:
        async with make() as downloader:
            with pytest.raises(ConnectError) as caught:
                await downloader.text(site.put("/x", b"x"))
    assert caught.value.code == "E-WEB-003"
    assert "self-signed" in caught.value.why
    assert "caFile" in caught.value.fix
    assert site.requests == []


async def test_an_own_ca_is_trusted(certificate: Path) -> None:
    with serving(certificate) as site:
        async with make(ca_file=certificate) as downloader:
            assert await downloader.text(site.put("/x", b"x")) == "x"
            with pytest.raises(ConnectError, match="cannot be trusted") as caught:
                await downloader.text(site.url.replace("127.0.0.1", "localhost") + "/x")
    assert "ostname mismatch" in caught.value.why


async def test_plain_http_behind_https_is_no_trust(site: Site) -> None:
    async with make() as downloader:
        with pytest.raises(ConnectError) as caught:
            await downloader.text(site.url.replace("http:", "https:") + "/x")
    assert caught.value.code == "E-WEB-003"


async def test_a_redirect_to_http_is_refused(certificate: Path, site: Site) -> None:
    target = site.put("/x", b"x")
    with serving(certificate) as secure:
        async with make(ca_file=certificate) as downloader:
            with pytest.raises(BeeyardError) as caught:
                await downloader.text(secure.put("/x", b"", fault.status(302, location=target)))
    assert caught.value.code == "E-WEB-009"
    assert site.requests == []


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_ca_file_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    async with make(ca_file=path) as downloader:
        with pytest.raises(UsageError) as caught:
            await downloader.text("https://127.0.0.1:1/")
    assert caught.value.code == "E-WEB-012"
    assert str(path) in caught.value.what


async def test_http_goes_through_the_proxy_with_its_password(site: Site) -> None:
    site.put("/x", b"x")
    with proxying(site.url) as (address, seen):
        async with make(environment={"http_proxy": f"http://bee:hush@{address}"}) as downloader:
            assert await downloader.text("http://mirror.test/x") == "x"
    assert seen[0].path == "http://mirror.test/x"
    assert seen[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"bee:hush").decode()


async def test_https_goes_through_the_proxy_as_a_tunnel(certificate: Path, tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    with serving(certificate) as site, proxying(site.url) as (address, seen):
        site.put("/x", data, fault.truncate(1_500_000))
        async with make(proxy=address, ca_file=certificate) as downloader:
            path = await downloader.fetch(Download("https://mirror.test/x", tmp_path / "x"))
        assert path.read_bytes() == data
    assert {(request.method, request.path) for request in seen} == {("CONNECT", "mirror.test:443")}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("refusal", [407, 403])
async def test_a_refusing_proxy_is_named_without_its_password(scheme: str, refusal: int) -> None:
    with proxying(refusal=refusal) as (address, seen):
        async with make(environment={f"{scheme.upper()}_PROXY": f"http://bee:hush@{address}"}) as downloader:
            with pytest.raises(BeeyardError) as caught:
                await downloader.text(f"{scheme}://mirror.test/x")
    error = caught.value
    assert error.code == "E-WEB-006"
    assert f"http://bee:***@{address}" in error.what
    assert str(refusal) in error.why
    assert "hush" not in str(error.to_dict())
    assert len(seen) == 1


async def test_a_proxy_that_does_not_reach_the_host_is_named() -> None:
    with proxying(refusal=503) as (address, _):
        async with make(proxy=address) as downloader:
            with pytest.raises(ConnectError, match=address) as caught:
                await downloader.text("https://mirror.test/x")
    assert caught.value.code == "E-WEB-001"


async def test_a_proxy_that_is_gone_is_named() -> None:
    with proxying() as (address, _):
        pass
    async with make(proxy=f"http://bee:hush@{address}") as downloader:
        with pytest.raises(ConnectError) as caught:
            await downloader.text("https://mirror.test/x")
    assert caught.value.code == "E-WEB-001"
    assert address in caught.value.what
    assert "hush" not in str(caught.value.to_dict())


async def test_an_unusable_proxy_matters_only_when_something_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"")
    empty = hashlib.sha256(b"").hexdigest()
    async with make(environment={"HTTPS_PROXY": "socks5://p:1"}) as downloader:
        await downloader.fetch(Download("https://mirror.test/x", tmp_path / "here", empty))
        with pytest.raises(UsageError, match="socks5") as caught:
            await downloader.text("https://mirror.test/x")
    assert caught.value.code == "E-WEB-012"


async def test_exempt_hosts_and_loopback_are_reached_directly(site: Site) -> None:
    url = site.put("/x", b"x")
    with proxying(refusal=403) as (address, seen):
        async with make(proxy=address) as downloader:
            assert await downloader.text(url) == "x"
    assert seen == []
