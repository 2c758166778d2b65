"""What Cilium needs of a kernel, feature by feature, and what trying them on a kernel means."""
