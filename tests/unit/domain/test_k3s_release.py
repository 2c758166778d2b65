from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.domain.errors import BeeyardError, RefusedError, UsageError
from installer.domain.k3s_release import (
    K3sVersion,
    check_channel,
    is_version,
    machine_arch,
    make_release,
    parse_sums,
    parse_version,
    parse_version_output,
)

numbers = st.integers(0, 999)
versions = st.builds(
    K3sVersion,
    numbers,
    numbers,
    numbers,
    st.sampled_from(["", "rc1", "rc2", "rc10", "alpha.3"]),
    numbers.map("k3s{}".format),
)


@settings(deadline=None)
@given(versions)
def test_a_version_is_read_as_it_is_written(version: K3sVersion) -> None:
    assert parse_version(str(version)) == version
    assert parse_version(str(version).removeprefix("v")) == version
    assert parse_version_output(f"k3s version {version} (0a1b2c3d)\ngo version go1.25.1\n") == version
    assert "+" not in version.url_part


@settings(deadline=None)
@given(versions, versions)
def test_the_order_is_total_and_agrees_with_equality(one: K3sVersion, other: K3sVersion) -> None:
    assert [one < other, one == other, one > other].count(True) == 1


def test_the_order() -> None:
    ascending = [
        "v1.9.9+k3s9",
        "v1.33.4-alpha.3+k3s1",
        "v1.33.4-rc2+k3s1",
        "v1.33.4-rc10+k3s1",
        "v1.33.4+k3s-0a1b2c3d",
        "v1.33.4+k3s1",
        "v1.33.4+k3s2",
        "v1.33.4+k3s10",
        "v1.33.10+k3s1",
        "v1.34.0+k3s1",
    ]
    assert sorted(map(parse_version, reversed(ascending))) == [parse_version(text) for text in ascending]


@settings(deadline=None)
@given(st.text())
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    if not is_version(text):
        with pytest.raises(UsageError) as caught:
            parse_version(text)
        assert caught.value.code == "E-K3S-002"
        assert "v1.36.4+k3s1" in caught.value.why


@pytest.mark.parametrize(
    "text", ["", "v1.36.4", "1.36.4-k3s1", "../..", "v1.36.4+k3s1/../x", "stable channel", "a" * 99]
)
def test_what_is_no_channel_either(text: str) -> None:
    with pytest.raises(UsageError):
        check_channel(text)


@pytest.mark.parametrize("text", ["stable", "latest", "testing", "v1.36"])
def test_channels(text: str) -> None:
    assert check_channel(f" {text} ") == text


@pytest.mark.parametrize("output", ["", "k3s version dev (HEAD)", "bash: k3s: not found", "k3d version v5.8.3"])
def test_a_binary_that_is_not_k3s(output: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        parse_version_output(output)
    assert caught.value.code == "E-K3S-006"


@pytest.mark.parametrize(
    ("machine", "arch", "binary"),
    [
        ("x86_64", "amd64", "k3s"),
        ("amd64", "amd64", "k3s"),
        ("aarch64", "arm64", "k3s-arm64"),
        ("ARM64", "arm64", "k3s-arm64"),
    ],
)
def test_supported_machines(machine: str, arch: str, binary: str) -> None:
    found = machine_arch(machine)
    assert (found.name, found.binary, found.sums) == (arch, binary, f"sha256sum-{arch}.txt")


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ("armv7l", "Cilium's images"),
        ("s390x", "Cilium's images"),
        ("armv6l", "neither"),
        ("i686", "neither"),
        ("riscv64", "neither"),
        ("", "neither"),
    ],
)
def test_refused_machines_are_told_why(machine: str, reason: str) -> None:
    with pytest.raises(RefusedError) as caught:
        machine_arch(machine)
    assert caught.value.code == "E-K3S-001"
    assert reason in caught.value.why


SUMS = f"""{"a" * 64}  k3s-airgap-images-amd64.tar
{"B" * 64}  k3s-airgap-images-amd64.tar.zst
{"c" * 64} *k3s

not a checksum line
{"d" * 63}  too-short
"""


def test_a_release_is_put_together() -> None:
    release = make_release(parse_version("v1.36.4+k3s1"), machine_arch("x86_64"), "https://m/dl/", parse_sums(SUMS))
    assert release.binary_url == "https://m/dl/v1.36.4%2Bk3s1/k3s"
    assert release.binary_sha256 == "c" * 64
    assert release.images_url.endswith("/k3s-airgap-images-amd64.tar.zst")
    assert release.images_sha256 == "b" * 64


def test_a_release_may_have_no_images() -> None:
    release = make_release(parse_version("v1.36.4+k3s1"), machine_arch("x86_64"), "https://m", {"k3s": "c" * 64})
    assert (release.images_url, release.images_sha256) == ("", "")


@pytest.mark.parametrize("text", ["", "<html>Please log in</html>", SUMS + f"{'e' * 64}  k3s"])
def test_a_list_without_a_proof_of_the_binary_is_refused(text: str) -> None:
    with pytest.raises(BeeyardError) as caught:
        make_release(parse_version("v1.36.4+k3s1"), machine_arch("x86_64"), "https://m", parse_sums(text))
    assert caught.value.code == "E-K3S-004"
