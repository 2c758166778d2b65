"""The programs of the stand-in for Cilium and Hubble: a test tool with the outward behaviour of the real components."""
