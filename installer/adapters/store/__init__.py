"""What is kept on disk: journal, lock, logs, bundles, the user's kubeconfig, and the files beeyard ships."""
