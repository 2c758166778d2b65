"""Use cases that every front end calls."""
