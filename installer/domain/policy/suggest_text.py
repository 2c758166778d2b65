"""Drafts as YAML, with what each rule rests on in a comment above it."""

from __future__ import annotations

from installer.domain.policy.merge import to_yaml
from installer.domain.policy.suggest import Draft


def draft_yaml(draft: Draft) -> str:
    """Return a draft as YAML with comments."""
    section, rule = "", -1
    lines: list[str] = []
    for line in to_yaml(draft.policy).splitlines():
        if line in ("  ingress:", "  egress:"):
            section, rule = line.strip(" :"), -1
        elif line.startswith("  - ") and section:
            rule += 1
            evidence = draft.evidence.get((section, rule))
            if evidence is not None:
                lines.append(f"  # {evidence.count} flows, {evidence.first} to {evidence.last}")
        elif section and not line.startswith("   "):
            section = ""
        lines.append(line)
    return "\n".join(lines) + "\n"
