"""The editor of policies: coloured YAML with the findings in the gutter and under the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from installer.domain.policy.editing.tokens import tokens
from installer.domain.policy.findings import Finding, Level

SIGNS = {Level.ERROR: "✗", Level.WARNING: "!", Level.INFO: "i"}
ASCII_SIGNS = {Level.ERROR: "x", Level.WARNING: "!", Level.INFO: "i"}
_RANK = (Level.ERROR, Level.WARNING, Level.INFO)
_INDENT = 2


class PolicyEditor(TextArea):
    """Edits one draft.

    Args:
        draft_id: the draft.
        text: its text.
        ascii_only: draw signs in ASCII.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"yaml--{kind}" for kind in ("key", "mark", "string", "number", "word", "comment", "document", "tab")),
        *(f"sign--{level}" for level in Level),
    }
    DEFAULT_CSS = """
    PolicyEditor {
        border: none; padding: 0; background: $surface; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
        & .yaml--key { color: $secondary; }
        & .yaml--mark { color: $text-muted; }
        & .yaml--string { color: $foreground; }
        & .yaml--number { color: $warning; }
        & .yaml--word { color: $primary; }
        & .yaml--comment { color: $text-muted; text-style: italic; }
        & .yaml--document { color: $primary; text-style: bold; }
        & .yaml--tab { background: $error; }
        & .sign--error { color: $error; text-style: bold; }
        & .sign--warning { color: $warning; text-style: bold; }
        & .sign--info { color: $secondary; text-style: bold; }
    }
    PolicyEditor:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("shift+tab", "outdent", "Less indentation", show=False),
        Binding("f6", "screen.next_view", "Next view"),
        Binding("f7", "screen.fix", "Fix", show=False),
        Binding("ctrl+w", "screen.close_draft", "Close", show=False),
    ]

    @dataclass
    class Key(Message):
        """A key that is not for the text: one that an open list wants, or Escape.

        Attributes:
            key: Textual's name.
        """

        key: str

    def __init__(self, draft_id: str, text: str, *, ascii_only: bool = False):
        self.draft_id = draft_id
        self.popup_keys: frozenset[str] = frozenset()
        self._signs = ASCII_SIGNS if ascii_only else SIGNS
        self._marks: dict[int, list[Finding]] = {}
        self._kinds: dict[str, Style] = {}
        super().__init__(
            text, soft_wrap=False, tab_behavior="indent", show_line_numbers=True, compact=True, max_checkpoints=200
        )
        self.indent_width = _INDENT

    # Findings

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Mark the lines of findings."""
        marks: dict[int, list[Finding]] = {}
        for one in findings:
            if one.mark is not None:
                marks.setdefault(min(one.mark.line, self.document.line_count) - 1, []).append(one)
        if marks != self._marks:
            self._marks = marks
            self._line_cache.clear()
            self.refresh()

    def findings_at(self, row: int) -> list[Finding]:
        """Return the findings of a line, counted from 0, the worst first."""
        return sorted(self._marks.get(row, ()), key=lambda one: _RANK.index(one.level))

    def go_to_line(self, line: int, column: int = 1) -> None:
        """Put the cursor on a line, counted from 1."""
        row = max(0, min(line - 1, self.document.line_count - 1))
        self.move_cursor((row, min(max(0, column - 1), len(self.document.get_line(row)))), center=True)

    # Drawing

    def notify_style_update(self) -> None:
        """Draw anew in the colours of another theme."""
        super().notify_style_update()
        self._kinds.clear()

    def _kind(self, name: str) -> Style:
        style = self._kinds.get(name)
        if style is None:
            found = self.get_component_rich_style(name, partial=True)
            colour = self.get_component_rich_style(name).color  # a muted one depends on the background
            style = Style(color=colour, bold=found.bold, italic=found.italic, bgcolor=found.bgcolor)
            self._kinds[name] = style
        return style

    def get_line(self, line_index: int) -> Text:
        """Return a line with its colours; what is wrong in it is underlined."""
        text = _visible(self.document.get_line(line_index))
        line = Text(text, end="", no_wrap=True)
        for token in tokens(text):
            line.stylize(self._kind(f"yaml--{token.kind}"), token.start, token.end)
        for finding in self._marks.get(line_index, ()):
            start = (finding.mark.column - 1) if finding.mark else 0
            line.stylize(Style(underline=True), start, _end_of_word(text, start))
        return line

    def _render_line(self, y: int) -> Strip:
        """Put the sign of the worst finding into the gutter."""
        strip = super()._render_line(y)
        try:
            row, section = self.wrapped_document._offset_to_line_info[y + self.scroll_offset.y]  # noqa: SLF001
        except IndexError:
            return strip
        findings = self.findings_at(row)
        if not findings or section or not self.show_line_numbers:
            return strip
        width = self.gutter_width
        gutter, rest = strip.crop(0, width), strip.crop(width)
        style = next((segment.style for segment in gutter if segment.style), Style())
        level = findings[0].level
        sign = Segment(self._signs[level], style + self._kind(f"sign--{level}"))
        return Strip.join([gutter.crop(0, width - 2), Strip([sign, Segment(" ", style)]), rest])

    # Keys

    async def _on_key(self, event: events.Key) -> None:
        """Take the keys that mean something else here; the others go on to the text area by themselves."""
        if event.key in self.popup_keys or event.key == "escape":
            self.post_message(self.Key(event.key))
        elif event.key == "enter" and not self.read_only:
            self._replace_via_keyboard("\n" + " " * self._next_indent(), *self.selection)
        else:
            return
        event.stop()
        event.prevent_default()

    def _next_indent(self) -> int:
        """Return the indentation of a new line: deeper after a key without a value, beside the words of an item."""
        row, column = self.cursor_location
        before = self.document.get_line(row)[:column]
        bare = before.lstrip(" ")
        indent = len(before) - len(bare)
        while bare.startswith("- "):
            indent += 2
            bare = bare[2:]
        opens = bare.rstrip().endswith(":") and not bare.lstrip().startswith("#")
        return indent + _INDENT if opens else indent

    def action_outdent(self) -> None:
        """Take away a step of indentation from the lines of the selection."""
        first, last = sorted((self.selection.start[0], self.selection.end[0]))
        for row in range(first, last + 1):
            blanks = len(self.document.get_line(row)) - len(self.document.get_line(row).lstrip(" "))
            if blanks:
                self.delete((row, 0), (row, min(_INDENT, blanks)))

    # Completion

    def before_cursor(self) -> tuple[list[str], int, int]:
        """Return the lines, and row and column of the cursor."""
        row, column = self.cursor_location
        return list(self.document.lines), row, column

    def complete(self, insert: str, typed: int) -> None:
        """Put a proposal in place of the word at the cursor, of which ``typed`` characters stand before it."""
        row, column = self.cursor_location
        start, end = column - typed, column
        line = self.document.get_line(row)
        while end < len(line) and line[end] not in " ,]}#":
            end += 1
        if insert.endswith(": ") and line[end : end + 1] == " ":
            insert = insert[:-1]
        text = insert.replace("\n", "\n" + " " * start)
        self.replace(text, (row, start), (row, end), maintain_selection_offset=False)


def _end_of_word(text: str, start: int) -> int:
    end = start
    while end < len(text) and text[end] not in " ,]}#":
        end += 1
    return max(end, start + 1)


def _visible(text: str) -> str:
    """Return text of the same length in which nothing moves the cursor of a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "�" for char in text)


def worst(findings: Mapping[Level, int]) -> str:
    """Return the count of findings in words, such as ``2 errors, 1 warning``."""
    parts = [
        f"{findings[level]} {level}{'' if findings[level] == 1 else 's'}" for level in _RANK if findings.get(level)
    ]
    return ", ".join(parts) or "no problems"
