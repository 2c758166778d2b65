"""What the screens work with; tests fill it with fakes or with real local servers."""

from __future__ import annotations

from installer.services.cockpit import ClusterVersions, CockpitServices

__all__ = ["ClusterVersions", "CockpitServices"]
