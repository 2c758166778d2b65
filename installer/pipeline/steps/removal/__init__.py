"""Steps of an uninstall: the reverse of an install, in the order that keeps the host reachable."""
