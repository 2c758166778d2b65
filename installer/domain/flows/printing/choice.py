"""Formats by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from installer.domain.errors import UsageError
from installer.domain.flows import jsonpb
from installer.domain.flows.flow import Answer
from installer.domain.flows.printing.columns import CustomColumnsPrinter, SeparatedPrinter, WidePrinter
from installer.domain.flows.printing.compact import CompactPrinter
from installer.domain.flows.printing.dict_form import DictPrinter
from installer.domain.flows.printing.events import EventPrinter
from installer.domain.flows.printing.json_form import JsonPrinter
from installer.domain.flows.printing.options import Printer, PrintOptions
from installer.domain.flows.printing.table import TablePrinter

FORMATS = ("compact", "dict", "json", "jsonpb", "table", "wide", "csv", "tsv", "custom-columns=")
"""Formats of flows, for help and completion; ``tab`` and ``JSON`` are taken too."""
_CUSTOM = "custom-columns="


def printer(form: str, options: PrintOptions) -> Printer:
    """Return the printer of a format.

    Raises:
        UsageError: E-FLOW-020 there is no such format, E-FLOW-021 or -022 the columns are wrong.
    """
    match form:
        case "compact":
            return CompactPrinter(options)
        case "dict":
            return DictPrinter(options)
        case "json" | "JSON" | "jsonpb":
            return JsonPrinter(options)
        case "tab" | "table":
            return TablePrinter(options)
        case "wide":
            return WidePrinter(options)
        case "csv" | "tsv":
            return SeparatedPrinter(options, "," if form == "csv" else "\t")
    if form.startswith(_CUSTOM):
        return CustomColumnsPrinter(options, form.removeprefix(_CUSTOM))
    raise _no_format(form, FORMATS)


def print_many(form: str, options: PrintOptions) -> Callable[[Sequence[Answer]], bytes]:
    """Return a function that prints answers at once, in a format whose lines stand by themselves.

    Raises:
        UsageError: as ``printer``.
    """
    write = printer(form, options).write
    if form in ("json", "JSON", "jsonpb") and not (options.terminal or options.legacy_json):
        return lambda answers: jsonpb.encode_lines([answer for answer in answers if answer.flow or answer.lost_events])
    return lambda answers: "".join(map(write, answers)).encode(errors="backslashreplace")


def event_printer(form: str, options: PrintOptions) -> EventPrinter:
    """Return the printer of agent events and debug events in a format.

    Raises:
        UsageError: E-FLOW-020 there is no such format.
    """
    known = {"tab": "table", "table": "table", "JSON": "json", "json": "json", "jsonpb": "json"}
    known |= {"compact": "compact", "dict": "dict"}
    if form not in known:
        raise _no_format(form, ("compact", "dict", "json", "jsonpb", "table"))
    return EventPrinter(options, known[form])


def _no_format(form: str, known: tuple[str, ...]) -> UsageError:
    return UsageError(f"invalid output format: {form}", fix="Use one of: " + ", ".join(known) + ".", code="E-FLOW-020")
