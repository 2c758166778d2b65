"""What runs in the tap's own process, under the system's Python: bcc and the standard library only (Python 3.9 on)."""
