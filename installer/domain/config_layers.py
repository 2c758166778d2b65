"""Layers of configuration (flag > environment > file > default), merged with the origin of every value."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from installer.domain.errors import UsageError
from installer.domain.spec import API_VERSION, KIND, ClusterDocument
from installer.domain.yaml_document import Mark, Path


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values.

    Attributes:
        origin: where it is from, such as ``beeyard.yaml`` or ``--set``.
        data: a (partial) document: ``{"spec": {...}}``.
        marks: places of the keys in a file.
    """

    origin: str
    data: Mapping[str, Any]
    marks: Mapping[Path, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The configuration in force.

    Attributes:
        document: the validated document.
        origins: origin by dotted path of every value that is not a default.
    """

    document: ClusterDocument
    origins: dict[str, str]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the nearest known word, or an empty string."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model behind an annotation, None for anything else."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            if (model := model_of(part)) is not None:
                return model
    return None


def leaf_paths(model: type[BaseModel] = ClusterDocument, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every settable value of the document, in order."""
    for name, info in model.model_fields.items():
        path = (*prefix, info.alias or name)
        inner = model_of(info.annotation)
        if inner is None:
            yield path
        else:
            yield from leaf_paths(inner, path)


def env_name(path: Sequence[str]) -> str:
    """Return the environment variable of a path: ``spec.k3s.clusterCIDR`` is ``BEEYARD_K3S_CLUSTER_CIDR``."""
    words: list[str] = []
    for part in path[1:] if path and path[0] == "spec" else path:
        word = ""
        for index, char in enumerate(part):
            after_lower = index and char.isupper() and not part[index - 1].isupper()
            word += f"_{char}" if after_lower else char
        words.append(word.upper())
    return "_".join(["BEEYARD", *words])


def from_environment(environment: Mapping[str, str]) -> list[Layer]:
    """Return one layer per ``BEEYARD_*`` variable that names a setting; other variables are left alone."""
    layers = []
    for path in leaf_paths():
        name = env_name(path)
        if path[0] == "spec" and name in environment:
            layers.append(Layer(f"${name}", nest(path, scalar(environment[name], name))))
    return layers


def from_set(expression: str) -> Layer:
    """Return the layer of one ``--set spec.path=value`` (YAML value; ``spec.`` may be left out).

    Raises:
        UsageError: ``E-CONFIG-003`` not of that form.
    """
    path, separator, value = expression.partition("=")
    parts = tuple(part for part in path.strip().split(".") if part)
    if not separator or not parts:
        raise UsageError(
            f"--set {expression!r} is not of the form path=value",
            fix="Write it as --set k3s.clusterCIDR=10.52.0.0/16.",
            code="E-CONFIG-003",
        )
    if parts[0] != "spec":
        parts = ("spec", *parts)
    return Layer(f"--set {path.strip()}", nest(parts, scalar(value, f"--set {path}")))


def scalar(text: str, name: str) -> Any:
    """Return a value written in YAML's flow form; a version such as ``1.20`` stays a string."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(
            f"{name}: {text!r} is not a YAML value", why=str(error), fix="Quote it.", code="E-CONFIG-003"
        ) from error
    return text.strip() if isinstance(value, float) else value


def nest(path: Sequence[str], value: Any) -> dict[str, Any]:
    """Return ``{a: {b: value}}`` for ``(a, b)``."""
    for part in reversed(path):
        value = {part: value}
    return dict(value)


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Merge layers (first is weakest) and validate.

    Raises:
        UsageError: ``E-CONFIG-001`` with every wrong key and value, its place and the nearest known key.
    """
    data: dict[str, Any] = {}
    origins: dict[str, Layer] = {}
    for layer in layers:
        _merge(data, layer.data, (), layer, origins)
    data.setdefault("apiVersion", API_VERSION)
    data.setdefault("kind", KIND)
    try:
        document = ClusterDocument.model_validate(data)
    except ValidationError as error:
        raise _usage_error(error, origins) from error
    return Resolved(document, {path: layer.origin for path, layer in origins.items()})


_FREE_FORM = {
    ("spec", "cilium", "values"),
    ("spec", "k3s", "config"),
    ("spec", "k3s", "registries"),
    ("spec", "k3s", "env"),
}


def _merge(
    into: dict[str, Any], data: Mapping[str, Any], path: tuple[str, ...], layer: Layer, origins: dict[str, Layer]
) -> None:
    for key, value in data.items():
        here = (*path, str(key))
        if value is None and _keys_at(here):
            continue  # a section whose settings are all commented out
        if isinstance(value, Mapping):
            inner = into.get(key)
            into[key] = dict(inner) if isinstance(inner, Mapping) else {}
            _merge(into[key], value, here, layer, origins)
            if not value or here in _FREE_FORM:
                origins[".".join(here)] = layer
        else:
            into[key] = value
            origins[".".join(here)] = layer


def _usage_error(error: ValidationError, origins: Mapping[str, Layer]) -> UsageError:
    lines = []
    for item in error.errors(include_url=False):
        path = tuple(item["loc"])
        lines.append(f"{_where(path, origins)}: {_message(path, item)}")
    return UsageError(
        "the configuration is not valid" if len(lines) > 1 else lines[0],
        why="\n".join(lines) if len(lines) > 1 else "",
        fix="Mend the key or value; `beeyard config schema` lists them all.",
        code="E-CONFIG-001",
        details={"problems": lines},
    )


def _where(path: Path, origins: Mapping[str, Layer]) -> str:
    dotted = ".".join(str(part) for part in path)
    layer = origins.get(dotted) or next(
        (found for name, found in origins.items() if name.startswith(dotted + ".")), None
    )
    layer = layer or next((found for name, found in origins.items() if dotted.startswith(name + ".")), None)
    if layer is None:
        return dotted
    mark = layer.marks.get(path)
    place = f"{layer.origin}:{mark.line}:{mark.column}" if mark else layer.origin
    return f"{place}: {dotted}"


def _message(path: Path, item: Mapping[str, Any]) -> str:
    if item["type"] != "extra_forbidden":
        return f"{item['msg'].removeprefix('Value error, ')} (given: {item['input']!r})"
    known = _keys_at(path[:-1])
    near = nearest(str(path[-1]), known)
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(known))}"
    return f"unknown key; {hint}"


def _keys_at(path: Path) -> list[str]:
    model: type[BaseModel] | None = ClusterDocument
    for part in path:
        fields = {info.alias or name: info for name, info in (model.model_fields if model else {}).items()}
        info = fields.get(str(part))
        model = model_of(info.annotation) if info else None
    return [info.alias or name for name, info in model.model_fields.items()] if model else []
