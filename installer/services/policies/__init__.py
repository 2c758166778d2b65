"""Use cases on policies: read a cluster, change policies safely, take changes back."""
