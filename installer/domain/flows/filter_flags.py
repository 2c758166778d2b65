"""The filter flags of ``hubble observe`` turned into filters, word for word, and what we accept beyond them.

A flag fills fields of a *left* and a *right* filter (``left OR right`` is asked for): ``--from-…`` and ``--to-…`` fill
the same field in both, the plain form the source in the left and the destination in the right. ``--not`` moves the next
flag to the blacklist, where all flags share one such pair; ``--exclude`` gives the next flag a pair of its own, so that
every excluded clause hides what it matches by itself. ``filter_flag_table.EXTENSIONS`` lists where we accept what
``hubble`` refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from installer.domain.flows.filter_error import FilterError
from installer.domain.flows.filter_flag_table import CONFLICTS, FLAGS, FilterFlag
from installer.domain.flows.filter_namespaces import (
    add_namespaces,
    inconsistent_service,
    namespace_conflicts,
)
from installer.domain.flows.filter_raw import parse_raw_filters
from installer.domain.flows.filter_values import VALUE_PARSERS, parse_value, split_list
from installer.domain.flows.flow_filter import Experimental, FilterSet, FlowFilter
from installer.domain.flows.go_text import quoted


@dataclass(frozen=True, slots=True)
class FlagValue:
    """One flag of the command line.

    Attributes:
        name: long name without hyphens; ``not`` and ``exclude`` stand before the flag they are for.
        value: its text; flags without a value have ``true``.
        negated: the flag follows ``--not`` (for callers that have resolved it; an own ``not`` works as well).
    """

    name: str
    value: str = "true"
    negated: bool = False


def filters_from_flags(
    flags: Sequence[FlagValue],
    *,
    allowlist: Sequence[str] = (),
    denylist: Sequence[str] = (),
    strict: bool = False,
) -> FilterSet:
    """Return the filters that these flags ask for.

    Args:
        flags: in the order of the command line.
        allowlist: values of ``--allowlist``, JSON of filters.
        denylist: values of ``--denylist``.
        strict: refuse all that hubble refuses (``EXTENSIONS`` off).

    Raises:
        FilterError: E-FILTER-001, 002, 003, 007, 008, with hubble's words.
    """
    builder = _Builder(strict)
    for flag in flags:
        builder.add(flag)
    builder.end()
    return FilterSet(
        (*builder.allowed.filters(), *parse_raw_filters(allowlist, "allowlist")),
        (
            *builder.denied.filters(),
            *(item for clause in builder.excluded for item in clause.filters()),
            *parse_raw_filters(denylist, "denylist"),
        ),
    )


class _Builder:
    """Takes flags one by one."""

    def __init__(self, strict: bool) -> None:
        self.allowed, self.denied = _Clause(strict), _Clause(strict)
        self.excluded: list[_Clause] = []
        self._strict = strict
        self._pending = ""

    def add(self, flag: FlagValue) -> None:
        known = FLAGS.get(flag.name)
        if known is None or (self._strict and known.ours):
            raise FilterError(f"unknown flag: --{flag.name}", fix="see beeyard observe --help", code="E-FILTER-008")
        if flag.name in ("not", "exclude"):
            if self._pending:
                raise _invalid(flag, known, f"consecutive --{flag.name} statements", "E-FILTER-003")
            self._pending = flag.name
            return
        pending, self._pending = self._pending or ("not" if flag.negated else ""), ""
        clause = self.denied if pending == "not" else self.allowed
        if pending == "exclude":
            clause = _Clause(self._strict)
            self.excluded.append(clause)
        try:
            clause.add(known, flag.value)
        except ValueError as error:
            raise _invalid(flag, known, str(error), "E-FILTER-001") from error

    def end(self) -> None:
        if self._pending:
            raise FilterError(
                f"trailing --{self._pending} found in the arguments",
                fix="a filter flag must follow it",
                code="E-FILTER-003",
            )


def _invalid(flag: FlagValue, known: FilterFlag, why: str, code: str) -> FilterError:
    name = f"-{known.short}, --{known.name}" if known.short else f"--{known.name}"
    if "cannot be combined" in why:
        code = "E-FILTER-002"
    return FilterError(
        f"invalid argument {quoted(flag.value)} for {quoted(name)} flag: {why}",
        fix="see beeyard observe --help",
        code=code,
    )


class _Clause:
    """A left and a right filter as they grow; ``left OR right`` is the clause."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._left: dict[str, tuple[Any, ...]] = {}
        self._right: dict[str, tuple[Any, ...]] = {}
        self._namespaces: dict[str, list[str]] = {"": [], "from-": [], "to-": []}
        self._used: list[str] = []

    def add(self, flag: FilterFlag, value: str) -> None:
        """Take one flag.

        Raises:
            ValueError: with hubble's words.
        """
        if flag.name not in self._used:
            self._used.append(flag.name)
        self._check_conflicts()
        if "namespace" in flag.name:
            self._add_namespace(flag, value)
        else:
            for text in split_list(flag.name, value) if not self._strict else (value,):
                self._add_value(flag, parse_value(flag.name, text, strict=self._strict))
        self._check_namespaces()

    def _add_namespace(self, flag: FilterFlag, value: str) -> None:
        side = next(side for side in ("from-", "to-", "") if flag.name.startswith(side))
        if flag.name.endswith("all-namespaces"):
            self._namespaces[side].append("")
        else:
            self._namespaces[side].extend((value,) if self._strict else split_list("namespace", value))

    def _add_value(self, flag: FilterFlag, value: Any) -> None:
        for target, names in ((self._left, flag.left), (self._right, flag.right)):
            for name in names:
                target[name] = (*target.get(name, ()), value)

    def _check_conflicts(self) -> None:
        for group in CONFLICTS:
            for flag in group:
                for other in group:
                    if flag != other and flag in self._used and other in self._used and self._exclusive(flag, other):
                        raise ValueError(f"filters --{flag} and --{other} cannot be combined")

    def _exclusive(self, flag: str, other: str) -> bool:
        if self._strict:
            return True
        first, second = _family(flag), _family(other)
        return first == second

    def _check_namespaces(self) -> None:
        for side in (self._left, self._right):
            faults = [
                *namespace_conflicts(self._namespaces, side),
                *inconsistent_service(side.get("source_pod", ()), side.get("source_service", ())),
                *inconsistent_service(side.get("destination_pod", ()), side.get("destination_service", ())),
            ]
            if faults:
                raise ValueError("\n".join(faults))

    def filters(self) -> tuple[FlowFilter, ...]:
        """Return none, one or two filters."""
        if not self._left and not self._right and not any(self._namespaces.values()):
            return ()
        left, right = dict(self._left), dict(self._right)
        for target in (left, right):
            add_namespaces(target, "destination", self._namespaces["to-"])
            add_namespaces(target, "source", self._namespaces["from-"])
        add_namespaces(left, "source", self._namespaces[""])
        add_namespaces(right, "destination", self._namespaces[""])
        first, second = _filter(left), _filter(right)
        return (first,) if first == second else (first, second)


