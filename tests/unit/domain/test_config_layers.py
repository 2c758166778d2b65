"""Layers of configuration: precedence, origins, and errors that name the place and the nearest key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.config_layers import (
    Layer,
    env_name,
    from_environment,
    from_set,
    leaf_paths,
    nearest,
    nest,
    resolve,
)
from installer.domain.errors import UsageError
from installer.domain.yaml_document import parse


def file_layer(text: str, name: str = "beeyard.yaml") -> Layer:
    document = parse(text, name)
    return Layer(name, document.data, document.marks)


def test_precedence_is_flag_over_environment_over_file_over_default() -> None:
    layers = [
        file_layer("spec:\n  k3s: {clusterCIDR: 10.1.0.0/16, serviceCIDR: 10.2.0.0/16, channel: latest}\n"),
        *from_environment({"BEEYARD_K3S_CLUSTER_CIDR": "10.3.0.0/16", "BEEYARD_K3S_CHANNEL": "testing"}),
        from_set("k3s.clusterCIDR=10.4.0.0/16"),
    ]
    resolved = resolve(layers)
    k3s = resolved.document.spec.k3s
    assert (k3s.cluster_cidr, k3s.service_cidr, k3s.channel) == ("10.4.0.0/16", "10.2.0.0/16", "testing")
    assert k3s.https_listen_port == 6443
    assert resolved.origins["spec.k3s.clusterCIDR"] == "--set k3s.clusterCIDR"
    assert resolved.origins["spec.k3s.channel"] == "$BEEYARD_K3S_CHANNEL"
    assert resolved.origins["spec.k3s.serviceCIDR"] == "beeyard.yaml"
    assert "spec.k3s.httpsListenPort" not in resolved.origins


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("spec.k3s.clusterCIDR", "BEEYARD_K3S_CLUSTER_CIDR"),
        ("spec.cilium.l7Proxy", "BEEYARD_CILIUM_L7_PROXY"),
        ("spec.k3s.tlsSAN", "BEEYARD_K3S_TLS_SAN"),
        ("spec.downloads.chart.repository", "BEEYARD_DOWNLOADS_CHART_REPOSITORY"),
    ],
)
def test_environment_names(path: str, name: str) -> None:
    assert env_name(path.split(".")) == name


def test_environment_names_are_unique() -> None:
    names = [env_name(path) for path in leaf_paths()]
    assert len(names) == len(set(names))


def test_foreign_beeyard_variables_are_left_alone() -> None:
    assert from_environment({"BEEYARD_DEBUG": "1", "BEEYARD_CACHE": "/x"}) == []


def test_unknown_key_names_place_and_nearest_key() -> None:
    with pytest.raises(UsageError) as caught:
        resolve([file_layer("spec:\n  k3s:\n    clusterCidr: 10.1.0.0/16\n")])
    assert "beeyard.yaml:3:5" in caught.value.what
    assert "did you mean 'clusterCIDR'" in caught.value.what
    assert caught.value.exit_code == 2


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        resolve([from_set("k3s.clusterCIDR=nonsense"), from_set("hubble.uii=true"), from_set("nodes.expected=0")])
    assert len(caught.value.details["problems"]) == 3


def test_unquoted_version_is_explained() -> None:
    with pytest.raises(UsageError, match=r'quote it, such as "1.20"'):
        resolve([file_layer("spec: {cilium: {version: 1.20}}")])


def test_set_keeps_a_version_that_looks_like_a_number() -> None:
    assert resolve([from_set("cilium.version=1.20")]).document.spec.cilium.version == "1.20"


def test_set_takes_lists_and_maps() -> None:
    spec = resolve(
        [from_set("k3s.disable=[traefik]"), from_set("cilium.values={debug: {enabled: true}}")]
    ).document.spec
    assert spec.k3s.disable == ["traefik"]
    assert spec.cilium.values == {"debug": {"enabled": True}}


@pytest.mark.parametrize("expression", ["", "=1", "k3s.channel", "k3s.channel=[", "..=3"])
def test_bad_set_is_a_usage_error(expression: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve([from_set(expression)])
    assert caught.value.fix


def test_wrong_api_version_is_refused() -> None:
    with pytest.raises(UsageError, match="apiVersion"):
        resolve([file_layer("apiVersion: v1\nkind: Cluster\n")])


def test_a_section_with_everything_commented_out_is_empty() -> None:
    assert resolve([file_layer("spec:\n  k3s:\n  hubble:\n")]).document.spec.hubble.enabled is True


@given(st.lists(st.sampled_from(sorted(".".join(path) for path in leaf_paths())), unique=True))
def test_every_leaf_can_be_found_again(paths: list[str]) -> None:
    for path in paths:
        assert nearest(path.rpartition(".")[2], [path.rpartition(".")[2], "zzz"]) == path.rpartition(".")[2]
        assert nest(path.split("."), 1)
