"""The error of everything that selects flows."""

from __future__ import annotations

from installer.domain.errors import UsageError


class FilterError(UsageError):
    """A filter, a flag or an expression that cannot be used. ``what`` has Hubble's own words where Hubble has some.

    Codes: E-FILTER-001 value of a flag, 002 flags that exclude each other, 003 ``--not`` without its flag, 004 value
    that no server takes, 005 regular expression, 006 CEL outside a server, 007 raw filter that cannot be read,
    008 flag unknown; E-WHERE-001 syntax, 002 unknown field, 003 value, 004 operator that does not fit the field.
    """
