"""Proxy variables: cluster networks never go through a proxy."""

from __future__ import annotations

from installer.domain.config_layers import from_set, resolve
from installer.domain.proxy import variables
from installer.domain.spec import ClusterSpec


def test_without_a_proxy_there_are_no_variables() -> None:
    assert variables(ClusterSpec(), {"NO_PROXY": "x"}) == {}


def test_the_environments_proxy_gets_the_clusters_exceptions() -> None:
    found = variables(ClusterSpec(), {"https_proxy": "http://p:3128", "no_proxy": "corp.example"})
    assert found["HTTPS_PROXY"] == "http://p:3128"
    exceptions = found["NO_PROXY"].split(",")
    assert exceptions[0] == "corp.example"
    assert {"10.42.0.0/16", "10.43.0.0/16", ".svc", ".cluster.local", "127.0.0.0/8"} <= set(exceptions)


def test_the_specifications_proxy_wins() -> None:
    spec = resolve([from_set("downloads.proxy=http://q:1"), from_set("downloads.noProxy=[a.example]")]).document.spec
    found = variables(spec, {"HTTP_PROXY": "http://p:3128"})
    assert found["HTTP_PROXY"] == found["HTTPS_PROXY"] == "http://q:1"
    assert "a.example" in found["NO_PROXY"]
