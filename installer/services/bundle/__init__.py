"""Bundles: making one, looking at one, pushing its images to a registry."""
