"""Releases of k3s: the channel server and the release files."""
