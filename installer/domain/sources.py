"""Where things come from unless someone says otherwise."""

from __future__ import annotations

K3S = "https://github.com/k3s-io/k3s/releases/download"
"""Base URL of k3s' release files."""
CHANNELS = "https://update.k3s.io"
"""k3s' channel server."""
CHARTS = "https://helm.cilium.io"
"""Helm repository with the Cilium chart."""
HELM = "https://get.helm.sh"
"""Where helm's archives are."""
GATEWAY_API = "https://raw.githubusercontent.com/kubernetes-sigs/gateway-api"
"""Base URL of the Gateway API's resource definitions."""
