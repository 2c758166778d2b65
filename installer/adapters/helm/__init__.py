"""Helm: charts as files, and releases by the helm binary through pyhelm3."""
