"""The agent's and operator's configuration: a folder with one file per key of the ConfigMap, as upstream has it."""

from pathlib import Path

DEFAULT_DIR = Path("/tmp/cilium/config-map")


class Config(dict[str, str]):
    """Key to text, with helpers."""

    @classmethod
    def load(cls, argv: list[str]) -> "Config":
        """Read the folder that `--config-dir=` names."""
        folder = next((Path(arg.partition("=")[2]) for arg in argv if arg.startswith("--config-dir=")), DEFAULT_DIR)
        if not folder.is_dir():
            return cls()
        return cls({path.name: path.read_text() for path in folder.iterdir() if path.is_file()})

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean."""
        return self.get(key, str(default)).strip().lower() == "true"

    def number(self, key: str, default: float = 0) -> float:
        """A number."""
        return float(self.get(key) or default)
