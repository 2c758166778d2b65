"""beeyard: a k3s cluster on Cilium and Hubble, installed, proven and run from one program.

Importing this package does nothing; the version is read on demand.
"""


def __getattr__(name: str) -> str:
    """Read ``__version__`` from the installed distribution when someone asks for it."""
    if name == "__version__":
        from importlib.metadata import version

        return version("beeyard")
    raise AttributeError(name)
