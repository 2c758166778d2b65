from __future__ import annotations

import pytest

from installer.adapters.web.proxies import ProxyRules
from installer.adapters.web.retrying import Backoff
from installer.domain.errors import UsageError


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "https://github.com/x", False),
        ("*", "https://github.com/x", True),
        ("github.com", "https://github.com/x", True),
        ("github.com", "https://api.github.com/x", True),
        (".github.com", "https://github.com/x", True),
        ("*.github.com", "https://api.github.com/x", True),
        ("hub.com", "https://github.com/x", False),
        ("GitHub.com", "https://GITHUB.com./x", True),
        ("a.test b.test", "https://b.test/", True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("fd00::/8", "https://[fd00::1]/", True),
        ("mirror:8443", "https://mirror:8443/", True),
        ("mirror:8443", "https://mirror/", False),
        ("", "http://localhost:8080/", True),
        ("", "http://127.0.0.9/", True),
        ("", "http://[::1]/", True),
        ("", "http://[::bad/", True),
    ],
)
def test_exemptions(no_proxy: str, url: str, direct: bool) -> None:
    rules = ProxyRules.of({"HTTP_PROXY": "p:1", "https_proxy": "http://p:2", "NO_PROXY": no_proxy})
    assert (rules.proxy_for(url) == "") is direct


def test_where_proxies_come_from() -> None:
    environment = {"HTTP_PROXY": "upper:1", "http_proxy": "lower:1", "ALL_PROXY": "all:1"}
    rules = ProxyRules.of(environment)
    assert rules.proxy_for("http://a.test/") == "http://lower:1"
    assert rules.proxy_for("https://a.test/") == "http://all:1"
    assert ProxyRules.of(environment, "own:1").proxy_for("http://a.test/") == "http://own:1"
    assert ProxyRules.of({}).proxy_for("https://a.test/") == ""


@pytest.mark.parametrize("proxy", ["socks5://bee:hush@p:1", "http://", "http://p:port", "http://[::1"])
def test_proxies_that_cannot_be_used(proxy: str) -> None:
    with pytest.raises(UsageError) as caught:
        ProxyRules.of({"HTTPS_PROXY": proxy})
    assert caught.value.code == "E-WEB-012"
    assert "hush" not in str(caught.value.to_dict())


def test_pauses_grow_to_a_bound_and_the_servers_wish_is_bounded_too() -> None:
    backoff = Backoff(first=0.5, longest=8.0, longest_asked=60.0)
    assert [backoff.delay(n, None, 0.0) for n in range(1, 8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert backoff.delay(1, None, 0.5) == 0.375
    assert [backoff.delay(1, asked, 0.0) for asked in (0.0, 7.0, 9999.0, -3.0)] == [0.0, 7.0, 60.0, 0.0]
