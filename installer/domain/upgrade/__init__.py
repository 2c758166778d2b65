"""Upgrades of k3s and Cilium: the path, the values, what is rendered, what stands in the way. Pure."""
