"""What the testbed calls itself, and where its sources lie."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
K3S_VERSION = "v1.20.2+k3s1"
CHART_VERSION = "1.20.99"
HELM_VERSION = "v4.1.4"
