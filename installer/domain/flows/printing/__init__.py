"""Printing of flows, agent events and debug events: hubble's formats byte for byte, and ours."""
