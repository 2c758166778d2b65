"""What ``beeyard observe`` is made of: its arguments, its sources, and what becomes of flows."""
