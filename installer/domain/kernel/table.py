"""Every feature of the kernel that Cilium 1.18 to 1.20 needs, or can use."""

from __future__ import annotations

from installer.domain.kernel.feature import Feature
from installer.domain.kernel.table_bpf import BPF
from installer.domain.kernel.table_network import NETWORK

FEATURES: tuple[Feature, ...] = (*BPF, *NETWORK)
"""All features, in the order in which they are tried and shown."""

BY_ID = {feature.id: feature for feature in FEATURES}
"""Feature by id."""

SYMBOLS = tuple(dict.fromkeys(symbol for feature in FEATURES for symbol in feature.config))
"""Symbols of the kernel's configuration that the features rest on."""

MODULES = tuple(dict.fromkeys(feature.module for feature in FEATURES if feature.module))
"""Modules that the features can be in."""
