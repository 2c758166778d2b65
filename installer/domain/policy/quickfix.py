"""Quick fixes in the text of a file: the one place changes, comments and everything else stay as they are."""

from __future__ import annotations

import copy
import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.tokens import CommentToken
from yaml import YAMLError as PlainError
from yaml import safe_load

from installer.domain.errors import UsageError
from installer.domain.policy.documents import parts_of
from installer.domain.policy.findings import QuickFix, path_text
from installer.domain.yaml_document import Path

_DASH = re.compile(r"^( *)(?:[^ #\-\n][^\n]*):[ ]*(?:#[^\n]*)?\n(?:[ ]*(?:#[^\n]*)?\n)*( *)- ", re.MULTILINE)


def apply_fix(text: str, fix: QuickFix, line: int = 1) -> str:
    """Return a file's text with a fix made.

    Args:
        text: the whole file, YAML or JSON.
        fix: what to change.
        line: line on which the document begins (``SourceDocument.line``).

    Raises:
        UsageError: ``E-POL-011`` the document has changed, so that the place is no longer there.
    """
    for start, end, at in parts_of(text):
        if at == line:
            return text[:start] + _apply(text[start:end], fix) + text[end:]
    raise _gone(fix, f"no document begins on line {line}")


def _apply(text: str, fix: QuickFix) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n").lstrip("\ufeff")
    yaml = _yaml(plain)
    try:
        data = yaml.load(plain)
        if str(data["kind"]).endswith("List"):
            raise TypeError("it stands in a List; write it as a document of its own first")
        _change(data, fix)
    except (YAMLError, KeyError, IndexError, TypeError) as error:
        raise _gone(fix, str(error)) from error
    made = io.StringIO()
    yaml.dump(data, made)
    lead = plain[: len(plain) - len(plain.lstrip("\n"))]
    tail = "\n" if plain.endswith("\n") else ""
    body = made.getvalue().strip("\n")
    return (lead + body + tail).replace("\n", newline)


def _yaml(text: str) -> YAML:
    """Return a reader and writer that indents lists as the text does."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 16
    found = _DASH.search(text)
    offset = len(found.group(2)) - len(found.group(1)) if found else 0
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    return yaml


def _change(data: Any, fix: QuickFix) -> None:
    parent = _parent(data, fix.path, make=fix.value is not None)
    key = fix.path[-1]
    if fix.rename:
        _rename(parent, key, fix.rename)
    elif fix.value is None:
        _remove(data, fix.path)
    else:
        parent[key] = _written(fix.value, parent[key] if _holds(parent, key) else None)


def _holds(parent: Any, key: str | int) -> bool:
    return key in parent if isinstance(parent, dict) else isinstance(key, int) and key < len(parent)


def _written(value: Any, old: Any) -> Any:
    """Return a value as YAML should show it: text that reads like a number in quotes, quoted where the old one was."""
    if isinstance(value, str) and (isinstance(old, DoubleQuotedScalarString) or not _is_plain(value)):
        return DoubleQuotedScalarString(value)
    return copy.deepcopy(value)


def _is_plain(text: str) -> bool:
    """Whether text without quotes is read as that text, also by readers of YAML 1.1."""
    try:
        return bool(safe_load(text) == text)
    except PlainError:
        return False


def _parent(data: Any, path: Path, *, make: bool) -> Any:
    """Return what holds the last part of a path; mappings on the way are made where they are missing."""
    for place, part in enumerate(path[:-1]):
        named = all(isinstance(one, str) for one in path[place:])
        if make and named and isinstance(data, dict) and part not in data:
            data[part] = CommentedMap()
        data = data[part]
    if not isinstance(data, dict | list):
        raise TypeError(f"{path_text(path[:-1])} holds no mapping and no list")
    return data


def _rename(parent: Any, old: str | int, new: str) -> None:
    if not isinstance(parent, CommentedMap) or old not in parent:
        raise KeyError(f"{old} is not there")
    position = list(parent).index(old)
    comment = parent.ca.items.pop(old, None)
    value = parent.pop(old)
    if new in parent:
        raise KeyError(f"{new} is there already")
    parent.insert(position, new, value)
    if comment is not None:
        parent.ca.items[new] = comment


def _remove(data: Any, path: Path) -> None:
    parent = _parent(data, path, make=False)
    if not isinstance(parent, CommentedMap | CommentedSeq):
        raise TypeError(f"{path_text(path)} cannot be taken out")
    if isinstance(parent, CommentedMap):
        _keep_comments_below(parent, path[-1])
    del parent[path[-1]]


def _keep_comments_below(parent: CommentedMap, key: str | int) -> None:
    """Hand the comment lines below a key that goes to the key above it, where that has a plain value."""
    below = _comment(parent, key).partition("\n")[2]
    above = list(parent)[list(parent).index(key) - 1]
    if not below.strip() or above == list(parent)[-1] or isinstance(parent[above], dict | list):
        return
    text = _comment(parent, above).rstrip("\n") + "\n" + below
    parent.ca.items[above] = [None, None, CommentToken(text, CommentMark(0), None), None]


def _comment(parent: CommentedMap, key: str | int) -> str:
    """Return the comment behind a key's value, with the lines below it."""
    tokens: list[Any] = list(parent.ca.items.get(key) or [])
    return str(tokens[2].value) if len(tokens) > 2 and tokens[2] is not None else ""


def _gone(fix: QuickFix, why: str) -> UsageError:
    return UsageError(
        f"the fix {fix.title!r} does not fit any more",
        why=f"{path_text(fix.path)}: {why}",
        fix="Validate again, and take the fix that it offers then.",
        code="E-POL-011",
    )
