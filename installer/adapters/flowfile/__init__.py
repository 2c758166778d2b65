"""Recorded flows: files and pipes of ``-o jsonpb`` lines."""
