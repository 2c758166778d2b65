"""The guard of the host's network: written down, watched from a process of its own, put back.

What the watchdog runs imports the standard library only (``watchdog``, ``restore`` and what they use), so that it
starts under any Python and has everything in memory once it stands.
"""
