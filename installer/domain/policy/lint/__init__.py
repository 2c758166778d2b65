"""What is legal in a policy but most likely wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from installer.domain.policy.documents import SourceDocument
from installer.domain.policy.findings import Finding
from installer.domain.policy.lint import addresses, dns, http, isolation, keys, overlap, ports, selectors, versions
from installer.domain.policy.lint.codes import CODES, Code
from installer.domain.policy.lint.scene import Around, Scene, Told
from installer.domain.policy.model import Settings
from installer.domain.policy.validation import Lint
from installer.domain.policy.world import World

CHECKS: Final[tuple[Callable[[Scene], Iterable[Told]], ...]] = (
    *selectors.CHECKS,
    *keys.CHECKS,
    *isolation.CHECKS,
    *dns.CHECKS,
    *addresses.CHECKS,
    *ports.CHECKS,
    *http.CHECKS,
    *overlap.CHECKS,
    *versions.CHECKS,
)


def linter(world: World | None = None, settings: Settings | None = None) -> Lint:
    """Return a lint for ``validate``.

    Args:
        world: the cluster that the documents are for; without it only what the files themselves show is told.
        settings: of Cilium, where there is no cluster.
    """
    around = Around(world, settings)

    def lint(documents: Sequence[SourceDocument]) -> Iterable[tuple[SourceDocument, Finding]]:
        scene = Scene(documents, around)
        found: dict[tuple[int, Finding], Told] = {}
        for check in CHECKS:
            for document, finding in check(scene):
                found.setdefault((id(document), _bare(finding)), (document, finding))
        return list(found.values())

    return lint


def _bare(finding: Finding) -> Finding:
    """Return what makes two findings the same: code, place and text."""
    return Finding(finding.level, finding.code, finding.text, finding.path)


__all__ = ["CODES", "Code", "linter"]
