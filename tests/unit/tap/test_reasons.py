"""Meanings of the kernel's reasons."""

from __future__ import annotations

from installer.domain.flows.enums import DROP_REASONS
from installer.domain.tap.reason_names import KERNEL_REASONS
from installer.domain.tap.reasons import MEANINGS, explain_kernel_drop


def test_names_are_the_kernels_and_none_is_hubbles_too() -> None:
    assert set(MEANINGS) - {"IP_TTL_EXCEEDED"} <= KERNEL_REASONS
    assert not KERNEL_REASONS & set(DROP_REASONS)


def test_a_reason_that_nobody_knows_yet() -> None:
    assert explain_kernel_drop("FUTURE") == ["why: the kernel says FUTURE"]
