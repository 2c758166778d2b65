"""The overview: one calm page that tells how the cluster is."""
