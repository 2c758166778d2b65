"""Read the value keys and the images that an upstream Cilium chart knows.

Facts only leave this program: key names, image references, digests. The chart itself is never stored.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from installer.domain.chart_keys import KeyNode, format_keys, keys_of, union

IMAGE_KEYS = ("override", "repository", "tag", "digest", "useDigest", "pullPolicy")
IMAGES = {
    "agent": "image",
    "operator": "operator.image",
    "envoy": "envoy.image",
    "relay": "hubble.relay.image",
    "ui": "hubble.ui.frontend.image",
    "ui-backend": "hubble.ui.backend.image",
    "certgen": "certgen.image",
}
_COMMENT = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
_REFERENCE = re.compile(r"\.Values((?:\.[A-Za-z0-9_]+)+)")
_HAS_KEY = re.compile(r'hasKey\s+\.Values((?:\.[A-Za-z0-9_]+)*)\s+"(\w+)"')
_DUMPED = re.compile(r"(?:toYaml|tpl|toJson|toRawJson)\s+\(?\s*\.Values((?:\.[A-Za-z0-9_]+)+)")
_LOOPED = re.compile(r"range\s+\$\w+\s*,\s*\$\w+\s*:=\s*\.Values((?:\.[A-Za-z0-9_]+)+)")
_WITH = re.compile(
    r"with\s+\.Values((?:\.[A-Za-z0-9_]+)+)\s*-?\}\}(?:(?!\{\{-?\s*(?:end|with)).)*?toYaml\s+\.[\s|}]", re.DOTALL
)
_DISABLED_KEY = re.compile(r"^(\s*)#\s?([a-z]\w*):(\s.*)?$")
_DOC = re.compile(r"^\s*#\s+--\s")
# Words of comments, and children of "maglev: {}" that are documented at the margin.
_NOT_KEYS = frozenset({"ref", "enum", "type", "items", "minimum", "maximum", "oneOf", "tableSize", "hashSeed"})


def read_chart(path: Path) -> dict[str, str]:
    """Return the chart's text files by path below the chart folder."""
    with tarfile.open(path, "r:gz") as archive:
        members = [member for member in archive if member.isfile()]
        return {member.name.partition("/")[2]: _text(archive, member) for member in members}


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member)
    return stream.read().decode("utf-8", "replace") if stream else ""


def chart_keys(files: Mapping[str, str]) -> KeyNode:
    """Return all keys that the chart's values or templates know."""
    values = yaml.safe_load(files["values.yaml"])
    templates = _templates(files)
    mentioned = {*_references(templates), *_disabled_keys(files["values.yaml"])}
    tree = union(keys_of(values), _tree(mentioned, open_leaves=False))
    tree = union(tree, _tree(_dumped(templates), open_leaves=True))
    return _with_image_keys(_typed(tree, values, yaml.safe_load(files["values.schema.json"])))


def _templates(files: Mapping[str, str]) -> str:
    # validate.yaml names the removed keys, to refuse them.
    names = [name for name in files if name.startswith("templates/") and not name.endswith("validate.yaml")]
    return _COMMENT.sub("", "\n".join(files[name] for name in names))


def _references(templates: str) -> Iterator[tuple[str, ...]]:
    for match in _REFERENCE.finditer(templates):
        path = tuple(match.group(1)[1:].split("."))
        yield path[:-1] if path[-1] == "AsMap" else path
    for match in _HAS_KEY.finditer(templates):
        yield (*filter(None, match.group(1).split(".")), match.group(2))


def _dumped(templates: str) -> Iterator[tuple[str, ...]]:
    for pattern in (_DUMPED, _LOOPED, _WITH):
        for match in pattern.finditer(templates):
            yield tuple(match.group(1)[1:].split("."))


def _disabled_keys(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the keys that values.yaml documents but leaves commented out."""
    stack: list[tuple[int, str]] = []
    documented = schema = False
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            documented = False
            if match := re.match(r"^(\s*)([A-Za-z][\w./-]*):", line):
                depth = len(match.group(1))
                stack = [*(entry for entry in stack if entry[0] < depth), (depth, match.group(2))]
            continue
        schema = not schema if "@schema" in line else schema
        documented = documented or bool(_DOC.match(line))
        match = _DISABLED_KEY.match(line)
        if match and documented and not schema and match.group(2) not in _NOT_KEYS:
            depth = len(match.group(1))
            yield (*(name for at, name in stack if at < depth), match.group(2))


def _tree(paths: Iterable[tuple[str, ...]], *, open_leaves: bool) -> KeyNode:
    root = KeyNode()
    for path in paths:
        node = KeyNode(open=open_leaves)
        for name in reversed(path):
            node = KeyNode(children={name: node})
        root = union(root, node)
    return root


def _typed(tree: KeyNode, values: Mapping[str, Any], schema: Mapping[str, Any]) -> KeyNode:
    """Close the keys with a null default that are scalars by the chart's schema; open those that no default shows."""
    children = {}
    for name, child in tree.children.items():
        value = values.get(name)
        rule = (schema.get("properties") or {}).get(name) or {}
        if isinstance(value, Mapping) and value and not child.open:
            children[name] = _typed(child, value, rule)
        elif name in values and value is None and _scalar(rule):
            children[name] = KeyNode()
        elif name not in values and not child.children:
            children[name] = KeyNode(open=True)  # known by a template only: nothing tells its type
        else:
            children[name] = child
    return KeyNode(tree.open, children)


def _scalar(rule: Mapping[str, Any]) -> bool:
    types = rule.get("type") or []
    types = {types} if isinstance(types, str) else set(types)
    return bool(types - {"null"}) and not types & {"object", "array"}


def _with_image_keys(tree: KeyNode) -> KeyNode:
    children = {name: _with_image_keys(child) for name, child in tree.children.items()}
    if {"repository", "tag"} <= set(children):
        children = {**{name: KeyNode() for name in IMAGE_KEYS}, **children}
    return KeyNode(tree.open, children)


def chart_images(files: Mapping[str, str]) -> dict[str, str]:
    """Return the image references with digests by component."""
    values = yaml.safe_load(files["values.yaml"])
    return {component: _image(values, path.split("."), component) for component, path in IMAGES.items()}


def _image(values: Any, path: list[str], component: str) -> str:
    for name in path:
        values = values[name]
    repository = values["repository"] + ("-generic" if component == "operator" else "")
    digest = values["genericDigest"] if component == "operator" else values["digest"]
    return f"{repository}:{values['tag']}@{digest}"


def chart_facts(path: Path) -> dict[str, Any]:
    """Return what releases.yaml says of one chart file: version, sha256 and images."""
    files = read_chart(path)
    version = yaml.safe_load(files["Chart.yaml"])["version"]
    return {"version": version, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "images": chart_images(files)}


def main(argv: list[str] | None = None) -> int:
    """Print the keys (or with --release the facts) of one chart file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chart", type=Path, help="an upstream chart, such as cilium-1.20.0.tgz")
    parser.add_argument("--release", action="store_true", help="print version, sha256 and images instead")
    options = parser.parse_args(argv)
    if options.release:
        yaml.safe_dump(chart_facts(options.chart), sys.stdout, sort_keys=False, width=200)
    else:
        files = read_chart(options.chart)
        version = yaml.safe_load(files["Chart.yaml"])["version"]
        print(f"# Value keys known to chart cilium {version}. Written by scripts/gen_chart_keys; see there.")
        print(format_keys(chart_keys(files)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
