"""Recorded flows for the command line and the cockpit."""

from __future__ import annotations

from installer.adapters.flowfile.blocks import Recording, opened
from installer.adapters.flowfile.parallel import Printed, Totals, can_share, print_shared
from installer.adapters.flowfile.source import EVERYTHING, FlowFile

__all__ = ["EVERYTHING", "FlowFile", "Printed", "Recording", "Totals", "can_share", "opened", "print_shared"]
