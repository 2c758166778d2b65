"""Protocols between the core and the outside; adapters implement them, tests may."""
