"""Policy tests from files, with the policies that they name in other files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from installer.domain.errors import UsageError
from installer.domain.policy.cases import Case, read_case
from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.findings import Finding
from installer.domain.policy.known_schema import KNOWN_CRDS
from installer.domain.policy.validation import validate
from installer.services.policies.sources import policies_of, read_sources

_NOT_TAKEN = ("P-YAML-", "P-SCHEMA-")
"""What the API would refuse; what agents think of a policy the case itself tells."""


class CaseReader:
    """Reads policy tests; a file of policies that many cases name is read once."""

    def __init__(self) -> None:
        self._files: dict[Path, list[dict[str, Any]]] = {}

    def read(self, document: SourceDocument) -> list[Case]:
        """Return the cases of one document.

        Paths in ``policyFiles`` start at the folder of the document's file; those of standard input at the working
        folder.

        Raises:
            UsageError: ``E-POL-010`` it holds no policy tests, ``E-POL-001`` or ``E-POL-003`` a file of policies cannot
                be read or has errors.
        """
        if document.problems:
            problem = document.problems[0]
            raise UsageError(f"{_place(problem, document.file)}: {problem.text}", fix=problem.fix, code="E-POL-010")
        if not isinstance(document.data, list):
            raise UsageError(
                f"{document.file}:{document.line}: a file of policy tests is a list of cases",
                fix="See docs/policy-tests.md for the format.",
                code="E-POL-010",
            )
        folder = Path(document.file).parent
        cases = []
        for number, raw in enumerate(document.data, start=1):
            where = f"{document.file}: case {number}"
            cases.append(read_case(self._whole(raw, folder, where), where))
        return cases

    def _whole(self, raw: Any, folder: Path, where: str) -> Any:
        """Return a case with the policies of its files beside its own."""
        if not isinstance(raw, Mapping) or "policyFiles" not in raw:
            return raw
        names = raw["policyFiles"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UsageError(
                f"{where}: policyFiles is a list of paths",
                why="It is no policy test.",
                fix="See docs/policy-tests.md for the format.",
                code="E-POL-010",
            )
        named = [policy for name in names for policy in self._policies(folder / name)]
        own = raw.get("policies", [])
        return {**raw, "policies": [*named, *own] if isinstance(own, list) else own}

    def _policies(self, path: Path) -> list[dict[str, Any]]:
        if path not in self._files:
            documents = read_sources([str(path)])
            for problem in validate(documents, KNOWN_CRDS).errors:
                if problem.code.startswith(_NOT_TAKEN):
                    raise UsageError(
                        f"{_place(problem, str(path))}: {problem.text}",
                        why="The API would not take this policy.",
                        fix=problem.fix,
                        code="E-POL-003",
                    )
            self._files[path] = policies_of(documents)
        return self._files[path]


def _place(problem: Finding, file: str) -> str:
    return f"{file}:{problem.mark.line}" if problem.mark else file
