"""Policies from files, folders and standard input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from installer.domain.errors import UsageError
from installer.domain.policy.documents import SourceDocument, read_documents
from installer.domain.policy.validation import API_VERSIONS

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILE = 64_000_000


def read_sources(names: Sequence[str], stdin: str = "") -> list[SourceDocument]:
    """Read every document of files and folders.

    Args:
        names: files, folders (everything below them that ends in .yaml, .yml or .json), or ``-`` for standard input.
        stdin: text of standard input.

    Raises:
        UsageError: ``E-POL-001`` a file cannot be read, ``E-POL-002`` a folder holds none.
    """
    found: list[SourceDocument] = []
    for name in names:
        if name == "-":
            found += read_documents(stdin, "<stdin>")
        else:
            for path in _files(Path(name)):
                found += read_documents(_read(path), str(path))
    return found


def policies_of(documents: Iterable[SourceDocument]) -> list[dict[str, Any]]:
    """Return the policies among documents that could be read; what is no policy is left out."""
    return [
        document.data
        for document in documents
        if isinstance(document.data, dict) and document.data.get("kind") in API_VERSIONS
    ]


def is_policy_test(document: SourceDocument) -> bool:
    """Whether a document holds policy tests and no policy."""
    data = document.data
    return isinstance(data, list) and bool(data) and all(isinstance(one, dict) and "expect" in one for one in data)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(item for item in path.rglob("*") if item.suffix in SUFFIXES and item.is_file())
    if not found:
        raise UsageError(
            f"{path} holds no policies",
            why=f"No file below it ends in {', '.join(SUFFIXES)}.",
            fix="Name another folder, or a file.",
            code="E-POL-002",
        )
    return found


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, more than {MAX_FILE:,}")
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"it is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} cannot be read", why=why, fix="Name a YAML or JSON file.", code="E-POL-001")
