"""Asking the sources whether they are there, with real servers and a real proxy on loopback."""

from __future__ import annotations

import time
from pathlib import Path

from installer.adapters.web.knock import knock
from tests.adapters.web import faulty_server as fault
from tests.adapters.web.faulty_server import Site, proxying, serving


async def test_any_answer_of_the_server_will_do(site: Site) -> None:  # failure mode 29
    urls = {"there": site.put("/x", b"x"), "wants a password": site.put("/v2/", b"", fault.status(401))}
    urls["none"] = f"{site.url}/nothing"
    found = await knock(urls, environment={}, clock=lambda: time.time() + 90.0)
    assert [(one.name, one.trouble, one.proxy) for one in found] == [(name, "", "") for name in urls]
    assert all(one.skew is not None and 85 < one.skew < 95 for one in found), "the server tells its time"
    assert {request.method for request in site.requests} == {"HEAD"}


async def test_nobody_listens(site: Site) -> None:
    with serving() as gone:
        url = gone.url
    (found,) = await knock({"gone": url}, environment={})
    assert "refused" in found.trouble.lower()
    assert found.skew is None


async def test_a_certificate_of_nobody(certificate: Path) -> None:
    with serving(certificate) as site:
        (found,) = await knock({"k3s": site.put("/x", b"x")}, environment={})
        (trusted,) = await knock({"k3s": f"{site.url}/x"}, environment={}, ca_file=certificate)
    assert "self-signed" in found.trouble
    assert trusted.trouble == ""


async def test_through_the_proxy_and_past_it(certificate: Path) -> None:
    with serving(certificate) as site, proxying(site.url) as (proxy, seen):
        url = site.put("/x", b"x").replace("127.0.0.1", "mirror.test")
        environment = {"HTTPS_PROXY": f"http://me:s3cret@{proxy}"}
        (found,) = await knock({"k3s": url}, environment=environment, ca_file=certificate)
        assert (found.trouble, found.proxy) == ("", f"http://me:***@{proxy}")
        assert len(seen) == 1
        (past,) = await knock({"k3s": url}, proxy=f"http://{proxy}", no_proxy="mirror.test", environment={})
        assert past.trouble, "it cannot be resolved without the proxy"
        assert len(seen) == 1


async def test_a_proxy_that_wants_a_password() -> None:
    with proxying(refusal=407) as (proxy, _):
        (found,) = await knock({"k3s": "https://mirror.test/"}, environment={"HTTPS_PROXY": f"http://{proxy}"})
    assert "407" in found.trouble


async def test_a_proxy_that_is_no_url() -> None:
    (found,) = await knock({"k3s": "http://mirror.test/"}, environment={"HTTP_PROXY": "ftp://x"})
    assert found.trouble
