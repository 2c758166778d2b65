"""The table of features is whole and consistent."""

from __future__ import annotations

import pytest

from installer.domain.kernel.feature import Feature, Weight
from installer.domain.kernel.judgement import setting_path
from installer.domain.kernel.settings import SETTINGS
from installer.domain.kernel.table import BY_ID, FEATURES

each_feature = pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.id)


def test_ids_and_titles_are_unique() -> None:
    assert len(BY_ID) == len(FEATURES) == len({feature.title for feature in FEATURES})


@each_feature
def test_a_feature_is_whole(feature: Feature) -> None:
    assert feature.trials
    assert feature.purpose
    assert set(feature.settings) <= set(SETTINGS)
    assert feature.settings
    assert feature.config or feature.module, "there is no second witness"
    assert all(str(trial) for trial in feature.trials)


@each_feature
def test_what_cilium_can_do_without_says_what_happens_then(feature: Feature) -> None:
    if feature.weight is not Weight.REQUIRED or feature.instead:
        assert feature.without
    assert not feature.instead or feature.instead in BY_ID


def test_every_setting_needs_something() -> None:
    assert {name for feature in FEATURES for name in feature.settings} == set(SETTINGS)


@pytest.mark.parametrize(
    ("feature", "path"),
    [
        ("device.wireguard", "cilium.encryption"),
        ("iptables.tproxy", "cilium.l7Proxy"),
        ("bpf.loops", ""),
        ("kernel", ""),
    ],
)
def test_the_question_of_a_feature(feature: str, path: str) -> None:
    assert setting_path(feature) == path
