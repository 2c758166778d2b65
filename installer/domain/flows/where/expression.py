"""Expressions ready for use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from installer.domain.errors import BeeyardError
from installer.domain.flows.flow import Flow
from installer.domain.flows.flow_filter import FilterSet
from installer.domain.flows.where.evaluate import compile_expression
from installer.domain.flows.where.fault import WhereError
from installer.domain.flows.where.fields import ALONE
from installer.domain.flows.where.parser import parse
from installer.domain.flows.where.pushdown import push_down
from installer.domain.flows.where.syntax import Expression, text_of


@dataclass(frozen=True, slots=True)
class Where:
    """A compiled expression.

    Attributes:
        text: canonical text; compiles to the same.
        matches: says whether a flow passes.
        exact_on_server: a server with ``pushdown()`` leaves nothing to do here.
        expression: the tree.
    """

    text: str
    matches: Callable[[Flow], bool]
    exact_on_server: bool
    expression: Expression
    _filters: FilterSet

    def pushdown(self) -> FilterSet:
        """Return what a server can do: filters that let through at least what passes here."""
        return self._filters


def compile_where(text: str) -> Where:
    """Compile an expression.

    Raises:
        WhereError: E-WHERE-001 to 004 with the place, or a fault of pasted flags (E-FILTER-*).
    """
    try:
        return from_expression(parse(text))
    except WhereError:
        raise
    except BeeyardError as error:
        fault = WhereError(error.what, text, 0, len(text), fix=error.fix, code=error.code)
        fault.what = error.what
        raise fault from error


def from_expression(item: Expression) -> Where:
    """Compile a tree made by the parser or by a program.

    Raises:
        BeeyardError: flags that contradict each other or have bad values.
    """
    matches = compile_expression(item)
    filters, exact = push_down(item)
    return Where(canonical(item), matches, exact, item, filters)


def canonical(item: Expression) -> str:
    """Return the canonical text of a tree."""
    return text_of(item, ALONE)