def _filter(values: dict[str, tuple[Any, ...]]) -> FlowFilter:
    cel = values.pop("cel_expression", ())
    return FlowFilter(**values, experimental=Experimental(cel) if cel else None)


def _family(flag: str) -> str:
    base = flag.removeprefix("from-").removeprefix("to-")
    if base in ("fqdn", "ip", "label", "port", "identity", "workload"):
        return base
    return "encryption" if "encrypted" in base else "names"


def parse_arguments(arguments: Sequence[str]) -> tuple[list[FlagValue], list[str]]:
    """Split a command line into filter flags and what is left over, as pflag reads it.

    Raises:
        FilterError: E-FILTER-008 a flag without its value.
    """
    flags: list[FlagValue] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        known, value, has_value = _recognised(word)
        if known is None:
            rest.append(word)
        elif has_value or not known.takes_value:
            flags.append(FlagValue(known.name, value if has_value else _bare_value(known.name)))
        elif queue:
            flags.append(FlagValue(known.name, queue.pop(0)))
        else:
            raise FilterError(f"flag needs an argument: {word}", fix="see beeyard observe --help", code="E-FILTER-008")
    return flags, rest


def _bare_value(name: str) -> str:
    return {"ipv4": "v4", "ipv6": "v6"}.get(name, "true")


_SHORT: Final = {flag.short: flag for flag in FLAGS.values() if flag.short}


def _recognised(word: str) -> tuple[FilterFlag | None, str, bool]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return FLAGS.get(name), value, bool(equals)
    if len(word) >= 2 and word[0] == "-" and word[1] in _SHORT:
        flag, value = _SHORT[word[1]], word[2:]
        return flag, value.removeprefix("="), bool(value)
    return None, "", False


assert set(VALUE_PARSERS) <= set(FLAGS), "every parser is for a flag"
