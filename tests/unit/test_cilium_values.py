"""Values: merging, layers, computed values, and the recorded facts of what the real charts make of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.chart_keys import parse_keys, unknown_paths
from installer.domain.cilium_values import (
    CiliumInputs,
    api_endpoint,
    compose,
    layer_names,
    leaves,
    merge,
    merge_named,
)
from installer.domain.errors import BeeyardError, UsageError
from installer.domain.releases import parse_releases
from installer.domain.values_lint import lint
from installer.domain.values_sense import contradictions
from tests.support.cilium_combinations import CHART_DATA, COMBINATIONS, ROOT, layers, load_yaml

MINORS = ("1.18", "1.19", "1.20")
INPUTS = CiliumInputs(minor="1.20")

names = st.sampled_from("abcd")
scalars = st.none() | st.booleans() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2)
values = st.recursive(scalars, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8)
maps = st.dictionaries(names, values, max_size=3)


def recorded(minor: str) -> Any:
    return json.loads((ROOT / "tests" / "unit" / "data" / "cilium" / f"{minor}.json").read_text(encoding="utf-8"))


def rendered(minor: str, name: str) -> dict[str, Any]:
    """Return the facts of a combination, with the recorded differences laid over the default ones."""
    record = recorded(minor)
    default: dict[str, Any] = record["default"]["facts"]
    return default if name == "default" else merge(default, record["combinations"][name]["facts"])


@given(maps, maps)
def test_the_later_layer_wins_everywhere(base: dict[str, Any], over: dict[str, Any]) -> None:
    merged = dict(leaves(merge(base, over)))
    for path, value in leaves(over):
        if value != {}:
            assert merged[path] == value


@given(maps)
def test_merging_with_nothing_or_itself_changes_nothing(only: dict[str, Any]) -> None:
    assert merge(only, {}) == merge({}, only) == merge(only, only) == only


@given(maps, maps, maps)
def test_merging_more_maps_at_once_or_in_turn_is_the_same(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    together = merge_named([("1", first), ("2", second), ("3", third)])
    assert together.values == merge(merge(first, second), third)


@given(maps, maps)
def test_no_argument_is_changed_and_nothing_is_shared(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = json.dumps([base, over])
    merged = merge(base, over)
    _scribble(merged)
    assert json.dumps([base, over]) == before


def _scribble(value: Any) -> None:
    for child in list(value.values()):
        if isinstance(child, dict):
            _scribble(child)
        elif isinstance(child, list):
            child.append("scribble")
    value["scribble"] = True


@given(st.lists(maps, max_size=4))
def test_every_leaf_has_exactly_one_origin(found: list[dict[str, Any]]) -> None:
    composed = merge_named([(f"layer-{number}", layer) for number, layer in enumerate(found)])
    assert set(composed.origins) == {path for path, _ in leaves(composed.values)}
    for path, origin in composed.origins.items():
        layer = dict(leaves(found[int(origin.removeprefix("layer-"))]))
        assert layer[path] == dict(leaves(composed.values))[path]


def test_lists_replace() -> None:
    assert merge({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


def test_a_null_of_the_user_reaches_helm() -> None:
    composed = compose(INPUTS, layers(), [("spec.cilium.values", {"updateStrategy": None})])
    assert composed.values["updateStrategy"] is None
    assert composed.origins["updateStrategy"] == "spec.cilium.values"
    assert not any(path.startswith("updateStrategy.") for path in composed.origins)


def test_origins_tell_layer_and_source() -> None:
    user: list[tuple[str, dict[str, Any]]] = [
        ("site.yaml", {"hubble": {"relay": {"replicas": 2}}, "debug": {"enabled": True}}),
        ("flags", {"debug": {"enabled": False}}),
    ]
    origins = compose(INPUTS, layers(), user).origins
    assert origins["ipam.mode"] == "00-k3s"
    assert origins["k8sServicePort"] == "computed"
    assert origins["hubble.relay.enabled"] == "hubble-relay"
    assert origins["hubble.relay.replicas"] == "site.yaml"
    assert origins["debug.enabled"] == "flags"


def test_the_user_wins_over_computed_values() -> None:
    assert compose(INPUTS, layers(), [("user", {"operator": {"replicas": 3}})]).values["operator"]["replicas"] == 3


def test_layers_follow_the_features() -> None:
    assert layer_names(INPUTS) == ["00-k3s", "single-node", "l7-envoy", "hubble", "hubble-relay", "hubble-ui"]
    off = replace(INPUTS, hubble=False, l7=False, nodes=2, use_digests=False)
    assert layer_names(off) == ["00-k3s", "l7-off", "hubble-off", "no-digests"]
    assert layer_names(replace(INPUTS, relay=False))[-1] == "hubble"


def test_a_missing_layer_is_an_error_of_ours() -> None:
    with pytest.raises(BeeyardError) as caught:
        compose(INPUTS, {})
    assert caught.value.code == "E-CILIUM-004"


def test_every_layer_is_used_by_a_combination() -> None:
    assert {name for inputs in COMBINATIONS.values() for name in layer_names(inputs)} == set(layers())


@pytest.mark.parametrize("name", COMBINATIONS)
def test_our_own_values_pass_our_own_lint(name: str) -> None:
    releases = parse_releases(load_yaml(CHART_DATA / "releases.yaml"))
    for minor in MINORS:
        inputs = replace(COMBINATIONS[name], minor=minor)
        composed = compose(inputs, layers()).values
        known = parse_keys((CHART_DATA / "keys" / f"{minor}.txt").read_text(encoding="utf-8"))
        assert list(unknown_paths(composed, known)) == []
        assert lint(composed, known, releases, minor) == []
        assert contradictions(composed, inputs) == []


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("name", COMBINATIONS)
def test_values_are_those_that_the_real_charts_were_rendered_with(name: str, minor: str) -> None:
    record = recorded(minor)
    entry = record["default"] if name == "default" else record["combinations"][name]
    composed = compose(replace(COMBINATIONS[name], minor=minor), layers())
    assert composed.values == entry["values"], "run scripts/check_charts --record with the upstream charts"


@pytest.mark.parametrize("minor", MINORS)
def test_the_record_is_of_the_chart_in_the_table(minor: str) -> None:
    release = parse_releases(load_yaml(CHART_DATA / "releases.yaml")).resolve(minor)
    record = recorded(minor)
    assert (record["chart"], record["sha256"]) == (release.version, release.sha256)
    images = {
        container["image"]
        for workload in record["default"]["facts"]["workloads"].values()
        for container in workload["containers"].values()
    }
    assert images == {image for component, image in release.images.items() if component != "certgen"}


@pytest.mark.parametrize("minor", MINORS)
class TestRendered:
    """What the real charts make of our values, as recorded by scripts/check_charts."""

    def test_facts_of_k3s(self, minor: str) -> None:
        facts = rendered(minor, "default")
        config = facts["config"]
        assert config["ipam"] == "kubernetes"
        assert config["kube-proxy-replacement"] == "true"
        assert config["k8s-require-ipv4-pod-cidr"] == "true"
        assert config["write-cni-conf-when-ready"] == "/host/etc/cni/net.d/05-cilium.conflist"
        assert "cluster-pool-ipv4-cidr" not in config
        agent = facts["workloads"]["DaemonSet/cilium"]["containers"]["cilium-agent"]
        assert agent["api"] == ["127.0.0.1", "6444"]
        assert agent["readinessPeriod"] == 5

    def test_one_operator_on_one_node(self, minor: str) -> None:
        one = rendered(minor, "default")["workloads"]["Deployment/cilium-operator"]
        assert one["replicas"] == 1
        assert one["strategy"]["rollingUpdate"]["maxSurge"] == 0
        assert rendered(minor, "three-nodes")["workloads"]["Deployment/cilium-operator"]["replicas"] == 2

    def test_relay_and_ui_join_without_restarting_agents(self, minor: str) -> None:
        changed = recorded(minor)["combinations"]["hubble-server-only"]["facts"]
        assert set(changed) == {"objects", "workloads"}
        assert changed["workloads"] == {"Deployment/hubble-relay": None, "Deployment/hubble-ui": None}

    def test_envoy(self, minor: str) -> None:
        assert "DaemonSet/cilium-envoy" in rendered(minor, "default")["workloads"]
        for name in ("embedded-envoy", "no-l7"):
            assert rendered(minor, name)["workloads"]["DaemonSet/cilium-envoy"] is None
        assert rendered(minor, "no-l7")["config"]["enable-l7-proxy"] == "false"
        assert rendered(minor, "embedded-envoy")["config"]["enable-l7-proxy"] == "true"

    def test_bundle_names_images_by_tag(self, minor: str) -> None:
        for workload in rendered(minor, "bundle")["workloads"].values():
            images = [each["image"] for each in workload["containers"].values()]
            assert not any("@" in image for image in [*images, *workload["initContainers"].values()])

    def test_features_reach_the_configuration(self, minor: str) -> None:
        config = rendered(minor, "everything")["config"]
        assert config["enable-wireguard"] == "true"
        assert config["enable-gateway-api"] == "true"
        assert config["enable-ingress-controller"] == "true"
        assert config["hubble-metrics"] == "dns drop"
        assert rendered(minor, "no-hubble")["config"]["enable-hubble"] == "false"
        assert rendered(minor, "servicelb")["config"]["default-lb-service-ipam"] == "none"
        assert rendered(minor, "existing-cluster-pool")["config"]["cluster-pool-ipv4-cidr"] == "10.0.0.0/16"

    def test_address_families(self, minor: str) -> None:
        dual, six = rendered(minor, "dual-stack")["config"], rendered(minor, "ipv6-only")["config"]
        assert (dual["enable-ipv4"], dual["enable-ipv6"]) == ("true", "true")
        assert (six["enable-ipv4"], six["enable-ipv6"]) == ("false", "true")
        assert (six["k8s-require-ipv4-pod-cidr"], six["k8s-require-ipv6-pod-cidr"]) == ("false", "true")


def test_api_endpoint_follows_the_listen_port() -> None:
    assert api_endpoint() == ("127.0.0.1", 6444)
    assert api_endpoint(16443) == ("127.0.0.1", 16444)
    assert api_endpoint(ipv4=False) == ("::1", 6444)
    assert api_endpoint(16443, lb_server_port=16444, agents=True) == ("127.0.0.1", 16444)


def test_agents_must_use_the_same_loopback_port() -> None:
    with pytest.raises(UsageError) as caught:
        api_endpoint(16443, agents=True)
    assert caught.value.code == "E-CILIUM-005"
    assert "lb-server-port: 16444" in caught.value.fix


@pytest.mark.parametrize("nodes", [0, 1, 2, 3, 500])
def test_operators_fit_on_the_nodes(nodes: int) -> None:
    replicas = compose(replace(INPUTS, nodes=nodes), layers()).values["operator"]["replicas"]
    assert replicas == (1 if nodes < 2 else 2)


def test_pools_of_a_running_cluster_are_kept() -> None:
    known = replace(INPUTS, existing_ipam="cluster-pool", existing_pools=("10.0.0.0/8", "fd00::/104"))
    operator = compose(known, layers()).values["ipam"]["operator"]
    assert operator == {"clusterPoolIPv4PodCIDRList": ["10.0.0.0/8"], "clusterPoolIPv6PodCIDRList": ["fd00::/104"]}
    unknown = replace(INPUTS, existing_ipam="cluster-pool")
    assert compose(unknown, layers()).values["ipam"]["operator"] == {"clusterPoolIPv4PodCIDRList": ["10.42.0.0/16"]}
    assert compose(replace(INPUTS, existing_ipam="multi-pool"), layers()).values["ipam"]["mode"] == "multi-pool"
