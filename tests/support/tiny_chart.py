"""A tiny chart archive, made by the test that needs it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

FILES = {
    "Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 1.2.3\nappVersion: 1.2.3\n",
    "values.yaml": "greeting: hello\nlist: [1, 2]\nmap: {a: 1, b: 2}\nsecret: none\nfail: ''\n",
    "templates/config.yaml": (
        "{{- if .Values.fail }}{{ fail .Values.fail }}{{ end }}\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-config}\n"
        "data:\n  greeting: {{ .Values.greeting | quote }}\n  values: {{ .Values | toJson | quote }}\n"
        "  kube: {{ .Capabilities.KubeVersion.Version | quote }}\n"
    ),
}


def tiny_chart(folder: Path, changes: Mapping[str, str] | None = None, *, name: str = "tiny-1.2.3.tgz") -> Path:
    """Write a chart archive with some files changed or added; return its path."""
    path = folder / name
    with tarfile.open(path, "w:gz") as archive:
        for file, text in {**FILES, **(changes or {})}.items():
            data = text.encode()
            member = tarfile.TarInfo(f"tiny/{file}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path
