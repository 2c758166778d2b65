"""The manual's table of features is the table."""

from __future__ import annotations

from pathlib import Path

from installer.domain.kernel.feature import Feature, Weight
from installer.domain.kernel.settings import SETTINGS
from installer.domain.kernel.table import FEATURES

PAGE = Path(__file__).parents[3] / "docs/kernel.md"


def row(feature: Feature) -> str:
    """Return the line of a feature in the manual."""
    needed = ", ".join(_needed(name) for name in feature.settings)
    without = "refused" if feature.weight is Weight.REQUIRED else feature.without
    if feature.instead:
        without = f"refused, unless `{feature.instead}` works: {feature.without}"
    trials = "; ".join(map(str, feature.trials))
    return (
        f"| `{feature.id}`: {feature.title} | {feature.purpose} | {needed} | {trials} | {' '.join(feature.config)} | "
        f"{without} |"
    )


def _needed(name: str) -> str:
    setting = SETTINGS[name]
    return f"{setting.what} (`{setting.path}`)" if "." in setting.path else setting.what


def test_the_manual_has_every_feature_as_it_is() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert lines == [row(feature) for feature in FEATURES]
