"""The configuration in force, from all its sources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from installer.domain.config_layers import Layer, Resolved, from_environment, from_set, leaf_paths, resolve
from installer.domain.errors import UsageError
from installer.domain.spec import ClusterDocument, ClusterSpec
from installer.domain.spec_checks import SpecProblem
from installer.domain.spec_checks import check as spec_check
from installer.domain.yaml_document import parse
from installer.pipeline import chart_values
from installer.pipeline.chart_values import Assets, Existing


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the configuration comes from.

    Attributes:
        file: path of the file, ``-`` for stdin, None where there is none.
        stdin: text read from stdin when ``file`` is ``-``.
        sets: ``--set`` expressions.
        environment: variables.
        flags: layers of single flags, strongest.
    """

    file: str | None = None
    stdin: str = ""
    sets: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    flags: Sequence[Layer] = ()


def load(sources: Sources) -> Resolved:
    """Return the configuration in force.

    Raises:
        UsageError: ``E-CONFIG-0xx`` or ``E-YAML-0xx``.
    """
    layers: list[Layer] = []
    if sources.file:
        layers.append(_file_layer(sources))
    layers += from_environment(sources.environment or {})
    layers += [from_set(expression) for expression in sources.sets]
    return resolve([*layers, *sources.flags])


def _file_layer(sources: Sources) -> Layer:
    name = "stdin" if sources.file == "-" else str(sources.file)
    document = parse(sources.stdin if sources.file == "-" else _read(Path(name)), name)
    if document.data is None:
        return Layer(name, {})
    if not isinstance(document.data, dict):
        raise UsageError(
            f"{name} is no cluster specification",
            why=f"It holds a {type(document.data).__name__}, not a mapping.",
            fix="Start from `beeyard config init`.",
            code="E-CONFIG-004",
        )
    return Layer(name, document.data, document.marks)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read", why=_reason(error), fix="Give the path of a beeyard.yaml.", code="E-CONFIG-005"
        ) from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def problems(resolved: Resolved, assets: Assets, *, allow_unsupported: bool = False) -> list[SpecProblem]:
    """Return every contradiction, the support table and the Helm values included.

    Raises:
        RefusedError: ``E-CILIUM-001`` the Cilium version is not supported.
        UsageError: ``E-CILIUM-010`` the Helm values are wrong.
    """
    values(resolved, assets, allow_unsupported=allow_unsupported)
    return spec_check(resolved.document.spec)


def values(
    resolved: Resolved, assets: Assets, *, version: str | None = None, allow_unsupported: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Return the Helm values that would be used, and warnings about them.

    Raises:
        RefusedError: ``E-CILIUM-001`` the Cilium version is not supported.
        UsageError: ``E-CILIUM-010`` the Helm values are wrong.
    """
    spec = resolved.document.spec
    table = chart_values.load_releases(assets)
    release = chart_values.chart_release(table, version or spec.cilium.version, allow_unsupported=allow_unsupported)
    wanted = chart_values.inputs(spec, release, Existing(), use_digests=not spec.downloads.bundle)
    composed = chart_values.compose_values(spec, assets, wanted)
    known = chart_values.known_keys(assets, table, release.minor)
    found = chart_values.examine(composed, wanted, chart_values.user_values(spec), known, table)
    return composed.values, [f"{item.path}: {item.what} {item.fix}".strip() for item in found]


def show(resolved: Resolved) -> list[tuple[str, Any, str]]:
    """Return (path, value, origin) of every setting, in order; ``default`` where nobody set it."""
    rows = []
    whole = resolved.document.model_dump(by_alias=True)
    for path in leaf_paths():
        value: Any = whole
        for part in path:
            value = value[part]
        rows.append((".".join(path), value, origin_of(resolved, ".".join(path))))
    return rows


def origin_of(resolved: Resolved, dotted: str) -> str:
    """Return where a value comes from."""
    exact = resolved.origins.get(dotted)
    if exact:
        return exact
    inner = {origin for path, origin in resolved.origins.items() if path.startswith(dotted + ".")}
    return ", ".join(sorted(inner)) or "default"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``beeyard.yaml``."""
    return ClusterDocument.model_json_schema(by_alias=True)


def template() -> str:
    """Return a ``beeyard.yaml`` with every setting, its default and its meaning; what is optional is commented out."""
    document = ClusterDocument.model_validate({})
    lines = ["# A cluster as beeyard makes it. What is commented out shows its default.", ""]
    lines += [f"apiVersion: {document.api_version}", f"kind: {document.kind}", "spec:"]
    for name, info in ClusterSpec.model_fields.items():
        key = info.alias or name
        lines += [
            f"  # {info.description}",
            f"  {key}:",
            *_commented(getattr(document.spec, name), "    ", "    # "),
            "",
        ]
    lines[-1:] = []
    return "\n".join(lines) + "\n"


def _commented(model: BaseModel, indent: str, prefix: str) -> list[str]:
    """Return the settings of a model as commented lines."""
    lines = []
    for name, info in type(model).model_fields.items():
        value, key = getattr(model, name), info.alias or name
        lines.append(f"{indent}# {'# ' if prefix != indent + '# ' else ''}{info.description}")
        if isinstance(value, BaseModel):
            lines += [f"{prefix}{key}:", *_commented(value, indent, prefix + "  ")]
        else:
            lines.append(f"{prefix}{key}: {json.dumps(value)}")
    return lines
