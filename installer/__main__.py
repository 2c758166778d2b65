"""``python -m installer`` is the ``beeyard`` command."""

from installer.cli.main import main

if __name__ == "__main__":
    main()
