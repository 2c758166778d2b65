"""Merging k3s' config.yaml: the user's keys and comments stay, ours may change, contradictions are refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from installer.domain.errors import RefusedError
from installer.domain.k3s_config import merge, wanted
from installer.domain.spec import ClusterSpec

WANT = wanted(ClusterSpec())


def test_a_fresh_file_holds_what_cilium_needs() -> None:
    effective = yaml.safe_load(merge(None, {}, WANT, "config.yaml").text)
    assert effective == {
        "flannel-backend": "none",
        "disable-network-policy": True,
        "disable-kube-proxy": True,
        "cluster-cidr": "10.42.0.0/16",
        "service-cidr": "10.43.0.0/16",
        "write-kubeconfig-mode": "0600",
        "disable": ["servicelb", "traefik"],
    }


def test_a_second_merge_changes_nothing() -> None:
    first = merge(None, {}, WANT, "c")
    again = merge(first.text, first.written, WANT, "c")
    assert again.text == first.text
    assert again.written == first.written


def test_the_users_keys_and_comments_stay() -> None:
    mine = "# keep me\nkubelet-arg: # because\n  - max-pods=200\ntls-san: a.example\ndisable:\n  - metrics-server\n"
    merged = merge(mine, {}, WANT, "c")
    assert "# keep me" in merged.text
    assert "# because" in merged.text
    assert merged.effective["kubelet-arg"] == ["max-pods=200"]
    assert merged.effective["tls-san"] == "a.example"
    assert merged.effective["disable"] == ["metrics-server", "servicelb", "traefik"]
    assert merged.written["disable"] == ["servicelb", "traefik"]


def test_a_value_of_the_users_that_is_only_a_wish_of_ours_stays() -> None:
    assert merge("write-kubeconfig-mode: '0644'\n", {}, WANT, "c").effective["write-kubeconfig-mode"] == "0644"


@pytest.mark.parametrize(
    "text", ["flannel-backend: vxlan\n", "cluster-cidr: 10.99.0.0/16\n", "disable-kube-proxy: false\n"]
)
def test_contradictions_are_refused_with_the_key(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        merge(text, {}, WANT, "/etc/rancher/k3s/config.yaml")
    assert caught.value.code == "E-K3S-021"
    assert text.split(":")[0] in caught.value.why


def test_a_key_of_ours_follows_the_specification() -> None:
    first = merge(None, {}, {**WANT, "node-ip": "192.0.2.1"}, "c")
    second = merge(first.text, first.written, {**WANT, "node-ip": "192.0.2.2"}, "c")
    third = merge(second.text, second.written, WANT, "c")
    assert second.effective["node-ip"] == "192.0.2.2"
    assert "node-ip" not in third.effective


def test_items_of_ours_leave_a_list_that_the_user_shares() -> None:
    first = merge("disable: [mine]\n", {}, WANT, "c")
    second = merge(first.text, first.written, {**WANT, "disable": ["traefik"]}, "c")
    assert second.effective["disable"] == ["mine", "traefik"]


@pytest.mark.parametrize("text", ["- a\n", "just words\n", "a: [\n"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        merge(text, {}, WANT, "c")
    assert caught.value.code == "E-K3S-020"


keys = st.sampled_from(["debug", "kubelet-arg", "node-label", "selinux", "token", "v"])
values = st.one_of(st.booleans(), st.integers(0, 9), st.text("abc-=", min_size=1), st.lists(st.text("xyz", min_size=1)))


@given(st.dictionaries(keys, values))
def test_whatever_the_user_has_is_kept_and_merging_is_idempotent(mine: dict[str, Any]) -> None:
    text = yaml.safe_dump(mine) if mine else ""
    merged = merge(text, {}, WANT, "c")
    assert {key: merged.effective[key] for key in mine} == mine
    assert merge(merged.text, merged.written, WANT, "c").text == merged.text
