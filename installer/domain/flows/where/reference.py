"""The language on one page, made from its tables: ``docs/observe-filters.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from installer.domain.flows.filter_flag_table import EXTENSIONS
from installer.domain.flows.where.fields import ALIASES, FIELDS, Field
from installer.domain.flows.where.kinds import KINDS

_HEAD: Final = """\
# Filtering flows

<!-- Made by scripts/gen_filter_docs. Edit installer/domain/flows/where, not this page. -->

`beeyard observe` takes the filter flags of `hubble observe`, and expressions: `--where '…'` on the command line, and
the same language in the filter bar of the Flows screen.

    beeyard observe --where 'verdict=dropped and dst.ns=prod and port>1024'
    beeyard observe --where 'not (ns in (kube-system, monitoring) or protocol=dns)'
    beeyard observe --where 'http.status=5+ or latency > 250ms'

## The language

- A comparison is `field=value`. Spaces around operators are free. Values with spaces, commas or parentheses are quoted:
  `"…"` (with `\\"` and `\\\\`) or `'…'`.
- Several values are alternatives: `port in (53, 80)`, `port not in (53, 80)`, or `verdict=dropped,audit`.
- `and` (or `&&`, or nothing at all), `or` (`||`), `not` (`!`), parentheses. `and` binds closer than `or`.
- `ns`, `pod`, `ip`, `port` and the like hold when either side has the value; `src.` and `dst.` name one. `ns!=shop` is
  `not ns=shop`: neither side is in shop.
- A flow without a value is in no order with anything and equal to nothing: `port!=80` lets a ping through.
- `*` stands for any run of characters in names and URLs. `~` searches a regular expression in RE2's syntax, as servers
  do; one that could take for ever on hostile input is refused.
- Words of verdicts, reasons, types, protocols and the like may have any case; names are compared as they stand.
- A bare word is looked for, in any case, in pods, namespaces, services, DNS names, addresses, verdict, reason and
  summary: `web` or `"policy denied"`.
- Flags of `hubble observe` may stand in an expression, also a whole command line pasted in: `--from-pod shop/web`.
- What a server can filter, it does; the rest is done here. Nothing gets lost by that: the server is asked for at least
  what the expression lets through.

## Fields

Operators: `=` and `!=` everywhere; the column has the others. *Server*: servers filter by it.

| field | what it is | also | server | example |
|---|---|---|---|---|
"""

_SIDES: Final = """
Fields marked ⇄ have the forms `src.…` and `dst.…`.

Other spellings: """

_EXTENSIONS: Final = """

## Flags beyond hubble's

All filter flags of `hubble observe` are understood as there, with its messages where it refuses. Beyond that:

| flags | hubble | beeyard | why |
|---|---|---|---|
"""


def reference_page() -> str:
    """Return the page as Markdown."""
    rows = "".join(f"{_row(field)}\n" for field in _plain_fields())
    aliases = ", ".join(
        f"`{name}` = `{field}`" for name, field in ALIASES.items() if not name.startswith(("src", "dst"))
    )
    extensions = "".join(f"| `{item.example}` | {item.hubble} | {item.ours} | {item.reason} |\n" for item in EXTENSIONS)
    return f"{_HEAD}{rows}{_SIDES}{aliases}.{_EXTENSIONS}{extensions}{_words()}"


def _plain_fields() -> Iterator[Field]:
    return (field for field in FIELDS.values() if not field.name.startswith(("src.", "dst.")))


def _row(field: Field) -> str:
    sided = " ⇄" if f"src.{field.name}" in FIELDS else ""
    name = f"{field.name}*key*" if field.name.endswith(".") else field.name
    others = " ".join(f"`{operator}`" for operator in KINDS[field.kind].operators[2:])
    text = field.help.removesuffix(", of either side")
    shown = f"`{name}`" if "*" not in name else f"`{field.name}`*key*"
    return f"| {shown}{sided} | {text} | {others} | {'yes' if field.wire else ''} | `{_escaped(field.example)}` |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _words() -> str:
    listed: list[str] = []
    for field in _plain_fields():
        words = KINDS[field.kind].words
        if words:
            listed.append(f"- `{field.name}`: {_list(words)}")
    return "\n## Words\n\n" + "\n".join(listed) + "\n"


def _list(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
