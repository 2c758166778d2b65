from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.errors import BeeyardError
from installer.domain.images.mirrors import is_loopback, parse_mirrors, parse_target, registry
from installer.domain.images.reference import ImageRef, parse_reference
from installer.domain.images.wanted import images_of, parse_list

DIGEST = f"sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.37", "docker.io/library/busybox:1.37"),
        ("rancher/klipper-lb:v0.4", "docker.io/rancher/klipper-lb:v0.4"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/library/x:1", "docker.io/library/x:1"),
        ("localhost/x", "localhost/x:latest"),
        ("127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c"),
        (f"quay.io/cilium/cilium:v1.20.0@{DIGEST}", f"quay.io/cilium/cilium:v1.20.0@{DIGEST}"),
        (f"quay.io/cilium/cilium@{DIGEST}", f"quay.io/cilium/cilium@{DIGEST}"),
        ("[::1]:5000/x:1", "[::1]:5000/x:1"),
    ],
)
def test_references_are_read_as_containerd_reads_them(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full
    assert parse_reference(full) == parse_reference(text)


def test_kubernetes_looks_images_up_by_name_and_digest_without_the_tag() -> None:
    ref = parse_reference(f"quay.io/cilium/cilium:v1@{DIGEST}")
    assert ref.store_names == ("quay.io/cilium/cilium:v1", f"quay.io/cilium/cilium@{DIGEST}")
    assert ref.wanted == DIGEST
    assert parse_reference("quay.io/cilium/cilium:v1").store_names == ("quay.io/cilium/cilium:v1",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "UPPER/case",
        "a b",
        "x:",
        "x@sha256:1",
        f"x@md5:{'0' * 32}",
        "x/../y",
        "https://quay.io/x",
        "x" * 600,
        "x:\n1",
        "é/x",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        parse_reference(text)
    assert (caught.value.code, caught.value.exit_code) == ("E-REG-001", 2)


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        ref = parse_reference(text)
    except BeeyardError:
        return
    assert parse_reference(str(ref)) == ref


def test_images_of_a_rendered_chart_are_found_wherever_containers_are() -> None:
    def pod(**lists: Any) -> dict[str, Any]:
        return {"template": {"spec": lists}}

    documents: list[dict[str, Any]] = [
        {"kind": "DaemonSet", "spec": pod(initContainers=[{"image": "a:1"}], containers=[{"image": "b:1"}])},
        {"kind": "CronJob", "spec": {"jobTemplate": pod(containers=[{"image": "c:1"}, {"image": "a:1"}])}},
        {"kind": "ConfigMap", "data": {"image": "not this one"}},
        {"kind": "CustomResourceDefinition", "spec": {"containers": {"image": "nor this"}}},
        {"kind": "Pod", "spec": {"containers": [{"image": ""}, "no mapping", {"name": "x"}]}},
    ]
    assert [ref.repository for ref in images_of(documents)] == ["library/a", "library/b", "library/c"]


def test_a_chart_nested_without_end_is_not_followed() -> None:
    deep: dict[str, Any] = {}
    deep["deeper"] = deep
    assert images_of([deep]) == ()


def test_k3s_list_of_images() -> None:
    text = "docker.io/rancher/a:1\n\n# a note\nrancher/a:1\n docker.io/rancher/b:2 \n"
    assert [str(ref) for ref in parse_list(text)] == ["docker.io/rancher/a:1", "docker.io/rancher/b:2"]


def test_a_registry_is_spoken_to_by_https_and_on_loopback_by_http() -> None:
    assert registry("quay.io").base == "https://quay.io/v2"
    assert registry("docker.io").base == "https://registry-1.docker.io/v2"
    assert registry("127.0.0.1:5000").base == "http://127.0.0.1:5000/v2"
    assert registry("localhost:5000").plain
    assert not registry("10.0.0.5:5000").plain
    assert [is_loopback(one) for one in ("[::1]:1", "127.9.9.9", "localhost.example", "128.0.0.1", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_mirrors_of_options_then_of_k3s_then_the_registry_itself() -> None:
    registries = {
        "mirrors": {
            "quay.io": {"endpoint": ["https://one.example", "https://two.example/proxy/v2"]},
            "*": {"endpoint": ["https://all.example"]},
            "docker.io": {"endpoint": ["https://hub.example"], "rewrite": {"^rancher/(.*)": "mirrored/$1"}},
        }
    }
    mirrors = parse_mirrors(registries, ["quay.io=http://10.0.0.5:5000"])
    assert [one.base for one in mirrors.of("quay.io")] == [
        "http://10.0.0.5:5000/v2",
        "https://one.example/v2",
        "https://two.example/proxy/v2",
        "https://quay.io/v2",
    ]
    assert [one.base for one in mirrors.of("ghcr.io")] == ["https://all.example/v2", "https://ghcr.io/v2"]
    assert mirrors.of("ghcr.io")[0].url("a/b", "manifests/v1") == "https://all.example/v2/a/b/manifests/v1?ns=ghcr.io"
    hub = mirrors.of("docker.io")
    assert hub[0].url("rancher/x", "tags") == "https://hub.example/v2/mirrored/x/tags?ns=docker.io"
    assert hub[0].repository("library/x") == "library/x"
    assert hub[1].url("rancher/x", "tags") == "https://registry-1.docker.io/v2/rancher/x/tags"


@pytest.mark.parametrize(
    "option",
    [
        "quay.io",
        "=https://x",
        "quay.io=ftp://x",
        "quay.io=https://user:word@x",
        "quay.io=https://x?y=1",
        "q=https://x:0",
    ],
)
def test_mirrors_that_cannot_be(option: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        parse_mirrors(None, [option])
    assert caught.value.code == "E-REG-001"
    assert "word" not in caught.value.what


def test_a_rewrite_that_is_no_pattern() -> None:
    registries = {"mirrors": {"x": {"endpoint": ["https://m"], "rewrite": {"(": "y"}}}}
    with pytest.raises(BeeyardError):
        parse_mirrors(registries)


@pytest.mark.parametrize(
    ("text", "base", "name"),
    [
        ("registry.example", "https://registry.example/v2", "registry.example/cilium/cilium"),
        ("r.example:5000/mirror/of", "https://r.example:5000/v2", "r.example:5000/mirror/of/cilium/cilium"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2", "127.0.0.1:5000/cilium/cilium"),
        ("https://127.0.0.1:5000/", "https://127.0.0.1:5000/v2", "127.0.0.1:5000/cilium/cilium"),
        ("http://10.0.0.5", "http://10.0.0.5/v2", "10.0.0.5/cilium/cilium"),
    ],
)  # fmt: skip
def test_where_to_push(text: str, base: str, name: str) -> None:
    target = parse_target(text)
    assert target.endpoint.base == base
    assert target.name("cilium/cilium") == name


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "registry.example/Upper", "registry.example/a b", "u:p@registry.example"]
)
def test_where_not_to_push(text: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        parse_target(text)
    assert caught.value.code == "E-REG-001"


def test_image_refs_sort() -> None:
    assert sorted([ImageRef("b", "x"), ImageRef("a", "y")])[0].host == "a"
