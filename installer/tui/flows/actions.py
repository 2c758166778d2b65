"""What can be done on the Flows screen."""

from __future__ import annotations

from installer.tui.actions import Action


def _action(name: str, title: str, help_: str, key: str, group: str, *, footer: bool = False) -> Action:
    return Action(f"flows.{name}", title, help_, (key,), "flows", group, footer)


ACTIONS = (
    _action("filter", "Filter", "Type a filter; Tab completes.", "slash", "Filter", footer=True),
    _action("pause", "Pause", "Stand still while flows still come in, or go on.", "space", "Table", footer=True),
    _action("drops", "Drops", "Only what was dropped, or all again.", "v", "Filter", footer=True),
    _action("detail", "Detail", "All fields of the marked flow and its record.", "d", "Panes", footer=True),
    _action("talkers", "Top", "Who talks most.", "t", "Panes", footer=True),
    _action("map", "Map", "Who talks to whom.", "m", "Panes", footer=True),
    _action("truth", "Complete?", "What was lost, how late flows come, how far back they go.", "i", "Panes"),
    _action("turn", "Next kind", "Count the pane by the next kind: pods, namespaces, ports ...", "T", "Panes"),
    _action("close", "Close", "Close the pane, else clear the filter.", "escape", "Panes"),
    _action("edge", "This edge", "Only flows between the two ends of the marked one.", "o", "Filter"),
    _action("saved", "Saved filters", "Use, save or delete filters.", "f", "Filter"),
    _action("fold", "Fold", "Show the two records of one denial as one, or both.", "z", "Table"),
    _action(
        "push", "At the source", "Let the source filter too: less load, but what it leaves out is gone.", "u", "Filter"
    ),
    _action("next_drop", "Next drop", "Go to the next dropped flow.", "n", "Table"),
    _action("previous_drop", "Previous drop", "Go to the previous dropped flow.", "N", "Table"),
    _action("zone", "Time zone", "Times in UTC or local.", "w", "Table"),
    _action("mark", "Mark", "Mark the flow for export, or not any more.", "x", "Export"),
    _action("export", "Export", "Write flows, or the open map, to a file.", "e", "Export", footer=True),
    _action("source", "Source", "Relay, another server, or a recorded file.", "S", "Source"),
    _action("again", "Start again", "Open the source again.", "A", "Source"),
    _action("draft", "Draft policy", "Draft a policy from the marked flows.", "P", "Policy"),
)
