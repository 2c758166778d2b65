"""Steps, progress and times of a run as text: pure functions of the model, the width and the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content

from installer.domain.run_view import ItemView, RunView, StepState, StepView
from installer.domain.text import human_bytes, human_seconds, one_line

WORDS: dict[StepState, tuple[str, str, str]] = {
    StepState.WAITING: ("·", ".", "dim"),
    StepState.RUNNING: ("●", "*", "$warning"),
    StepState.DONE: ("✓", "+", "$success"),
    StepState.FAILED: ("✗", "x", "$error"),
    StepState.STOPPED: ("■", "-", "$warning"),
}
"""Sign, sign in ASCII and colour of a step's state."""
TIME = 9
"""Cells of the column of times."""
WORD = 8
"""Cells of the column of states."""
BAR = 20
LEAST_BAR = 6


def cell(text: str, width: int, style: str = "", *, right: bool = False) -> Content:
    """Return text in a column of a width, cut with an ellipsis where it is too long."""
    content = Content(one_line(text))
    if content.cell_length > width:
        content = content.truncate(max(0, width), ellipsis=True)
    blank = max(0, width - content.cell_length)
    content = content.pad_left(blank) if right else content.pad_right(blank)
    return content.stylize(style) if style else content


def bar(fraction: float, width: int, style: str = "$primary", *, ascii_only: bool = False) -> Content:
    """Return a bar; a fraction of 0 to 1 is filled."""
    halves = round(min(1.0, max(0.0, fraction)) * width * 2)
    if ascii_only:
        return Content.assemble(("#" * (halves // 2), style), ("-" * (width - halves // 2), "dim"))
    filled = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return Content.assemble((filled, style), ("─" * (width - len(filled)), "$border"))  # seen without colours too


def headline(view: RunView, state: str, now: float, width: int, *, ascii_only: bool = False) -> Content:
    """Return one line about the whole run: state, steps, time, and a bar where there is room."""
    colour = {"done": "$success", "failed": "$error", "running": "$warning", "taking back": "$warning"}.get(state, "")
    words: list[Content | str | tuple[str, str]] = [("Install  ", "bold"), (state or "idle", f"{colour} bold".strip())]
    if view.steps:
        words.append(f"  {view.done} of {len(view.steps)} steps")
    words.append((f"  {human_seconds(view.elapsed(now))}", "dim"))
    if view.resumed and width >= 100:
        words.append((f"  goes on from {view.resumed}", "dim"))
    line = Content.assemble(*words)
    room = width - line.cell_length - 3
    if room >= BAR and view.steps:
        fraction = view.done / len(view.steps)
        style = "$error" if state == "failed" else "$success" if state == "done" else "$primary"
        line = Content.assemble(line, " " * (room - BAR + 3), bar(fraction, BAR, style, ascii_only=ascii_only))
    return line.truncate(width) if line.cell_length > width else line


def step_lines(
    view: RunView, now: float, width: int, *, items: int = 3, brief: bool = False, ascii_only: bool = False
) -> list[Content]:
    """Return a line for every step, and below those at work one for each of the first things that come in.

    Args:
        view: the run.
        now: UNIX time in seconds.
        width: cells of a line.
        items: how many things that come in are shown of a step.
        brief: leave out the steps that are done or still wait, and only count them.
        ascii_only: draw with ASCII only.
    """
    lines: list[Content] = []
    for step in view.steps.values():
        if brief and step.state in (StepState.DONE, StepState.WAITING):
            continue
        lines.append(_step_line(step, now, width, ascii_only))
        if step.state is StepState.RUNNING:
            lines += _item_lines(step.active_items, width, items, ascii_only)
    if brief and view.steps:
        waiting = sum(step.state is StepState.WAITING for step in view.steps.values())
        rest = f", {waiting} not begun" if waiting else ""
        lines.append(Content.styled(f"  {view.done} steps done{rest}", "dim"))
    return lines or [Content.styled("Looking at this host ...", "dim")]


def _step_line(step: StepView, now: float, width: int, ascii_only: bool) -> Content:
    sign, plain, colour = WORDS[step.state]
    elapsed = step.elapsed(now)
    time = "" if elapsed is None else human_seconds(elapsed)
    head = Content.assemble(
        (plain if ascii_only else sign, colour), " ", cell(str(step.state), WORD if width >= 56 else 0, colour)
    )
    room = max(4, width - head.cell_length - TIME)
    title = step.title if not step.note or step.state is StepState.FAILED else f"{step.title}: {step.note}"
    style = {StepState.WAITING: "dim", StepState.RUNNING: "bold", StepState.FAILED: "bold"}.get(step.state, "")
    return Content.assemble(head, cell(title, room, style), cell(time, TIME, "dim", right=True))


def _item_lines(items: Sequence[ItemView], width: int, most: int, ascii_only: bool) -> Iterator[Content]:
    for item in items[:most]:
        yield item_line(item, width, ascii_only=ascii_only)
    if len(items) > most:
        yield Content.styled(f"    and {len(items) - most} more", "dim")


def item_line(item: ItemView, width: int, *, ascii_only: bool = False) -> Content:
    """Return the progress of one item: name, bar, percent, amount, rate, time left; as much of it as fits."""
    fraction = item.done / item.total if item.total else 0.0
    is_bytes = item.unit == "B"
    rate = f"{human_bytes(item.rate.per_second)}/s" if is_bytes and item.rate.per_second else ""
    columns = [
        (4, cell(f"{fraction:.0%}" if item.total else "", 5, right=True)),
        (1, cell(human_bytes(item.done) if is_bytes else str(item.done), 9, "dim", right=True)),
        (2, cell(rate, 12, "dim", right=True)),
        (3, cell(_left(item.seconds_left) if is_bytes else "", 11, "dim", right=True)),
    ]
    name_width = 16 if width >= 56 else 10
    room = width - 4 - name_width - 1
    while columns and room - sum(column.cell_length for _, column in columns) < LEAST_BAR:
        columns.remove(min(columns, key=lambda column: column[0]))
    room -= sum(column.cell_length for _, column in columns)
    drawn = bar(fraction, max(0, min(BAR, room)), ascii_only=ascii_only)
    shown = [column for _, column in columns]
    return Content.assemble("    ", cell(item.name, name_width), " ", drawn, *shown)


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f"{human_seconds(seconds)} left" if seconds < 100 else human_seconds(seconds)


def time_lines(view: RunView, width: int, *, ascii_only: bool = False) -> list[Content]:
    """Return a bar for every step that took time, as long as its share of the longest."""
    taken = [(step, view.timings.get(step.id, step.seconds) or 0.0) for step in view.steps.values()]
    longest = max((seconds for _, seconds in taken), default=0.0) or 1.0
    titles = min(max((len(step.title) for step, _ in taken), default=0), max(12, width // 2))
    room = max(4, width - titles - 1 - TIME)
    lines = []
    for step, seconds in taken:
        drawn = bar(seconds / longest, room, "$secondary", ascii_only=ascii_only)
        lines.append(
            Content.assemble(cell(step.title, titles), " ", drawn, cell(human_seconds(seconds), TIME, right=True))
        )
    return lines
